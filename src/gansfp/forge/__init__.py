"""Generators, and the benchmarks with known truth that they make."""
