"""Measurements: ratios between ways of doing the same work, taken in one run."""
