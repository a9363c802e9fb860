"""The keeper: what a port is, the ports there are, and the wire between them; nothing here knows GraphQL."""
