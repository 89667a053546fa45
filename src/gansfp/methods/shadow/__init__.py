"""Attacks with a bank of shadow generators, as benchmark methods."""
