"""Autoencoders of synthetic images, with clusters or forests on top (Neural Nexus)."""
