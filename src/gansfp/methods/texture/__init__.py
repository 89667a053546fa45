"""Distributions of texture against those of the synthetic images."""
