"""Pages and figures that need no other file."""
