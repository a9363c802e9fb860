"""Bytes of a port -> typed cells."""
