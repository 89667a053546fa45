"""All-pairs similarity of real to synthetic images, and rules on it."""
