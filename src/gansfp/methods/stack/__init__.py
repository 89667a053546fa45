"""Several membership attacks as one."""
