"""Distance to the centres of the synthetic images' clusters."""
