"""Experiment trackers: Lightning loggers that know how a run ended, and go on after a requeue."""
