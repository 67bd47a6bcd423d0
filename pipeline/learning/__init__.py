"""What the next runs take from reviews."""
