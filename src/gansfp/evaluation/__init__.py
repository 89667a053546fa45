"""Metrics, statistics, controls and leaderboards over prediction tables."""
