"""From evidence to parameters with uncertainty."""
