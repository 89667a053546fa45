"""Inpainting: what a network that knows only synthetic images makes of a hidden part."""
