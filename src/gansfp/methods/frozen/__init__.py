"""A classifier on fixed features of the labelled images."""
