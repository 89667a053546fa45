"""Mixture of expert backbones: a fusion that any method can train on."""
