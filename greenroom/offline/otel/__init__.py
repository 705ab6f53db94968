"""OpenTelemetry: exchanges as spans, metrics and events for a collector; applications' spans taken in."""
