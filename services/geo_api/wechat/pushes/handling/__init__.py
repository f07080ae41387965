"""What comes of pushes: who is seen, what is told, which check-in they are."""
