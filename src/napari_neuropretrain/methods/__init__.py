"""Pre-training methods."""
