"""What a network is trained to tell."""
