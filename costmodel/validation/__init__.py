"""The scoreboard: what the model gets right, what it gets wrong, and what nobody can test."""
