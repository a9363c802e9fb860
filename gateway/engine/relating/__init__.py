"""Conditions and joins across products: keys found on one side, rows looked up on the other."""
