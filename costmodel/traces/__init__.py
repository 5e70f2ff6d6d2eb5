"""Traces of invalidations from a user's own hosts: import, summary, replay under each flush strategy."""
