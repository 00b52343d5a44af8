"""Volumes and tables in."""
