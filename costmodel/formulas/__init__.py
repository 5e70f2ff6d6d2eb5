"""Symbolic cost terms: one module per term."""
