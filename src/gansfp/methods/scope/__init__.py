"""Siamese twins with cross-attention between their feature maps (SCOPE VIT Visioneers)."""
