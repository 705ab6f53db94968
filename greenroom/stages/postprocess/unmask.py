"""`unmask`: the caller's own data put back where its masks stand in the answer.

Works on whole and streamed text and on the JSON of tool calls. Knows only this exchange's masks, so another
caller's data can't appear.
"""

import json
import re
from collections.abc import Iterator

from greenroom.contracts import Ease, StepConfig, TextFilter
from greenroom.exchange import Edit, Exchange, Verdict

_mask = re.compile(
    r"(?:<|\\u003c|&lt;|(?<![\w-]))(?P<name>[\w-]*_[\w-]+)(?:>|\\u003e|&gt;)?", re.IGNORECASE
).finditer
"""Whatever could be a mask: `<LABEL_1>` as `contracts.mask` writes it, brackets lost or escaped."""
_could_grow = re.compile(r"(?:[<&\\][\w<&\\;-]*[\w;>&\\-]*|(?<![\w-])[\w-]+)\Z", re.IGNORECASE).search
_ROOM = 4096
"""Characters of plain words that may go ahead of a filter."""


class UnmaskConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.unmask]: nothing to set beyond mode and on_error."""


class Unmask:
    """Opens an `UnmaskFilter` when this exchange has masks."""

    name = "unmask"

    def __init__(self, config: UnmaskConfig) -> None:
        self._apply = config.mode == "apply"

    def open(self, exchange: Exchange, where: str) -> TextFilter | None:
        """None when nothing was masked."""
        if not exchange.masks or not self._apply:
            return None
        return UnmaskFilter(exchange.masks, is_json=where == "arguments")

    def leaves(self, exchange: Exchange, where: str, text: str) -> bool:
        """Sure where nothing was masked, or where no name of a mask can be: each has an underscore."""
        return not exchange.masks or not self._apply or "_" not in text


def _candidates(text: str, at: int) -> Iterator[re.Match[str]]:
    """What could be a mask from `at` on: only words with an underscore are read."""
    floor = at
    while (at := text.find("_", at)) >= 0:
        start = max(text.rfind(" ", floor, at), text.rfind("\n", floor, at), floor - 1) + 1
        space = text.find(" ", at)
        end = space if space >= 0 else len(text)
        yield from _mask(text, start, end)
        floor = at = end


class UnmaskFilter:
    r"""Replaces `<CPF_1>` by what it stands for; forgives lost brackets and changed case.

    Holds back only what could still become one of this exchange's masks. In JSON the value is escaped, and
    brackets may stand as `\u003c` and `\u003e`.
    """

    def __init__(self, masks: dict[str, str], *, is_json: bool = False) -> None:
        self.edits: list[Edit] = []
        self.verdicts: list[Verdict] = []
        self.notes: dict[str, object] = {}
        self.rejected: str | None = None
        self._values = {
            name.strip("<>").casefold(): json.dumps(value, ensure_ascii=False)[1:-1] if is_json else value
            for name, value in masks.items()
        }
        self.lookback = max(map(len, self._values)) + 13
        self._held = ""
        self._before = ""
        """The last character released: whether a bare name begins a word depends on it."""
        self._seen = 0

    def feed(self, text: str) -> str:
        """Final text; a tail that may become a mask stays."""
        whole = self._held + text
        return self._replace(whole, self._cut(whole))

    def whole(self, text: str) -> str:
        """All of a text at once: the text itself where no mask stands in it."""
        return self._replace(text, len(text)) if "_" in text else text

    def ease(self) -> Ease | None:
        """A mask has a digit in it, so that a word without one is none."""
        return Ease(_ROOM, self._held)

    def flush(self) -> str:
        """The rest, masks at the very end included."""
        return self._replace(self._held, len(self._held))

    def _cut(self, whole: str) -> int:
        size = len(whole)
        base = max(0, size - self.lookback)
        tail = self._before + whole if base == 0 else whole[base - 1 :]
        shift = size - len(tail)
        found = _could_grow(tail)
        return size if found is None else max(base, found.start() + shift, 0)

    def _replace(self, whole: str, end: int) -> str:
        text = self._before + whole
        shift = len(self._before)
        pieces: list[str] = []
        at = shift
        for found in _candidates(text, shift):
            if found.start() - shift >= end:
                break
            value = self._values.get(found["name"].casefold())
            if value is None:
                continue
            pieces += (text[at : found.start()], value)
            at = found.end()
            start = self._seen + found.start() - shift
            self.edits.append(
                Edit(start=start, end=self._seen + found.end() - shift, text=value, before=found[0],
                     rule="unmask", reason="the caller's own data put back")
            )  # fmt: skip
        stop = max(at, end + shift)
        pieces.append(text[at:stop])
        self._held = text[stop:]
        self._seen += stop - shift
        self._before = text[stop - 1 : stop]
        return "".join(pieces)
