"""Relation network on pairs of a real and a synthetic image (GANs 2023)."""
