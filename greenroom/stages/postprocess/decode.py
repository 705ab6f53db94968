"""`decode`: what leaks out of a model's machinery, taken out of its answer.

Marks of chat templates and special tokens outside code, control and terminal codes, sentences said over and
over, fences and emphasis left open at the end. Knows text in pieces; split UTF-8 is mended where bytes are
read.
"""

import re
from os.path import commonprefix
from typing import Literal

from msgspec.json import Encoder

from greenroom.contracts import Ease, StepConfig, TextFilter
from greenroom.exchange import Edit, Exchange, Verdict
from greenroom.stages.postprocess.emphasis import open_emphasis
from greenroom.stages.postprocess.loops import CHECK_EVERY, REACH, TAIL, WINDOW, find_loop, has_loop

_LOOKBACK = 64
_TICKS = 48
"""Longest run of backticks that is taken as one."""
_LITERALS = (
    "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<pad>",
    "<unk>", "</s>", "<s>",
)  # fmt: skip
_ROLE = "(?:system|user|assistant|model|developer|tool)"
_MARK = re.compile(
    rf"<\|start_header_id\|>{_ROLE}?<\|end_header_id\|>\n{{0,2}}"
    rf"|<(?:\|im_start\||start_of_turn)>(?:{_ROLE}(?:\n|\Z))?"
    r"|<\|[A-Za-z][\w ]{0,39}\|>|<｜[^｜<>\n]{1,40}｜>"
    rf"|{'|'.join(map(re.escape, _LITERALS))}"
).match
_GROWING = re.compile(
    r"(?:<\|(?:[A-Za-z][\w ]{0,39}\|?)?|<｜[^｜<>\n]{0,40}｜?"
    r"|<\|start_header_id\|>[a-z]{0,9}(?:<[|\w]{0,16}>?)?\n?|<(?:\|im_start\||start_of_turn)>[a-z]{0,9})\Z"
).match
_ESCAPE = re.compile(r"\x1b\[[0-?]{0,24}[ -/]{0,4}[@-~]|\x1b\][^\x07\x1b\n]{0,50}(?:\x07|\x1b\\)|\x1b").match
_ESCAPE_BEGINS = re.compile(r"\x1b(?:\[[0-?]{0,24}[ -/]{0,4}|\][^\x07\x1b\n]{0,50}\x1b?)?\Z").match

_CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f"
_event = re.compile(rf"[`~\n<\[{_CONTROLS}](?:(?<=`)`{{0,{_TICKS - 1}}}|(?<=~)~{{0,{_TICKS - 1}}})?").search
"""One class first: searched ten times as fast as alternatives are."""
_hot = re.compile(rf"[`~<\[{_CONTROLS}]").search
_json = Encoder().encode
_ORDINARY = b"\t\n\r" + bytes(range(32, 256)).translate(None, b"`~<[\x7f")
_SHORT = 48
"""Characters up to which a pattern is quicker than deleting all ordinary bytes."""
_SLICE = 8192
"""Characters looked at in one go: many loops in one long text cost no more than in short ones."""

_FINISHED = frozenset(".!?…:;)]}\"'»”|*_`")
"""An answer that ends so was not broken off in the middle of emphasis."""


class DecodeConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.decode]: nothing to set beyond mode and on_error."""


class Decode:
    """Opens a `DecodeFilter` for prose; leaves the JSON of tool calls alone."""

    name = "decode"

    def __init__(self, config: DecodeConfig) -> None:
        self._applies = config.mode == "apply"

    def open(self, exchange: Exchange, where: str) -> TextFilter | None:
        """A filter for the answer's prose, None for anything else."""
        return DecodeFilter(applies=self._applies) if where == "content" else None

    def leaves(self, exchange: Exchange, where: str, text: str) -> bool:
        """Sure where there is no mark, code, loop or open emphasis."""
        return where != "content" or _is_fine(text)


