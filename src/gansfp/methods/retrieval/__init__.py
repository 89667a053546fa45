"""The nearest real images of each synthetic one, pruned (zhouyijiang1)."""
