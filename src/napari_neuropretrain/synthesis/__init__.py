"""Synthetic MRI."""