class _Scanner:
    """Finds marks and codes in text that comes in pieces; its state depends on the text, not on its cuts."""

    __slots__ = ("_before", "_edits", "_fence", "_held", "_inline", "_line", "_struck", "is_busy")

    def __init__(self, edits: list[Edit]) -> None:
        self._edits = edits
        self._held = ""
        self._before = ""
        """The last characters released: whether a fence begins depends on them."""
        self._fence = ""
        """The marks that opened the code block we are in."""
        self._inline = 0
        """How many backticks opened the inline code we are in."""
        self._line: Literal["", "opening", "closing"] = ""
        """Whether this line may turn out to open or close a fence."""
        self._struck = False
        """HTML strikes text out with <s>, so that </s> is not a leak."""
        self.is_busy = False
        """Whether even ordinary text has to be read."""

    def is_code(self) -> bool:
        """Whether what comes next is code."""
        return bool(self._fence or self._inline)

    def closing(self) -> str:
        """What would close the code that is open."""
        if self._fence:
            return (
                "" if self._line == "closing" else ("" if self._before[-1:] == "\n" else "\n") + self._fence
            )
        return "`" * self._inline

    def skip(self, text: str) -> None:
        """Take note of ordinary text."""
        self._before = text[-4:] if len(text) > 3 else (self._before + text)[-4:]

    def read(self, text: str, position: int, *, is_last: bool = False) -> str:
        """What of the held and the new text may go; `position` is where `text` begins in the whole."""
        position -= len(self._held)
        text = self._held + text
        self._held = ""
        out: list[str] = []
        start = 0
        while (event := _event(text, start)) is not None:
            here, after = event.span()
            self._release(text[start:here], out)
            end = self._judge(event[0], text, here, position, is_last)
            if end < 0:
                self._held = text[here:]
                self.is_busy = True
                return "".join(out)
            if end > here:
                self._note(position + here, position + end, text[here:end])
                start = end
            else:
                self._release(text[here:after], out)
                start = after
        self._release(text[start:], out)
        self.is_busy = bool(self._inline or self._line)
        return "".join(out)

    def _release(self, text: str, out: list[str]) -> None:
        if text:
            if self._line == "closing" and not text.isspace() and text[0] not in "`~":
                self._line = ""  # text after the marks: they did not close the block
            out.append(text)
            self.skip(text)

    def _judge(self, mark: str, text: str, here: int, position: int, is_last: bool) -> int:
        """Where what is to be removed ends; `here` if nothing is; -1 if that depends on what comes."""
        first = mark[0]
        if first in "`~":
            if here + len(mark) == len(text) and len(mark) < _TICKS and not is_last:
                return -1
            self._tick(mark)
        elif first == "\n":
            self._end_line()
        elif first == "\x1b":
            if not is_last and _ESCAPE_BEGINS(text, here):
                return -1
            found = _ESCAPE(text, here)
            return found.end() if found else here + 1
        elif first not in "<[":
            return here + 1
        elif not self.is_code():
            return self._judge_mark(text, here, position, is_last)
        return here

    def _judge_mark(self, text: str, here: int, position: int, is_last: bool) -> int:
        if not is_last and _may_grow(text, here):
            return -1
        found = _MARK(text, here)
        if found is None:
            return here
        if found[0] == "<s>" and position + here > 0:
            self._struck = True
            return here
        return here if found[0] == "</s>" and self._struck else found.end()

    def _tick(self, run: str) -> None:
        begins_line = self._before != "    " and self._before.rstrip(" ")[-1:] in ("", "\n")
        if self._line == "opening":
            if run[0] == self._fence[0] == "`":  # more ticks on the line: it was inline code
                self._inline = 0 if len(run) == len(self._fence) else len(self._fence)
                self._fence = self._line = ""
        elif self._line == "closing":
            self._line = ""
        elif self._fence:
            if begins_line and run[0] == self._fence[0] and len(run) >= len(self._fence):
                self._line = "closing"
        elif self._inline:
            if run[0] == "`" and len(run) == self._inline:
                self._inline = 0
        elif begins_line and len(run) >= 3:
            self._fence = run
            self._line = "opening"
        elif run[0] == "`":
            self._inline = len(run)

    def _end_line(self) -> None:
        if self._line == "closing":
            self._fence = ""
        self._line = ""
        if self._before[-1:] == "\n":
            self._inline = 0

    def _note(self, start: int, end: int, before: str) -> None:
        rule, reason = _RULES.get(before[0], _CONTROL)
        last = self._edits[-1] if self._edits else None
        if last is not None and last.end == start and last.rule == rule:
            last.end = end
            last.before += before
        else:
            self._edits.append(Edit(start=start, end=end, text="", before=before, rule=rule, reason=reason))


