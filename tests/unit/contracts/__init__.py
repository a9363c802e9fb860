"""Proof that promises are read right."""
