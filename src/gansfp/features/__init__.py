"""Representations of images, and distances between them."""
