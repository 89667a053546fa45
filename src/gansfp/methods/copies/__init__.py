"""Copies: structural similarity of each image to synthetic ones that were aligned with it."""
