"""Attacks that compare a generator with shadow generators whose members are known."""
