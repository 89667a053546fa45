"""Likelihood ratios of synthetic against other real images."""
