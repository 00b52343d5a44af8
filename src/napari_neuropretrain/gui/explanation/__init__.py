"""What is seen of an explanation: its map in three planes, tables and checks."""
