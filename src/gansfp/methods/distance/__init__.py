"""Nearest-neighbour statistics on fixed representations: nothing is trained."""
