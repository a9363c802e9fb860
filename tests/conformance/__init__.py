"""The port suite against every kind of port."""
