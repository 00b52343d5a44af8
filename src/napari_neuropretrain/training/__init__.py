"""Training loops and the jobs that run them."""
