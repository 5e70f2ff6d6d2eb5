"""Are the committed reports the same on every CPU? `python -m tests.cpus` asks, with a fresh cache for each kind."""
