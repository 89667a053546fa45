"""A residual network for small images whose fine detail matters."""
