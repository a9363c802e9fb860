"""A compiled operation and one request's values -> what is asked of each product: questions, before any read."""
