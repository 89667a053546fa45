"""Descriptors made by hand: grey level statistics, textures, wavelets, components."""
