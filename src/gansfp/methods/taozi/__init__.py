"""Contrastive learning with a queue and candidate pools (taozi)."""
