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
    def body(self) -> type | dict[str, object] | None: ...
    @property
    def status(self) -> int: ...
    @property
    def media(self) -> str: ...


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
CHAT_SCHEMA: dict[str, object] = {
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
    **CHAT_SCHEMA,
    "properties": {
        **CHAT_SCHEMA["properties"],  # type: ignore[dict-item]  # a literal above
        "reply": {"type": ["string", "null"]},
        "documents": {"type": "array", "items": _DOCUMENT},
    },
}
_CHOICE = {
    "type": "object",
    "required": ["index", "message", "finish_reason"],
    "properties": {
        "index": {"type": "integer"},
        "message": {"type": "object", "properties": {"content": {"type": ["string", "null"]}}},
        "finish_reason": {"type": ["string", "null"]},
    },
}
_EMBEDDINGS = {
    "type": "object",
    "required": ["model", "input"],
    "properties": {
        "model": {"type": "string", "minLength": 1, "maxLength": 256},
        "input": {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "minItems": 1, "items": {"type": ["string", "integer", "array"]}},
            ]
        },
        "encoding_format": {"type": ["string", "null"], "enum": ["float", "base64", None]},
        "dimensions": {"type": ["integer", "null"], "minimum": 1},
        "user": {"type": ["string", "null"]},
    },
    "additionalProperties": True,
}
_COMPLETION = {
    "type": "object",
    "required": ["choices"],
    "properties": {
        "id": {"type": "string"},
        "object": {"type": "string"},
        "created": {"type": "integer"},
        "model": {"type": "string"},
        "choices": {"type": "array", "minItems": 1, "items": _CHOICE},
        "usage": {"type": ["object", "null"]},
        "greenroom": {"type": "object"},
    },
}
_PROMPTS = {
    "type": "object",
    "required": ["model", "prompt"],
    "properties": {
        "model": {"type": "string", "minLength": 1, "maxLength": 256},
        "prompt": {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 128,
                    "items": {"type": "string", "minLength": 1},
                },
            ]
        },
        "max_tokens": {"type": ["integer", "null"], "minimum": 1, "default": 16},
        "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 128},
        "best_of": {"type": ["integer", "null"], "minimum": 0, "maximum": 20},
        "echo": {"type": ["boolean", "null"]},
        "logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 5},
        "stop": {"type": ["string", "array", "null"]},
        "stream": {"type": ["boolean", "null"]},
    },
    "additionalProperties": True,
}
_TEXT_COMPLETION = {
    **_COMPLETION,
    "properties": {
        **_COMPLETION["properties"],  # type: ignore[dict-item]  # a literal above
        "choices": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["text", "index", "logprobs", "finish_reason"],
                "properties": {
                    "text": {"type": "string"},
                    "index": {"type": "integer"},
                    "logprobs": {"type": ["object", "null"]},
                    "finish_reason": {"enum": ["stop", "length", "content_filter", None]},
                },
            },
        },
    },
}
_HEADERS = {
    "x-greenroom-session": "The conversation this belongs to.",
    "x-greenroom-user": "Who asks; not sent to the provider.",
    "x-greenroom-tags": "k=v,k=v: kept in the record.",
    "x-greenroom-app": "The app, where `model` names something else.",
}
_MODERATION = {
    "type": "object",
    "required": ["input"],
    "properties": {
        "input": {
            "oneOf": [
                {"type": "string"},
                {"type": "array", "minItems": 1, "items": {"type": "string"}},
                {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["type", "text"],
                        "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
                    },
                },
            ]
        },
        "model": {"type": "string", "description": "omni-moderation-latest, or an app whose checks to run."},
    },
}
_SAID = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["role", "content"],
        "properties": {
            "role": {"enum": ["user", "assistant", "system"]},
            "content": {"type": ["string", "array"]},
        },
    },
}
_COUNT = {
    "type": "object",
    "required": ["model", "messages"],
    "properties": {
        "model": {"type": "string", "minLength": 1, "maxLength": 256},
        "messages": _SAID,
        "system": {"type": ["string", "array", "null"]},
        "tools": {"type": ["array", "null"], "items": {"type": "object"}},
    },
    "additionalProperties": True,
}
_MESSAGES = {
    **_COUNT,
    "required": ["model", "max_tokens", "messages"],
    "properties": {
        **_COUNT["properties"],  # type: ignore[dict-item]  # a literal above
        "max_tokens": {"type": "integer", "minimum": 1},
        "stream": {"type": ["boolean", "null"]},
        "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    },
}
_MESSAGE = {
    "type": "object",
    "required": ["id", "type", "role", "model", "content", "stop_reason", "usage"],
    "properties": {
        "id": {"type": "string"},
        "type": {"const": "message"},
        "role": {"const": "assistant"},
        "model": {"type": "string"},
        "content": {"type": "array", "items": {"type": "object", "required": ["type"]}},
        "stop_reason": {"type": "string"},
        "stop_sequence": {"type": ["string", "null"]},
        "usage": {"type": "object", "required": ["input_tokens", "output_tokens"]},
        "greenroom": {"type": "object"},
    },
}
_RESPONSES = {
    "type": "object",
    "properties": {
        "model": {"type": ["string", "null"], "minLength": 1, "maxLength": 256},
        "input": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
        "instructions": {"type": ["string", "array", "null"]},
        "previous_response_id": {"type": ["string", "null"]},
        "conversation": {"type": ["string", "object", "null"]},
        "tools": {"type": ["array", "null"], "items": {"type": "object", "required": ["type"]}},
        "stream": {"type": ["boolean", "null"]},
        "store": {"type": ["boolean", "null"]},
        "background": {"type": ["boolean", "null"]},
    },
    "additionalProperties": True,
}
_FAST: tuple[tuple[str, str, str, object], ...] = (
    ("/v1/chat/completions", "post", "Answer a conversation, whole or as a stream of events.", CHAT_SCHEMA),
    ("/v1/responses", "post", "Answer, whole or as a stream of events, and keep the answer.", _RESPONSES),
    (
        "/v1/messages",
        "post",
        "The same in Anthropic's dialect; errors have Anthropic's envelope.",
        _MESSAGES,
    ),
    (
        "/v1/completions",
        "post",
        "Complete a text, or several: OpenAI's legacy dialect, each text a conversation of one message.",
        _PROMPTS,
    ),
    ("/v1/messages/count_tokens", "post", "Count the tokens of a request, without a model.", _COUNT),
    (
        "/v1/moderations",
        "post",
        "Run the checks of an app over texts, without a model; one result for each.",
        _MODERATION,
    ),
    ("/v1/embeddings", "post", "Turn texts into vectors.", _EMBEDDINGS),
    ("/v1/models", "get", "List the apps and models a key may ask for.", None),
    ("/v1/models/{model}", "get", "Read one of them.", None),
    (
        "/api/inspect",
        "post",
        "Run the four stages without a model; answers the record, stores nothing.",
        _INSPECT,
    ),
)
_STREAMED: dict[str, object] = {
    "/v1/chat/completions": _COMPLETION,
    "/v1/completions": _TEXT_COMPLETION,
    "/v1/messages": _MESSAGE,
    "/v1/responses": {},
}


def document(routes: Sequence[Described], version: str) -> dict[str, Any]:  # Any: JSON
    """OpenAPI 3.1 for all routes of this port but the pages."""
    paths: dict[str, dict[str, object]] = {}
    schemas: dict[str, object] = {"Error": _ERROR}
    for path, method, summary, schema in _FAST:
        operation = _operation(summary, path, keyed=True)
        if schema is not None:
            operation["requestBody"] = _json_body(schema)
            operation["parameters"] = [
                {"name": name, "in": "header", "description": said, "schema": {"type": "string"}}
                for name, said in _HEADERS.items()
            ]
        answer = _STREAMED.get(path)
        if answer is not None:
            operation["responses"] = _responses(
                200, {"application/json": {"schema": answer}, "text/event-stream": {}}
            )
        paths.setdefault(path, {})[method] = operation
    for route in routes:
        path = route.path.replace(":path}", "}")
        operation = _operation(route.summary, path, keyed=route.role is not None, role=route.role)
        operation["responses"] = _responses(route.status, {route.media: {}})
        operation["parameters"] = [
            *_path_parameters(path),
            *(
                _query_parameter(name, required=route.method == "DELETE" and name != "project")
                for name in route.parameters
            ),
        ]
        if isinstance(route.body, dict):
            content = {"multipart/form-data": {"schema": route.body}}
            operation["requestBody"] = {"required": True, "content": content}
        elif route.body is not None:
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
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _operation(summary: str, path: str, *, keyed: bool, role: str | None = None) -> dict[str, object]:
    operation: dict[str, object] = {
        "summary": summary,
        "parameters": _path_parameters(path),
        "responses": _responses(200, {"application/json": {}}),
    }
    if keyed:
        operation["security"] = [{"key": []}, {"header": []}]
    if role is not None:
        operation["description"] = f"Needs the role '{role}' or a higher one."
    return operation


def _responses(status: int, content: dict[str, object]) -> dict[str, object]:
    return {
        str(status): {
            "description": "Done.",
            "headers": {"x-request-id": {"schema": {"type": "string"}}},
            "content": content,
        },
        "default": {
            "description": "What went wrong.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        },
    }


def _query_parameter(name: str, *, required: bool) -> dict[str, object]:
    kind = "integer" if name == "limit" else "string"
    return {"name": name, "in": "query", "required": required, "schema": {"type": kind}}


def _path_parameters(path: str) -> list[dict[str, object]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _json_body(schema: object) -> dict[str, object]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}
