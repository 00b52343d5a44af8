"""Predictions from a trained model."""
