"""The forms that one flat list can leave in: CSV, JSON lines, Arrow."""
