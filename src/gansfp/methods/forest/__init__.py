"""Random forests on latents and handcrafted descriptors (Neural Nexus)."""
