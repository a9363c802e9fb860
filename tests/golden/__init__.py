"""Golden cases: a folder each, to be read."""
