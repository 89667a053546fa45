"""Candidate retrieval and CANet, a three-stage attention network (zhouyijiang1)."""
