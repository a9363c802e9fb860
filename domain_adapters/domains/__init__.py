"""The demo mesh: three domains as teams would run them, over data invented once from a fixed seed."""
