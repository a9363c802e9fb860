"""Bytes in, bytes out: GraphQL over HTTP, who calls, and what browsers get."""
