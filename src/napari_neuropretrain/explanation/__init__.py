"""What the network looked at."""
