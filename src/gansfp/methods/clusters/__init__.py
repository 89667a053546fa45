"""Clusters of features, named by their labelled members."""
