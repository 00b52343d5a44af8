"""Tuning strategies."""
