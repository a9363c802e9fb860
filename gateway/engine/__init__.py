"""Executable and variables -> answer: bind, fetch, shape, respond. Runs on every request."""
