"""The guide's own domain APIs, in Java and Go, built and run as their teams would."""
