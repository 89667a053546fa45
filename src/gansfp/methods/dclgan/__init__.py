"""Contrastive image translation, whose discriminator's attention decides (Neural Nexus)."""
