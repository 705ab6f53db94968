"""A response while it is made: its items as they grow, and the events that tell of it.

Sans-io. One draft serves a whole answer, a stream, and the same stream told again from what was stored: it
notes in `cuts` in which pieces the texts came, so that each event has the same number both times.
"""

from collections.abc import Sequence
from typing import Any, Literal

from msgspec.json import Encoder

from greenroom.wire.responses_items import Item, ItemIds, said
from greenroom.wire.responses_talk import packed

Status = Literal["completed", "incomplete", "failed", "cancelled"]
_OPEN, _PART, _CLOSE, _WORK, _CUT = -1, -2, -3, -4, -5
"""What a cut notes instead of a length: an item or a part of it opened, an item closed, work begun, an item
closed without being told of."""
_TOLD = {
    "completed": "response.completed", "incomplete": "response.incomplete", "failed": "response.failed",
    "cancelled": "response.incomplete",
}  # fmt: skip
"""Which event ends the stream of a response, by its status; the dialect has none for a cancelled one."""
_encode = Encoder().encode


class Draft:
    """The output of one response, item by item. Without `tells` no events are made."""

    def __init__(self, response: Item, ids: ItemIds, *, tells: bool = True) -> None:
        self.response = response
        """The answer object; its output and status are set at the end."""
        self.items: list[Item] = []
        self.cuts: list[int] = []
        """Triples: place of the item, of its part, and a length in code points or what else was done."""
        self.number = 0
        """Of the next event."""
        self.has_ended = False
        self._ids = ids
        self._tells = tells
        self._out: list[bytes] = []
        self._pieces: dict[tuple[int, int], list[str]] = {}
        self._logprobs: dict[tuple[int, int], list[Any]] = {}  # Any: as the provider gives them
        self._closed: set[int] = set()
        self._closed_parts: set[tuple[int, int]] = set()
        self._blocks: dict[int, list[object]] = {}
        """Of each reasoning item, what only its provider can read."""
        self._message = -1
        """The item that takes text, and the one that takes reasoning; -1 where none is open."""
        self._reasoning = -1
        self._calls: dict[int, int] = {}
        """The item of each tool call, by the provider's index."""

    def events(self) -> bytes:
        """What is to be sent since this was asked last."""
        out, self._out = self._out, []
        return b"".join(out)

    def begin(self, *, queued: bool = False) -> None:
        """Tell that it was made, and is worked on; of one that waits, `work` tells that later."""
        if queued:
            self._tell_response("response.created", "queued")
            self._tell_response("response.queued", "queued")
            return
        self._tell_response("response.created", "in_progress")
        self._tell_response("response.in_progress", "in_progress")

    def work(self) -> None:
        """Tell that one that waited is being worked on."""
        self.cuts += (0, 0, _WORK)
        self._tell_response("response.in_progress", "in_progress")

    # what the model says

    def search(self, call: Item) -> None:
        """A search in vector stores that has been done: `file_search_call` without its id."""
        self._open({"id": self._ids.new("file_search_call"), **call})

    def think(self, text: str) -> None:
        """A piece of reasoning."""
        self._delta(self._thinking(), 0, text)

    def thought(self, blocks: Sequence[object]) -> None:
        """Reasoning that only its provider can read, whole."""
        self._blocks.setdefault(self._thinking(), []).extend(blocks)

    def say(self, text: str, logprobs: Sequence[object] = ()) -> None:
        """A piece of the answer."""
        place, part = self._saying("output_text")
        if logprobs:
            self._logprobs.setdefault((place, part), []).extend(logprobs)
        self._delta(place, part, text, list(logprobs))

    def refuse(self, text: str) -> None:
        """A piece of the model's own refusal."""
        self._delta(*self._saying("refusal"), text)

    def call(self, index: int, id: str | None, name: str | None) -> None:
        """A call of a function, which may be known already."""
        if index in self._calls:
            return
        self._end_thinking()
        self._calls[index] = self._open(
            {
                "id": self._ids.new("function_call"), "type": "function_call", "status": "in_progress",
                "call_id": id or f"call_{len(self.items)}", "name": name or "", "arguments": "",
            }
        )  # fmt: skip

    def arguments(self, index: int, text: str) -> None:
        """A piece of a call's arguments."""
        self._delta(self._calls[index], 0, text)

    def cite(self, annotations: Sequence[Item]) -> None:
        """What the answer's text cites; told when the text is whole."""
        if self._message < 0:
            return
        texts = [part for part in self.items[self._message]["content"] if part["type"] == "output_text"]
        if texts:
            texts[-1]["annotations"] = [*texts[-1]["annotations"], *annotations]

    # ends

    def finish(self, status: Status, fields: Item) -> None:
        """End it: close what is open, set `fields` in the answer, and tell.

        What a failed or cancelled one has said so far stays in it, as incomplete.
        """
        is_whole = status in {"completed", "incomplete"}
        if is_whole and not self.items:
            self._saying("output_text")
        for place in range(len(self.items)):
            if place not in self._closed:
                self._close(place, "completed" if status == "completed" else "incomplete", tells=is_whole)
        self.response = {**self.response, **fields, "status": status, "output": self.items}
        self.has_ended = True
        self._tell(_TOLD[status], response=self.response)

    # items and parts

    def _thinking(self) -> int:
        if self._reasoning < 0:
            self._reasoning = self._open(
                {
                    "id": self._ids.new("reasoning"),
                    "type": "reasoning",
                    "status": "in_progress",
                    "summary": [],
                }
            )
        return self._reasoning

    def _end_thinking(self) -> None:
        if self._reasoning >= 0:
            self._close(self._reasoning, "completed")
            self._reasoning = -1

    def _saying(self, type: str) -> tuple[int, int]:
        """The open part of this type: its item's place and its own."""
        self._end_thinking()
        if self._message < 0:
            self._message = self._open(
                {
                    "id": self._ids.new("message"), "type": "message", "status": "in_progress",
                    "role": "assistant", "content": [],
                }
            )  # fmt: skip
        content = self.items[self._message]["content"]
        if not content or content[-1]["type"] != type:
            if content:
                self._close_part(self._message, len(content) - 1)
            self._open_part(
                self._message, said("") if type == "output_text" else {"type": type, "refusal": ""}
            )
        return self._message, len(content) - 1

    def _open(self, item: Item) -> int:
        place = len(self.items)
        self.items.append(item)
        self.cuts += (place, 0, _OPEN)
        if item["type"] == "file_search_call":
            self._tell("response.output_item.added", output_index=place, item=_searching(item))
            for state in ("in_progress", "searching", "completed"):
                self._tell(f"response.file_search_call.{state}", item_id=item["id"], output_index=place)
            self._closed.add(place)
            self._tell("response.output_item.done", output_index=place, item=item)
        else:
            self._tell("response.output_item.added", output_index=place, item=item)
        return place

    def _open_part(self, place: int, part: Item) -> None:
        item = self.items[place]
        content = item.setdefault("content", [])
        content.append(part)
        self.cuts += (place, len(content) - 1, _PART)
        self._tell(
            "response.content_part.added",
            item_id=item["id"], output_index=place, content_index=len(content) - 1, part=part,
        )  # fmt: skip

    def _delta(self, place: int, part: int, text: str, logprobs: Sequence[object] = ()) -> None:
        if not text:
            return
        item = self.items[place]
        if item["type"] == "reasoning" and not item.get("content"):
            self._open_part(place, {"type": "reasoning_text", "text": ""})
        self._pieces.setdefault((place, part), []).append(text)
        self.cuts += (place, part, len(text))
        if not self._tells:
            return
        at: Item = {"item_id": item["id"], "output_index": place}
        if item["type"] == "function_call":
            self._tell("response.function_call_arguments.delta", **at, delta=text)
            return
        at["content_index"] = part
        type = item["content"][part]["type"]
        if type == "output_text":
            self._tell("response.output_text.delta", **at, delta=text, logprobs=logprobs)
        else:
            self._tell(f"response.{type}.delta", **at, delta=text)

    def _close_part(self, place: int, part: int) -> None:
        item = self.items[place]
        one = item["content"][part]
        if (place, part) in self._closed_parts:
            return
        self._closed_parts.add((place, part))
        text = "".join(self._pieces.pop((place, part), ()))
        type = one["type"]
        at: Item = {"item_id": item["id"], "output_index": place, "content_index": part}
        if type == "refusal":
            one["refusal"] = text
            self._tell("response.refusal.done", **at, refusal=text)
        elif type == "reasoning_text":
            one["text"] = text
            self._tell("response.reasoning_text.done", **at, text=text)
        else:
            one["text"] = text
            one["logprobs"] = self._logprobs.pop((place, part), one["logprobs"])
            for number, annotation in enumerate(one["annotations"]):
                self._tell(
                    "response.output_text.annotation.added",
                    **at, annotation_index=number, annotation=annotation,
                )  # fmt: skip
            self._tell("response.output_text.done", **at, text=text, logprobs=one["logprobs"])
        self._tell("response.content_part.done", **at, part=one)

    def _close(self, place: int, status: str, *, tells: bool = True) -> None:
        self._closed.add(place)
        self.cuts += (place, 0, _CLOSE if tells else _CUT)
        told, self._tells = self._tells, self._tells and tells
        item = self.items[place]
        for part in range(len(item.get("content", ()))):
            self._close_part(place, part)
        if item["type"] == "function_call":
            item["arguments"] = "".join(self._pieces.pop((place, 0), ()))
            self._tell(
                "response.function_call_arguments.done",
                item_id=item["id"], output_index=place, name=item["name"], arguments=item["arguments"],
            )  # fmt: skip
        blocks = self._blocks.pop(place, None)
        if blocks:
            item["encrypted_content"] = packed("thinking", blocks)
        item["status"] = status
        self._tell("response.output_item.done", output_index=place, item=item)
        self._tells = told

    # events

    def _tell_response(self, type: str, status: str) -> None:
        self._tell(type, response={**self.response, "status": status})

    def _tell(self, type: str, **fields: Any) -> None:  # Any: what the event holds
        if not self._tells:
            return
        event = {"type": type, "sequence_number": self.number, **fields}
        self.number += 1
        self._out.append(b"event: %b\ndata: %b\n\n" % (type.encode(), _encode(event)))


