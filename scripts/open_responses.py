"""Hold what `/v1/responses` answers to the published schema of Open Responses, and print what differs.

Takes the published OpenAPI document as a file, and downloads nothing:

    PYTHONPATH=. python scripts/open_responses.py openapi.json

It is `public/openapi/openapi.json` in the repository openresponses/openresponses. Greenroom runs in front
of a scripted provider; every answer, and every event of every stream, is validated against the schema that
the document names for it. Where OpenAI's own dialect, which its clients read, and the document differ, the
dialect goes before: those differences are listed in `ON_PURPOSE` and counted apart.

Ends with 1 where something else differs.
"""

import asyncio
import http.client
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs

from tests.faults.recipes import Recipe, openai_events, openai_reply, streamed, whole
from tests.faults.upstream import FaultUpstream
from tests.server_process import ServerProcess

# JSON of any shape, looked at by name: Any stands for that throughout this file.
_Json = dict[str, Any]

ON_PURPOSE = {
    "response.reasoning_text.delta": "the document calls it response.reasoning.delta, OpenAI's clients this",
    "response.reasoning_text.done": "likewise",
    "schema": "a JSON Schema of the caller's is repeated; the document allows null there and nothing else",
    "minimal": "an effort of OpenAI's that the document describes and does not list",
}

_WEATHER: _Json = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
_MORNING: _Json = {"content": "Good morning."}
_NOTHING: _Json = {}
_CALL: _Json = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"a": 1}'}}
_FORM: _Json = {"type": "json_schema", "name": "count", "schema": {"type": "object"}, "strict": True}
_LOGPROB: _Json = {
    "token": "a",
    "logprob": -0.5,
    "bytes": [97],
    "top_logprobs": [{"token": "b", "logprob": -1.5}],
}


class Case(NamedTuple):
    """One request, and what the provider says to it: a message, and why it ended."""

    name: str
    body: _Json
    message: _Json = _MORNING
    finish: str = "stop"
    choice: _Json = _NOTHING
    breaks: bool = False
    """The provider's stream is cut after its words."""


CASES = (
    Case("a text", {}),
    Case("cut by length", {"max_output_tokens": 16}, finish="length"),
    Case("filtered", {}, finish="content_filter"),
    Case("nothing said", {}, {"content": ""}),
    Case("refusal of the model's", {}, {"content": None, "refusal": "No."}),
    Case("a refusal after words", {}, {"content": "Well.", "refusal": "No."}),
    Case(
        "reasoning",
        {"reasoning": {"effort": "low", "summary": "auto"}},
        {"reasoning_content": "Hm.", "content": "Yes."},
    ),
    Case("reasoning with little effort", {"reasoning": {"effort": "minimal"}}),
    Case("reasoning without settings", {"reasoning": {}}),
    Case("a call", {"tools": [_WEATHER]}, {"content": None, "tool_calls": [_CALL]}, "tool_calls"),
    Case(
        "a call without arguments",
        {"tools": [_WEATHER]},
        {"content": None, "tool_calls": [{**_CALL, "function": {"name": "weather", "arguments": ""}}]},
        "tool_calls",
    ),
    Case("a tool of its name alone", {"tools": [{"type": "function", "name": "weather"}]}),
    Case(
        "strict tool",
        {"tools": [{**_WEATHER, "strict": True, "description": "Rain?"}], "parallel_tool_calls": False},
    ),
    *(
        Case(f"tool choice {one}", {"tools": [_WEATHER], "tool_choice": one})
        for one in ("none", "auto", "required")
    ),
    Case("a function chosen", {"tools": [_WEATHER], "tool_choice": {"type": "function", "name": "weather"}}),
    Case(
        "allowed tools",
        {
            "tools": [_WEATHER],
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "weather"}],
            },
        },
    ),
    Case(
        "allowed tools without a mode",
        {
            "tools": [_WEATHER],
            "tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "weather"}]},
        },
    ),
    Case(
        "settings",
        {"temperature": 0, "top_p": 1, "presence_penalty": 1, "frequency_penalty": -1, "top_logprobs": 2},
    ),
    Case(
        "settings that are null",
        dict.fromkeys(
            (
                "temperature",
                "top_p",
                "presence_penalty",
                "frequency_penalty",
                "top_logprobs",
                "instructions",
                "metadata",
                "tools",
                "tool_choice",
                "text",
                "parallel_tool_calls",
                "reasoning",
                "max_output_tokens",
                "max_tool_calls",
                "safety_identifier",
                "prompt_cache_key",
                "previous_response_id",
                "stream_options",
            )
        ),
    ),
    Case(
        "names",
        {
            "metadata": {"team": "a"},
            "user": "u",
            "safety_identifier": "s",
            "prompt_cache_key": "k",
            "instructions": "Be kind.",
        },
    ),
    Case("instructions as items", {"instructions": [{"role": "developer", "content": "Be kind."}]}),
    Case("a tier", {"service_tier": "flex"}),
    Case("truncated", {"truncation": "auto", "store": False, "max_tool_calls": 3}),
    Case("JSON", {"text": {"format": {"type": "json_object"}, "verbosity": "low"}}, {"content": "{}"}),
    Case("JSON by a schema", {"text": {"format": _FORM}}, {"content": "{}"}),
    Case(
        "likelihoods",
        {"include": ["message.output_text.logprobs"], "top_logprobs": 1},
        {"content": "a"},
        choice={"logprobs": {"content": [_LOGPROB]}},
    ),
    Case(
        "a link cited",
        {},
        {
            "content": "See.",
            "annotations": [
                {
                    "type": "url_citation",
                    "url_citation": {
                        "url": "https://example.org",
                        "title": "t",
                        "start_index": 0,
                        "end_index": 3,
                    },
                }
            ],
        },
    ),
    Case("a cut stream", {}, breaks=True),
    Case(
        "items of all kinds",
        {
            "input": [
                {"role": "system", "content": "Be kind."},
                {
                    "type": "message",
                    "role": "developer",
                    "content": [{"type": "input_text", "text": "And short."}],
                },
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "Look"},
                        {
                            "type": "input_image",
                            "image_url": "data:image/png;base64,iVBORw0KGgo=",
                            "detail": "low",
                        },
                    ],
                },
                {"type": "reasoning", "summary": []},
                {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "Rain"},
                {
                    "type": "message",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "Rain."}],
                },
                {"role": "user", "content": "And?"},
            ]
        },
    ),
)


