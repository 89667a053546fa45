"""The audit of a synthetic set by the owner of the real images that it was made from."""
