"""Mutants: one small fault at a time in a copy of the package, to see whether the tests of its module notice it."""
