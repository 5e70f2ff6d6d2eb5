"""Evidence: every number with its source, as records loaded from data/."""
