"""Questions for totals -> groups and totals, pushed down where a port can and from rows where not."""
