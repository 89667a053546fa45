"""A small CNN on crops that tells synthetic images from images not used."""
