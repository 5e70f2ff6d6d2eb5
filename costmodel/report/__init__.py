"""Notebooks run by papermill into pages, text and JSON."""
