"""[otel]: what leaves by OTLP, what is taken in, and what the usual variables of the environment add."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from msgspec import Meta, Struct

from greenroom.errors import ConfigError
from greenroom.wire.semconv import Spoken

Protocol = Literal["http/protobuf", "http/json"]
Content = Literal["none", "spans", "events", "both"]
_CAPTURE: dict[str, Content] = {
    "no_content": "none",
    "false": "none",
    "span_only": "spans",
    "event_only": "events",
    "span_and_event": "both",
    "true": "both",
}
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
_LONGEST = 4_096


class OtelConfig(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[otel]: OpenTelemetry. What stands here goes before the variables of the environment."""

    endpoint: str | None = None
    """The base address of a collector, as `http://localhost:4318`; `/v1/traces`, `/v1/metrics` and `/v1/logs`
    are added. Without it, that of OTEL_EXPORTER_OTLP_ENDPOINT; without both nothing leaves.
    """
    protocol: Protocol | None = None
    """Without it, that of OTEL_EXPORTER_OTLP_PROTOCOL, else "http/protobuf"."""
    compression: Literal["none", "gzip"] | None = None
    """Without it, that of OTEL_EXPORTER_OTLP_COMPRESSION, else "none"."""
    headers_env: str | None = None
    """Name of the environment variable with headers, as "k=v,k=v"; without it OTEL_EXPORTER_OTLP_HEADERS."""
    traces: bool = True
    """Exchanges leave as spans."""
    metrics: bool = True
    """What `/metrics` shows of exchanges leaves too."""
    evaluations: bool = True
    """Scores leave as `gen_ai.evaluation.result` events."""
    semconv: Spoken = "both"
    """The profiles of the GenAI conventions that are spoken."""
    content: Content | None = None
    """Whether texts leave too, masked as they are stored: in spans, in events, in both. Without it, what
    OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT says, else "none".
    """
    sample: Annotated[float, Meta(ge=0, le=1)] = 1.0
    """The share of traces that leave. A caller who says that a trace is not recorded is believed. Metrics and
    scores count all.
    """
    propagate: bool = False
    """Whether providers are sent `traceparent`, where the caller sent one or spans are exported."""
    every_s: Annotated[float, Meta(ge=0.2, le=3600)] = 5.0
    """How often spans and scores leave, in seconds."""
    metrics_every_s: Annotated[float, Meta(ge=1, le=3600)] = 60.0
    """How often metrics leave, in seconds."""
    timeout_s: Annotated[float, Meta(ge=0.1, le=300)] = 10.0
    """How long one request to the collector may take."""
    service: str | None = None
    """`service.name`; without it that of OTEL_SERVICE_NAME, else "greenroom"."""
    resource: dict[str, str] = {}
    """More of what is said of this process, before OTEL_RESOURCE_ATTRIBUTES."""
    ingest: bool = True
    """Whether spans and scores of applications are taken in, at `/v1/traces` and `/v1/logs`."""
    ingest_mb: Annotated[int, Meta(ge=1)] = 1024
    """What spans of applications may take on the disk, about; beyond, a project that has less than an equal
    share still adds.
    """


class Plan(NamedTuple):
    """What leaves, where to, and how: the table and the environment together."""

    endpoint: str
    """Without a slash at its end."""
    protocol: Protocol
    compresses: bool
    headers: tuple[tuple[str, str], ...]
    """Secrets may be among them: never shown."""
    resource: dict[str, str]
    content: Content
    config: OtelConfig

    @property
    def is_guarded(self) -> bool:
        """Whether nobody on the way can read along: by TLS, or without leaving this machine."""
        parts = urlsplit(self.endpoint)
        host = parts.hostname or ""
        return parts.scheme == "https" or host == "localhost" or _is_loopback(host)

    @property
    def place(self) -> str:
        """Where to, as it may be shown: without what stands before an @."""
        parts = urlsplit(self.endpoint)
        return f"{parts.scheme}://{parts.hostname or ''}" + (f":{parts.port}" if parts.port else "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name: one may begin with "127." and be anybody's
        return False


def check_endpoint(config: OtelConfig, source: str) -> None:
    """Raises: ConfigError for an endpoint that is no address."""
    if config.endpoint is not None:
        _checked(config.endpoint, f"{source}: otel.endpoint")


def plan_of(config: OtelConfig, environment: Mapping[str, str], source: str) -> Plan | None:
    """What is to leave; None where nothing is. Raises: ConfigError that names the key or the variable."""
    endpoint = config.endpoint or environment.get(_ENDPOINT, "").strip()
    if not endpoint or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    named = f"{source}: otel.endpoint" if config.endpoint else _ENDPOINT
    return Plan(
        _checked(endpoint, named),
        config.protocol or _protocol(environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")),
        (config.compression or environment.get("OTEL_EXPORTER_OTLP_COMPRESSION", "none")) == "gzip",
        _headers(config, environment, source),
        resource_of(config, environment),
        config.content or _content(environment),
        config,
    )


def _checked(endpoint: str, named: str) -> str:
    try:
        parts = urlsplit(endpoint)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none; its words hold the address
        is_good = False
    if not is_good or parts.query or parts.fragment or not endpoint.isascii() or " " in endpoint:
        raise ConfigError(f"{named} must be an address like http://localhost:4318, without a query.")
    if parts.username is not None:
        raise ConfigError(f"{named} must not hold a password. Put it into OTEL_EXPORTER_OTLP_HEADERS.")
    return endpoint.rstrip("/")


def _protocol(named: str) -> Protocol:
    if named in ("", "http/protobuf"):
        return "http/protobuf"
    if named == "http/json":
        return "http/json"
    raise ConfigError(
        f"OTEL_EXPORTER_OTLP_PROTOCOL is '{named[:40]}'. Greenroom speaks http/protobuf and http/json."
    )


def _headers(config: OtelConfig, environment: Mapping[str, str], source: str) -> tuple[tuple[str, str], ...]:
    variable = config.headers_env or _HEADERS
    if config.headers_env and not environment.get(variable):
        raise ConfigError(f"{source}: otel.headers_env names {variable}, which is not set.")
    found = []
    for pair in environment.get(variable, "").split(","):
        name, separator, value = pair.partition("=")
        name, value = name.strip().lower(), unquote(value.strip())
        if not pair.strip():
            continue
        if not separator or not _is_token(name) or not value.isprintable() or not value.isascii():
            raise ConfigError(
                f"{variable} must look like 'name=value,name=value'."
            )  # its words may be secret
        found.append((name, value))
    return tuple(found)


def _is_token(name: str) -> bool:
    return name.isascii() and name.replace("-", "a").replace("_", "a").isalnum()


def resource_of(config: OtelConfig, environment: Mapping[str, str]) -> dict[str, str]:
    """What is said of this process: `service.name` and what else is configured."""
    found = {}
    for pair in environment.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        name, separator, value = pair.partition("=")
        if separator and name.strip():
            found[name.strip()[:255]] = unquote(value.strip())[:_LONGEST]
    found |= config.resource
    service = config.service or environment.get("OTEL_SERVICE_NAME") or found.get("service.name")
    return {**found, "service.name": service or "greenroom"}


def _content(environment: Mapping[str, str]) -> Content:
    """What is not known is no leave to send texts."""
    said = environment.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "").strip().lower()
    content = _CAPTURE.get(said, "none")
    emits = environment.get("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT", "").strip().lower()
    if emits == "false":
        return {"events": "none", "both": "spans"}.get(content, content)  # type: ignore[return-value]  # its words
    return content
