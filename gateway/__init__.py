"""The server: one GraphQL schema from contracts, rulings compiled in, every answer stamped with how good its data is."""
