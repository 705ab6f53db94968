"""How long a conversation is, and the same made short by the model itself."""

import time
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from greenroom.errors import MalformedRequest
from greenroom.exchange import Caller
from greenroom.gateway.access import Access
from greenroom.gateway.keys import Key
from greenroom.server.responses.desk import Desk
from greenroom.wire.responses_answer import whole_answer
from greenroom.wire.responses_chat import chat_body
from greenroom.wire.responses_draft import Draft
from greenroom.wire.responses_items import Item, ItemIds
from greenroom.wire.responses_request import ResponsesRequest, read_request
from greenroom.wire.responses_talk import packed, to_messages

INSTRUCTIONS = """\
Write a summary of the conversation above for whoever continues it without having read it. Keep what was \
decided, every fact, name, number, file and identifier that may matter later, what is still open, and what \
was asked last. Leave out greetings and repetitions. Write in the language of the conversation, as prose or \
short lists, and answer nothing that was asked in it. Keep placeholders such as <EMAIL_1> as they are."""


class Talk(Struct, kw_only=True):
    """Body of both routes, as far as they look at it: that of `POST /v1/responses`."""

    model: str | None = None
    input: str | list[dict[str, Any]] | None = None  # Any: items
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | dict[str, str] | None = None
    tools: list[dict[str, Any]] | None = None  # Any: definitions


async def counted(desk: Desk, caller: Caller, raw: bytes, headers: Mapping[bytes, bytes]) -> int:
    """Tokens of a request with all that it builds on. Raises RequestError."""
    request, messages = await _read(desk, caller, raw, needs_input=False)
    if not messages and not request.body.instructions:
        return 0
    body = chat_body(request, messages, stream=False)
    exchange, app = desk.gateway.open(desk.gateway.new_id(), caller, body, headers)
    return (await desk.count(exchange.request, app.model)).tokens


async def compacted(
    desk: Desk, access: Access, key: Key, raw: bytes, headers: Mapping[bytes, bytes], began_ns: int
) -> Item:
    """The user's messages and one `compaction` item that stands for the rest. Raises GreenroomError."""
    gateway = desk.gateway
    request, messages = await _read(desk, key.caller, raw, needs_model=True)
    if not messages:
        raise MalformedRequest(
            "There is nothing to make short: send 'input' or 'previous_response_id'.", "input"
        )
    said = [*messages, {"role": "user", "content": INSTRUCTIONS}]
    id = gateway.new_id()
    exchange, app = gateway.open(id, key.caller, chat_body(request, said, stream=False), headers)
    exchange.surface = "responses"
    exchange.context["dropped"] = request.dropped
    grant = access.admit(key)
    body = await gateway.whole(exchange, app._replace(remember=None), grant, began_ns)
    ids = ItemIds(id)
    draft = Draft({}, ids, tells=False)
    answer = whole_answer(draft, body, int(time.time()), is_refusal=False)
    text = "".join(
        part.get("text", part.get("refusal", ""))
        for item in answer["output"] if item["type"] == "message" for part in item["content"]
    )  # fmt: skip
    asked: list[Any] = [  # Any: items
        one for one in request.items
        if isinstance(one, dict) and one["type"] == "message" and one["role"] == "user"
    ]  # fmt: skip
    compaction = {
        "id": ids.new("compaction"),
        "type": "compaction",
        "encrypted_content": packed("summary", text),
    }
    return {
        "id": f"resp_{id}",
        "object": "response.compaction",
        "created_at": int(time.time()),
        "output": [*asked, compaction],
        "usage": answer["usage"],
    }


async def _read(
    desk: Desk, caller: Caller, raw: bytes, *, needs_model: bool = False, needs_input: bool = True
) -> tuple[ResponsesRequest, list[Item]]:
    ids = ItemIds(desk.gateway.new_id())
    request = read_request(raw, ids, needs_model=needs_model, needs_input=needs_input)
    before = await desk.before(caller, request)
    items = [*before.items, *(one for one in request.items if isinstance(one, dict))]
    return request, to_messages(items, before.files).messages
