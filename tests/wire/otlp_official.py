"""The official messages of OTLP, where the package `opentelemetry-proto` is installed."""

from typing import Any

import pytest

ABSENT = "opentelemetry-proto is not installed: `make test` brings it"


def message(signal: str, name: str) -> Any:  # Any: generated classes without types
    """A new message of `opentelemetry.proto.collector.SIGNAL`; skips where the package is absent."""
    module = pytest.importorskip(
        f"opentelemetry.proto.collector.{signal}.v1.{signal}_service_pb2", reason=ABSENT
    )
    return getattr(module, name)()
