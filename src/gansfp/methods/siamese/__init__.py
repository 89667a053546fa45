"""Siamese CNN with contrastive loss (AI Multimedia Lab, runs 1396, 1492 and 1696)."""
