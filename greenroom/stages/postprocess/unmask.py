"""`unmask`: the caller's own data put back where its masks stand in the answer.

Works on whole and streamed text and on the JSON of tool calls. Knows only this exchange's masks, so another
caller's data can't appear.
"""

import json
import re

from greenroom.contracts import Ease, StepConfig, TextFilter
from greenroom.exchange import Edit, Exchange, Verdict

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
        self._sign = "_" if all("_" in name for name in self._values) else ""
        """A character without which a text holds no mask."""
        names = "|".join(re.escape(name) for name in sorted(self._values, key=len, reverse=True))
        left, right = ("(?:<|\\\\u003c|&lt;)", "(?:>|\\\\u003e|&gt;)")
        self._mask = re.compile(
            rf"(?:{left}|(?<![\w-]))(?P<name>{names})(?:{right}|(?![\w-]))", re.IGNORECASE
        )
        self.lookback = max(map(len, self._values)) + 13
        self._could_grow = re.compile(r"(?:[<&\\][\w<&\\;-]*[\w;>&\\-]*|(?<![\w-])[\w-]+)\Z", re.IGNORECASE)
        self._held = ""
        self._before = ""
        """The last character released: whether a bare name begins a word depends on it."""
        self._seen = 0

    def feed(self, text: str) -> str:
        """Final text; a tail that may become a mask stays."""
        whole = self._held + text
        return self._replace(whole, self._cut(whole))

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
        found = self._could_grow.search(tail)
        return size if found is None else max(base, found.start() + shift, 0)

    def _replace(self, whole: str, end: int) -> str:
        text = self._before + whole
        shift = len(self._before)
        pieces: list[str] = []
        at = shift
        for found in self._mask.finditer(text, shift) if self._sign in text else ():
            if found.start() - shift >= end:
                break
            value = self._values[found["name"].casefold()]
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
