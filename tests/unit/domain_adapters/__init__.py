"""Tests of the keeper's package."""