_LEAK = ("decode.special_token", "marks of the model's own format removed")
_CONTROL = ("decode.control", "control characters removed")
_LOOP = ("decode.loop", "endless repetition cut")
_CLOSED_CODE = ("decode.fence", "open code closed")
_CLOSED_EMPHASIS = ("decode.emphasis", "open emphasis closed")
_RULES = {"<": _LEAK, "[": _LEAK, "\x1b": ("decode.escape_code", "terminal escape codes removed")}


def _may_grow(text: str, here: int) -> bool:
    """Whether the text ends inside what may become a mark, or a longer one."""
    if len(text) - here >= _LOOKBACK:
        return False
    rest = text[here:]
    return _GROWING(rest) is not None or any(one.startswith(rest) and one != rest for one in _LITERALS)


class DecodeFilter:
    """Rewrites one answer's prose. Holds back what may become a mark, at most 64 characters.

    A loop is a stretch of 20 to 400 characters said six times in a row (or 600 characters of a shorter one),
    mostly letters, outside code. It is looked for every 160 characters; what repeats after that is dropped.
    """

    lookback = _LOOKBACK

    def __init__(self, *, applies: bool = True) -> None:
        self.edits: list[Edit] = []
        self.verdicts: list[Verdict] = []
        self.notes: dict[str, object] = {}
        self.rejected: str | None = None
        self._applies = applies
        self._scanner = _Scanner(self.edits)
        self._fed = 0
        self._next = CHECK_EVERY
        self._recent: list[str] = []
        self._unit = ""
        self._dropped = 0
        self._out: list[str] = []

    def feed(self, text: str) -> str:
        """What may be shown now."""
        end = self._fed + len(text)
        if end < self._next and not self._unit:
            self._recent.append(text)
            out = self._take(text)
            self._fed = end
        elif len(text) <= _SLICE:
            out = self._take_checked(text)
        else:
            out = "".join([self._take_checked(text[at : at + _SLICE]) for at in range(0, len(text), _SLICE)])
        return out if self._applies else text

    def ease(self) -> Ease | None:
        """Words are passed on as they are up to the next look for loops, unless code or a mark is begun."""
        if self._unit or self._scanner.is_busy:
            return None
        return Ease(self._next - self._fed, "")

    def flush(self) -> str:
        """What was held, and what closes the code or emphasis that is still open."""
        if self._unit:
            self._end_loop(self._fed)
        out = ""
        if self._scanner.is_busy:
            out = self._scanner.read("", self._fed, is_last=True)
            self._out.append(out)
        closing = self._closing()
        if closing:
            rule, reason = _CLOSED_EMPHASIS if closing[0] == "*" else _CLOSED_CODE
            self.edits.append(Edit(start=self._fed, end=self._fed, text=closing, rule=rule, reason=reason))
        if self._applies:
            return out + closing
        for edit in self.edits:
            edit.applied = False
        return ""

    def _take(self, text: str) -> str:
        scanner = self._scanner
        if len(text) <= _SHORT:
            is_plain = _hot(text) is None
        else:
            is_plain = not text.encode("utf-8", "surrogatepass").translate(None, _ORDINARY)
        if is_plain and not scanner.is_busy:
            scanner.skip(text)
            out = text
        else:
            out = scanner.read(text, self._fed)
        self._out.append(out)
        return out

    def _take_checked(self, text: str) -> str:
        """The same with a look for loops at every place that is a multiple of 160."""
        out: list[str] = []
        while text:
            if self._unit:
                text = self._drop(text)
                continue
            full = "".join((*self._recent, text))
            origin = self._fed + len(text) - len(full)
            unit = ""
            last = self._fed + len(text)
            cut = len(text)
            check = self._next
            while check <= last and not unit:
                place = check - origin
                # the cheap half of find_loop: has the tail been said before?
                low = place - REACH if place > REACH else 0  # quicker than max()
                if full.rfind(full[place - TAIL : place], low, place - 1) >= 0:
                    unit = find_loop(full, place)
                    cut = check - self._fed if unit else cut
                check += CHECK_EVERY
            self._next = check
            out.append(self._take(text[:cut]))
            self._fed += cut
            self._recent = [full[: self._fed - origin][-WINDOW:]]
            text = text[cut:]
            if unit and not self._scanner.is_code():
                held = self._scanner.read("", self._fed, is_last=True)
                out.append(held)
                self._out.append(held)
                self._unit = unit
                self._dropped = 0
        return "".join(out)

    def _drop(self, text: str) -> str:
        """Pass over what repeats the loop; gives back what does not, with the begun repeat before it."""
        size = len(self._unit)
        phase = self._dropped % size
        expected = (self._unit * (len(text) // size + 2))[phase : phase + len(text)]
        if text == expected:
            self._dropped += len(text)
            self._fed += len(text)
            return ""
        same = len(commonprefix((text, expected)))  # noqa: RUF071  # strings are meant
        self._dropped += same
        begun = self._dropped % size
        self._fed += same - begun
        self._dropped -= begun
        self._next = ((self._fed + begun) // CHECK_EVERY + 1) * CHECK_EVERY
        text = self._unit[:begun] + text[same:]
        self._end_loop(self._fed)
        self._recent = []
        return text

    def _end_loop(self, end: int) -> None:
        if self._dropped:
            self.notes["loop"] = {"characters": len(self._unit), "dropped": self._dropped}
            begin = end - self._dropped
            self.edits.append(
                Edit(start=begin, end=end, text="", before=self._unit, rule=_LOOP[0], reason=_LOOP[1])
            )
        self._unit = ""

    def _closing(self) -> str:
        closing = self._scanner.closing()
        if "\n" in closing or closing[:3] in ("```", "~~~"):
            return closing
        text = "".join(self._out)
        if not text or text[-1] in _FINISHED or text[-1].isspace():
            return ""
        if closing or "*" not in text:
            return closing
        return open_emphasis(text[max(text.rfind("\n\n"), len(text) - 2000) + 1 :])


def _is_fine(text: str) -> bool:
    """Whether a whole text has no mark, code, loop or open emphasis: what the filter would leave as it is."""
    if "`" in text or "~" in text or "\x7f" in text or _has_mark(text, "<") or _has_mark(text, "["):
        return False
    if "*" in text and text[-1] not in _FINISHED and not text[-1].isspace():
        return False
    try:
        # JSON escapes every control character, and copies the rest eight bytes at a time.
        has_escapes = b"\\" in _json(text)
    except UnicodeEncodeError:
        return False
    if has_escapes and text.encode().translate(None, _ORDINARY + b"<["):
        return False
    return not has_loop(text)


def _has_mark(text: str, beginning: str) -> bool:
    at = text.find(beginning)
    while at >= 0:
        if _MARK(text, at):
            return True
        at = text.find(beginning, at + 1)
    return False
