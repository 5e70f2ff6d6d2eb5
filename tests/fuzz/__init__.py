"""Hostile files for every reader: `python -m tests.fuzz 2000` prints what a reader let through."""
