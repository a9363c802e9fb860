"""The shared store: what replicas agree on and what outlives a process, in SQLite or PostgreSQL."""
