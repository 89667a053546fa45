"""Encoders trained on the benchmark at hand, without labels, and distances between embeddings."""