def scripted(case: Case, *, is_streamed: bool) -> Recipe:
    """What the provider answers."""
    choice = {"index": 0, "finish_reason": case.finish, **case.choice}
    if not is_streamed:
        answer = json.loads(openai_reply("x"))
        answer["choices"] = [{**choice, "message": {"role": "assistant", **case.message}}]
        return whole(json.dumps(answer).encode())
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    if case.breaks:
        return streamed(openai_events(("So",), finish=None, done=False, usage=False))
    deltas = [{name: value} for name, value in case.message.items() if value is not None]
    for delta in deltas:
        for number, call in enumerate(delta.get("tool_calls", ())):
            call["index"] = number
    pieces: list[_Json] = [{"index": 0, "delta": one, "finish_reason": None, **case.choice} for one in deltas]
    pieces.append({"index": 0, "delta": {}, "finish_reason": case.finish})
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    chunks = [*({**head, "choices": [one]} for one in pieces), {**head, "choices": [], "usage": usage}]
    return streamed([*(b"data: %b\n\n" % json.dumps(one).encode() for one in chunks), b"data: [DONE]\n\n"])


class Schema:
    """The published document: what is valid by each of its schemas."""

    def __init__(self, document: _Json) -> None:
        self._document = document
        self._validators: dict[str, Any] = {}
        schemas = document["components"]["schemas"]
        self.events: dict[str, str] = {
            one["properties"]["type"]["enum"][0]: name
            for name, one in schemas.items()
            if name.endswith("StreamingEvent")
        }

    def faults(self, name: str, value: object) -> list[str]:
        """What is wrong with a value by the schema of this name: where, and why."""
        if name not in self._validators:
            parts = {"$ref": f"#/components/schemas/{name}", "components": self._document["components"]}
            self._validators[name] = jsonschema_rs.Draft202012Validator(parts)
        return [
            f"{'.'.join(map(str, one.instance_path)) or 'the whole'}: {one.message[:300]}"
            for one in self._validators[name].iter_errors(value)
        ]


