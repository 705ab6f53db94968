"""The OpenAPI document, generated from the routes themselves."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec


class Described(Protocol):
    """What is known of a route."""

    @property
    def path(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def role(self) -> str | None: ...
    @property
    def summary(self) -> str: ...
    @property
    def parameters(self) -> tuple[str, ...]: ...
    @property
    def body(self) -> type | None: ...


_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
_CHAT = {
    "type": "object",
    "required": ["model", "messages"],
    "properties": {
        "model": {"type": "string", "minLength": 1, "maxLength": 256},
        "messages": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["role"]}},
        "stream": {"type": ["boolean", "null"]},
        "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 128},
    },
    "additionalProperties": True,
}
_DOCUMENT = {
    "type": "object",
    "required": ["text"],
    "properties": {"id": {"type": "string"}, "title": {"type": "string"}, "text": {"type": "string"}},
}
_INSPECT = {
    **_CHAT,
    "properties": {
        **_CHAT["properties"],  # type: ignore[dict-item]  # a literal above
        "reply": {"type": ["string", "null"]},
        "documents": {"type": "array", "items": _DOCUMENT},
    },
}
_FAST: tuple[tuple[str, str, str, object], ...] = (
    ("/v1/chat/completions", "post", "Answer a conversation, whole or as a stream of events.", _CHAT),
    ("/v1/models", "get", "List the apps and models a key may ask for.", None),
    ("/v1/models/{model}", "get", "Read one of them.", None),
    (
        "/api/inspect",
        "post",
        "Run the four stages without a model; answers the record, stores nothing.",
        _INSPECT,
    ),
)


def document(routes: Sequence[Described], version: str) -> dict[str, Any]:  # Any: JSON
    """OpenAPI 3.1 for all routes of this port but the pages."""
    paths: dict[str, dict[str, object]] = {}
    schemas: dict[str, object] = {"Error": _ERROR}
    for path, method, summary, schema in _FAST:
        operation = _operation(summary, path, keyed=True)
        if schema is not None:
            operation["requestBody"] = _json_body(schema)
        paths.setdefault(path, {})[method] = operation
    for route in routes:
        path = route.path.replace(":path}", "}")
        operation = _operation(route.summary, path, keyed=route.role is not None, role=route.role)
        operation["parameters"] = [
            *_path_parameters(path),
            *({"name": name, "in": "query", "schema": {"type": "string"}} for name in route.parameters),
        ]
        if route.body is not None:
            _, found = msgspec.json.schema_components(
                [route.body], ref_template="#/components/schemas/{name}"
            )
            schemas |= found
            operation["requestBody"] = _json_body({"$ref": f"#/components/schemas/{route.body.__name__}"})
        paths.setdefault(path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Greenroom", "version": version, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(summary: str, path: str, *, keyed: bool, role: str | None = None) -> dict[str, object]:
    operation: dict[str, object] = {
        "summary": summary,
        "parameters": _path_parameters(path),
        "responses": {
            "200": {"description": "Done."},
            "default": {
                "description": "What went wrong.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if keyed:
        operation["security"] = [{"key": []}]
    if role is not None:
        operation["description"] = f"Needs the role '{role}' or a higher one."
    return operation


def _path_parameters(path: str) -> list[dict[str, object]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _json_body(schema: object) -> dict[str, object]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}
