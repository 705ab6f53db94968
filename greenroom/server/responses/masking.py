"""Masks in what is kept of responses: put in before anything is stored, put back for who reads it.

Knows an exchange and what its checks found; nothing of how.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from json import dumps
from typing import Any

from greenroom.exchange import Exchange
from greenroom.gateway.redact import Redactor
from greenroom.wire.responses_items import Item
from greenroom.wire.responses_talk import packed, unpacked

KEPT = frozenset({
    "id", "type", "status", "role", "object", "call_id", "file_id", "detail", "created_at", "completed_at",
    "usage", "name", "model", "previous_response_id", "conversation", "image_url", "file_data", "input_audio",
    "encrypted_content", "tools", "text_format", "logprobs",
})  # fmt: skip
"""Our own words and numbers, definitions, and bytes in base64: never prose."""
_mask = re.compile(r"<[A-Z][A-Z_]*_\d{1,9}>")


def redactor_of(exchange: Exchange) -> Redactor | None:
    """What takes sensitive values of an exchange out of texts; None where it has none.

    A value counts also as it stood in the request before a step cleaned it.
    """
    redactions = exchange.redactions
    if not redactions:
        return None
    disguised: dict[str, str] = {}
    originals = {(text.index, text.part): text.original for text in exchange.request.texts}
    for record in exchange.steps:
        for change in record.changes:
            original = originals.get((change.index, change.part))
            for edit in change.edits if original is not None else ():
                stretch = (original or "")[edit.start : edit.end]
                if edit.before in redactions and len(stretch) > 3:
                    disguised.setdefault(stretch, redactions[edit.before])
    return Redactor({**disguised, **redactions})


def hidden(redactor: Redactor | None, items: Sequence[Item]) -> list[Item]:
    """The items with masks in their texts."""
    if redactor is None:
        return list(items)
    return [_hidden(redactor, item) for item in items]


def _hidden(redactor: Redactor, item: Item) -> Item:
    found: Item = redactor.walk(item, KEPT)
    if item["type"] == "compaction":
        summary = unpacked(item["encrypted_content"], "summary")
        if isinstance(summary, str):
            found["encrypted_content"] = packed("summary", redactor.text(summary))
    if item["type"] == "message":
        for old, new in zip(item["content"], found["content"], strict=True):
            if old.get("logprobs") and old["text"] != new["text"]:
                new["logprobs"] = []  # token by token they spell what was taken out
    return found


def shown(value: Any, masks: Mapping[str, str]) -> Any:  # Any: JSON
    """The same JSON with what its masks stand for; a mask that nobody remembers stays."""
    if not masks:
        return value
    return _shown(value, lambda found: masks.get(found[0], found[0]), masks)


def _shown(
    value: Any, put_back: Callable[[re.Match[str]], str], masks: Mapping[str, str]
) -> Any:  # Any: JSON
    if isinstance(value, str):
        return _mask.sub(put_back, value) if "<" in value else value
    if isinstance(value, dict):
        return {
            name: _mask.sub(lambda found: _as_json(masks, found[0]), one)
            if name == "arguments" and isinstance(one, str)
            else one
            if name in KEPT
            else _shown(one, put_back, masks)
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [_shown(one, put_back, masks) for one in value]
    return value


def _as_json(masks: Mapping[str, str], name: str) -> str:
    """What a mask stands for, inside the JSON text of a call's arguments."""
    return dumps(masks[name], ensure_ascii=False)[1:-1] if name in masks else name
