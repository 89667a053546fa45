"""Attacks that look inside the generator: ceilings for those that see its samples alone."""
