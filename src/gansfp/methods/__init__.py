"""One folder for each method."""
