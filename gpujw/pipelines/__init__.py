"""Tuples of steps, read top to bottom."""
