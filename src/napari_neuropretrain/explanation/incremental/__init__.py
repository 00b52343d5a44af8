"""Outputs for a scan with one place hidden, without computing the rest again."""
