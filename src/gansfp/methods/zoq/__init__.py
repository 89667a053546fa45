"""A small network of one's own on enhanced images, compared by its feature maps (ZOQ)."""
