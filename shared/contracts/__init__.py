"""What the services tell each other; the only thing that both of them know."""
