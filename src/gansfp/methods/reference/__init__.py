"""Reference generators: what a generator looks like that learnt from other images."""
