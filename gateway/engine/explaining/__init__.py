"""What an operation may cost and how it would be answered, before anything is read."""
