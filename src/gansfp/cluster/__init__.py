"""Jobs of a sweep in processes of their own: on this machine, or on a SLURM cluster."""