def _searching(item: Item) -> Item:
    """A search before it was done."""
    return {name: value for name, value in item.items() if name != "results"} | {
        "status": "in_progress", "queries": [],
    }  # fmt: skip


class Replay(Draft):
    """The stream of a response that was stored, told again with the numbers it had."""

    def __init__(self, response: Item, beginning: Item, cuts: Sequence[int], *, queued: bool) -> None:
        super().__init__(beginning, ItemIds(""))
        self._final: list[Item] = response["output"]
        self._queued = queued
        self._stored = cuts
        self._told = response

    def run(self) -> bytes:
        """All its events."""
        self.begin(queued=self._queued)
        places = list(zip(*[iter(self._stored)] * 3, strict=True))
        last = {(place, part): at for at, (place, part, length) in enumerate(places) if length >= 0}
        taken: dict[tuple[int, int], int] = {}
        for at, (place, part, length) in enumerate(places):
            if length == _WORK:
                self.work()
            elif place >= len(self._final):
                break
            elif length == _OPEN:
                self._open(_emptied(self._final[place]))
            elif length == _PART:
                content = self.items[place].get("content", ())
                if content:
                    self._close_part(place, len(content) - 1)
                self._open_part(place, _blank(self._final[place]["content"][part]))
                self._settle_part(place, part)
            elif length >= 0:
                begun = taken.get((place, part), 0)
                # The masks in a stored text may be longer or shorter than what they stand for.
                ended = None if last[place, part] == at else begun + length
                self._delta(place, part, _text(self._final[place], part)[begun:ended])
                taken[place, part] = begun + length
            else:
                self._restore(place)
                self._close(place, self._final[place]["status"], tells=length == _CLOSE)
        self.response = self._told
        self._tell(_TOLD.get(self._told["status"], "response.failed"), response=self._told)
        return self.events()

    def _settle_part(self, place: int, part: int) -> None:
        """What a part gets when it is closed."""
        final = self._final[place]["content"][part]
        if final["type"] == "output_text":
            self.items[place]["content"][part]["annotations"] = final["annotations"]
            self._logprobs[place, part] = final["logprobs"]

    def _restore(self, place: int) -> None:
        content = self._final[place].get("encrypted_content")
        if content is not None:
            self.items[place]["encrypted_content"] = content


def _emptied(item: Item) -> Item:
    """An item as it was when it began."""
    if item["type"] == "file_search_call":
        return item
    began = {**item, "status": "in_progress"}
    began.pop("encrypted_content", None)
    if item["type"] == "message":
        began["content"] = []
    elif item["type"] == "reasoning":
        began.pop("content", None)
    else:
        began["arguments"] = ""
    return began


def _blank(part: Item) -> Item:
    if part["type"] == "output_text":
        return said("")
    return {"type": part["type"], ("refusal" if part["type"] == "refusal" else "text"): ""}


def _text(item: Item, part: int) -> str:
    if item["type"] == "function_call":
        return str(item["arguments"])
    one = item["content"][part]
    return str(one["refusal"] if one["type"] == "refusal" else one["text"])