class Findings:
    """What was validated, and what differed."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self.valid: Counter[str] = Counter()
        self.on_purpose: Counter[str] = Counter()
        self.wrong: list[str] = []

    def look(self, case: str, name: str, value: _Json) -> None:
        """Validate one answer or event."""
        faults = self._schema.faults(name, value)
        if not faults:
            self.valid[name] += 1
        elif (reason := _purpose(value)) is not None and not self._schema.faults(name, _without(value)):
            self.on_purpose[reason] += 1
        else:
            self.wrong += [f"{case}: {name}: {fault}" for fault in faults]

    def event(self, case: str, value: _Json) -> None:
        """Validate one event."""
        name = self._schema.events.get(value["type"])
        if name is not None:
            self.look(case, name, value)
        elif value["type"] in ON_PURPOSE:
            self.on_purpose[value["type"]] += 1
        else:
            self.wrong.append(f"{case}: the document has no event '{value['type']}'")


def _purpose(value: _Json) -> str | None:
    response = value.get("response", value)
    if response.get("text", {}).get("format", {}).get("schema") is not None:
        return "schema"
    return "minimal" if (response.get("reasoning") or {}).get("effort") == "minimal" else None


def _without(value: _Json) -> _Json:
    """The same without what differs on purpose."""
    copy: _Json = json.loads(json.dumps(value))
    response = copy.get("response", copy)
    if response.get("text", {}).get("format", {}).get("schema") is not None:
        response["text"]["format"]["schema"] = None
    if (response.get("reasoning") or {}).get("effort") == "minimal":
        response["reasoning"]["effort"] = "low"
    return copy


def call(server: ServerProcess, method: str, path: str, body: _Json | None = None) -> tuple[int, str]:
    """One request: its status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"Authorization": f"Bearer {server.local_key}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def events_of(text: str) -> list[_Json]:
    """The events of a stream."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


async def run_case(case: Case, upstream: FaultUpstream, server: ServerProcess, findings: Findings) -> None:
    """One case whole, streamed, in the background, and read again."""
    body = {"model": "main", "input": "Hello?", **case.body}
    for is_streamed in (False, True) if not case.breaks else (True,):
        upstream.script("scripted", scripted(case, is_streamed=is_streamed))
        asked = {**body, "stream": is_streamed}
        status, text = await asyncio.to_thread(call, server, "POST", "/v1/responses", asked)
        if status != 200:
            findings.wrong.append(f"{case.name}: {status} {text[:300]}")
            continue
        events = events_of(text) if is_streamed else []
        for one in events:
            findings.event(case.name, one)
        answer = events[-1]["response"] if is_streamed else json.loads(text)
        if not is_streamed:
            findings.look(case.name, "ResponseResource", answer)
        if not answer["store"]:
            continue
        status, text = await asyncio.to_thread(call, server, "GET", f"/v1/responses/{answer['id']}")
        findings.look(f"{case.name}, read again", "ResponseResource", json.loads(text))


async def run_others(upstream: FaultUpstream, server: ServerProcess, findings: Findings) -> None:
    """What is no plain answer: in the background, compacted."""
    upstream.script("scripted", scripted(CASES[0], is_streamed=True))
    asked = {"model": "main", "input": "Hello?", "background": True, "stream": True}
    _, text = await asyncio.to_thread(call, server, "POST", "/v1/responses", asked)
    for one in events_of(text):
        findings.event("in the background", one)
    upstream.script("scripted", scripted(CASES[0], is_streamed=False))
    asked = {"model": "main", "input": "Hello?"}
    _, text = await asyncio.to_thread(call, server, "POST", "/v1/responses/compact", asked)
    findings.look("compacted", "CompactResource", json.loads(text))


async def check(document: _Json) -> Findings:
    """All cases against one server."""
    findings = Findings(Schema(document))
    async with FaultUpstream() as upstream:
        config = (
            f'[providers.up]\nkind = "openai_compatible"\nbase_url = "{upstream.base_url}"\n'
            '[models.main]\ntargets = ["up/scripted"]\n'
        )
        with (
            tempfile.TemporaryDirectory() as folder,
            ServerProcess(Path(folder) / "data", config) as server,
        ):
            for case in CASES:
                await run_case(case, upstream, server, findings)
            await run_others(upstream, server, findings)
    return findings


def main() -> int:
    """Print the findings."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 64
    document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    findings = asyncio.run(check(document))
    print(f"{document['info']['title']} {document['info']['version']}, {len(CASES)} requests")
    print(f"{sum(findings.valid.values()):5} answers and events are valid, by {len(findings.valid)} schemas:")
    for name, count in sorted(findings.valid.items()):
        print(f"{count:8} {name}")
    print(f"{sum(findings.on_purpose.values()):5} differ on purpose:")
    for reason, count in sorted(findings.on_purpose.items()):
        print(f"{count:8} {reason}: {ON_PURPOSE[reason]}")
    print(f"{len(findings.wrong):5} are wrong")
    for line in findings.wrong:
        print(f"         {line}")
    return 1 if findings.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
