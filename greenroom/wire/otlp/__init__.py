"""OTLP, the protocol of OpenTelemetry over HTTP: its messages, written and read as JSON and as protobuf."""
