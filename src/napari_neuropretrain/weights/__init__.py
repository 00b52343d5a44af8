"""Model files and checkpoints of others."""
