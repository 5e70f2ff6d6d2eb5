"""Admissible first, then cost, confidence, flips, remedies and what to measure next."""
