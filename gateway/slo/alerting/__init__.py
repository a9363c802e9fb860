"""Changes of state, told to people and machines: signed webhooks, Alertmanager, OpenTelemetry events."""
