"""Predictions of every model of a folder, each with its context."""
