"""Methods made of other runs: they read prediction tables and nothing else."""
