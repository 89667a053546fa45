"""Membership and attribution attacks on synthetic medical images."""

__version__ = "0.1.0"
