"""Contracts and their ports as one immutable snapshot, and the slices of GraphQL schema cut from it."""
