"""Takes in what applications tell by OTLP: spans, and scores as evaluation events.

Texts are masked before they are kept, as those of traces are; without texts kept, none longer than a name is.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from greenroom.errors import MalformedRequest
from greenroom.offline.otel.evaluations import Evaluation, evaluations_in
from greenroom.store.material import pseudonym
from greenroom.store.spans import USER, SpanStore
from greenroom.wire import semconv
from greenroom.wire.otlp import json_reader, protobuf_reader
from greenroom.wire.otlp.intake import Taken
from greenroom.wire.otlp.signals import Attributes, Log, Origin, Span, Spans

Hide = Callable[[str], str]
Capture = Literal["off", "redacted", "full"]
LONGEST_NAME = 128
"""Characters of what may be kept where no texts are."""
_PARTS = re.compile(r"[._\-/]+")
_SHORT = 8
_BARE = 16
"""A value of fewer letters, without a digit or an @, holds neither personal data nor a secret we know."""
_TEXTS = (
    "gen_ai.prompt.",
    "gen_ai.completion.",
    "llm.input_messages.",
    "llm.output_messages.",
    "llm.prompts",
)
"""Where other conventions put texts."""


class Scores(Protocol):
    """Where scores go. False: there is no such exchange (yet). Raises: MalformedRequest."""

    def __call__(self, project: str, told: Evaluation) -> bool: ...


class Counts:
    """Since the start: taken and refused records."""

    def __init__(self) -> None:
        self.spans = 0
        self.scores = 0
        self.refused = 0


class Ingest:
    """Any thread may call it; whoever does sees to it that not too many do at once. Raises: StoreError."""

    def __init__(
        self,
        store: Callable[[], SpanStore],
        masks: Callable[[], Hide],
        scores: Scores,
        *,
        capture: Callable[[], Capture],
        most_bytes: Callable[[], int],
        pause: Callable[[], None] = lambda: time.sleep(0),
    ) -> None:
        self._store = store
        self._masks = masks
        self._scores = scores
        self._capture = capture
        self._most_bytes = most_bytes
        self._pause = pause
        self.counts = Counts()

    def spans(self, project: str, body: bytes, *, is_json: bool) -> Taken[Span]:
        """Keep the spans of a message. Raises: MalformedRequest, TooLarge."""
        taken: Taken[Span] = Taken()
        read = (json_reader if is_json else protobuf_reader).read_traces
        groups = read(body, taken, self._pause)
        store = self._store()
        if taken.taken and not store.has_room(project, self._most_bytes()):
            taken.refuse(
                "The store of spans is full, and this project has its share of it. Raise otel.ingest_mb or "
                "shorten how long the project's spans are kept.",
                taken.taken,
            )
            taken.taken = 0
        if taken.taken:
            store.add(project, self._masked(groups))
        self.counts.spans += taken.taken
        self.counts.refused += taken.refused
        return taken

    def logs(self, project: str, body: bytes, *, is_json: bool) -> Taken[Log]:
        """Keep the scores of a message. Raises: MalformedRequest, TooLarge."""
        taken: Taken[Log] = Taken()
        read = (json_reader if is_json else protobuf_reader).read_logs
        kept = 0
        for _, logs in read(body, taken, self._pause):
            for told in evaluations_in(logs):
                why = told if isinstance(told, str) else self._score(project, told)
                if why:
                    taken.refuse(why)
                else:
                    kept += 1
        taken.taken = kept
        self.counts.scores += kept
        self.counts.refused += taken.refused
        return taken

    def _score(self, project: str, told: Evaluation) -> str:
        """Keep one; why not, in words."""
        try:
            if self._scores(project, told):
                return ""
        except MalformedRequest as error:
            return str(error)
        return (
            f"No exchange of this project is meant: send {semconv.RESPONSE_ID} with the id of its answer, or "
            "its trace and span."
        )

    def _masked(self, groups: list[Spans]) -> list[Spans]:
        capture = self._capture()
        if capture == "full":
            return groups
        mask = _Mask(self._masks, keeps_texts=capture == "redacted")
        for origin, spans in groups:
            mask.origin(origin)
            for number, span in enumerate(spans):
                mask.span(span)
                if number % _YIELD_EVERY == 0:
                    self._pause()
        return groups


class _Mask:
    """Puts masks into one message, the same for the same value; equal texts are looked at once."""

    def __init__(self, masks: Callable[[], Hide], *, keeps_texts: bool) -> None:
        self._hide = masks()
        self._keeps_texts = keeps_texts
        self._known: dict[str, str] = {}

    def origin(self, origin: Origin) -> None:
        origin.resource, _ = self._attributes(origin.resource)
        origin.scope_attributes, _ = self._attributes(origin.scope_attributes)

    def span(self, span: Span) -> None:
        span.name, span.message = self._text(span.name), self._text(span.message)
        span.state = self._text(span.state)
        span.attributes, dropped = self._attributes(span.attributes)
        span.dropped += dropped
        for event in span.events:
            event.name = self._text(event.name)
            event.attributes, dropped = self._attributes(event.attributes)
            event.dropped += dropped
        for link in span.links:
            link.attributes, dropped = self._attributes(link.attributes)
            link.dropped += dropped

    def _attributes(self, attributes: Attributes) -> tuple[Attributes, int]:
        for name in USER:
            user = attributes.get(name)
            if isinstance(user, str) and self._text(user) != user:
                attributes[name] = pseudonym(user)  # by which it can be erased
        if self._keeps_texts:
            return {self._text(name): self._value(one, name) for name, one in attributes.items()}, 0
        kept = {
            self._text(name): self._value(one, name)
            for name, one in attributes.items()
            if name not in semconv.CONTENT and not name.startswith(_TEXTS) and _is_brief(one)
        }
        return kept, len(attributes) - len(kept)

    def _value(self, value: Any, name: str) -> Any:  # Any: an attribute's value
        if isinstance(value, str):
            return self._named(name, value)
        if isinstance(value, list):
            return [self._value(one, name) for one in value]
        if isinstance(value, Mapping):
            return {self._text(name): self._value(one, name) for name, one in value.items()}
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LONG_NUMBER:
            hidden = self._named(name, str(value))  # a card or an identity number may come as one
            return value if hidden == str(value) else hidden
        return value

    def _named(self, name: str, text: str) -> str:
        """The value of an attribute, whose name says what it is: bare digits alone do not."""
        if len(text) > LONGEST_NAME or not any(map(str.isdigit, text)):
            return self._text(text)
        said = _PARTS.sub(" ", name[-LONGEST_NAME:]) + ": "
        hidden = self._text(said + text)
        return hidden.removeprefix(said) if hidden.startswith(said) else self._text(text)

    def _text(self, text: str) -> str:
        if len(text) < _SHORT or (len(text) < _BARE and text.isascii() and text.replace("_", "").isalpha()):
            return text
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = self._hide(text)
        return known


_LONG_NUMBER = 99_999_999
_YIELD_EVERY = 8
"""Spans masked between two moments in which others may run: about a millisecond."""


def _is_brief(value: object) -> bool:
    """Whether a value is a number or no longer than a name."""
    if isinstance(value, str | bytes):
        return len(value) <= LONGEST_NAME
    return not isinstance(value, list | Mapping)
