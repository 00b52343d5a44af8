"""Options of catalog entries."""
