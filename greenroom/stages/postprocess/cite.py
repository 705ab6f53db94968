"""`cite`: which passages an answer cites, and where; markers of passages that do not exist are taken out.

A marker is `[1]` or `[1, 2]` in prose. Code, links (`[1](…)`) and larger numbers are left as they are. Knows
the exchange's passages; whether a passage bears the sentence out is `verify`'s business.
"""

import re
from collections.abc import Mapping

from greenroom.contracts import Ease, StepConfig, TextFilter
from greenroom.exchange import Edit, Exchange, Passage, Verdict

_LONGEST = 7
"""Characters of a marker, brackets included."""
_QUOTE = 300
"""Characters of a passage that an annotation quotes at most."""
_ROOM = 4096
"""Characters of plain words that may go ahead of a filter."""
_CONTEXT = 400
"""Characters before a marker that tell which sentence of the passage is meant."""

_special = re.compile(r"`+|\[|\n")
_marker = re.compile(r"\[(\d{1,3}(?:, ?\d{1,3})*)\]")
_beginning = re.compile(r"\[[\d, ]*\Z")
_sentences = re.compile(r"[^.!?\n]+(?:[.!?]+(?=[^\s.!?])[^.!?\n]+)*[.!?]*")
_words = re.compile(r"\w{3,}")
_json_text = re.compile(r'"(?:[^"\\]|\\.)*+"')


class CiteConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.cite]: nothing to set beyond mode and on_error; without "apply" no marker is taken out."""


class Cite:
    """Opens a `CiteFilter` when this exchange has passages."""

    name = "cite"

    def __init__(self, config: CiteConfig) -> None:
        self._apply = config.mode == "apply"

    def open(self, exchange: Exchange, where: str) -> TextFilter | None:
        """None for tool calls and without passages. Of several answers only the first is annotated."""
        if where != "content" or not exchange.passages:
            return None
        files: Mapping[str, str] = getattr(exchange.context.get("documents"), "files", {})
        is_first = self.name not in exchange.context
        exchange.context[self.name] = True
        if (exchange.request.response_format or "").startswith("json"):
            return JsonCiteFilter(exchange.passages, files, annotates=is_first)
        return CiteFilter(exchange.passages, files, apply=self._apply, annotates=is_first)

    def leaves(self, exchange: Exchange, where: str, text: str) -> bool:
        """Sure of tool calls and where there are no passages."""
        return where != "content" or not exchange.passages


class CiteFilter:
    """Passes prose on, notes its markers, and takes out those without a passage, with the space before them.

    Holds back what may still become a marker, at most 8 characters. `notes["annotations"]` is there after
    `flush`; `index` counts code points of this filter's output.
    """

    lookback = _LONGEST + 1

    def __init__(
        self, passages: list[Passage], files: Mapping[str, str], *, apply: bool, annotates: bool
    ) -> None:
        self.edits: list[Edit] = []
        self.verdicts: list[Verdict] = []
        self.notes: dict[str, object] = {}
        self.rejected: str | None = None
        self._passages = {one.id: one for one in passages}
        self._files = files
        self._apply = apply
        self._annotates = annotates
        self._held = ""
        self._ticks = 0
        """Length of the run of backticks that opened the code we are in; 0 in prose."""
        self._run = 0
        """Length so far of a run of backticks at the very end of what came."""
        self._calm = True
        """Whether nothing is held and no code is open."""
        self._pieces: list[str] = []
        self._counted = 0
        """How many of `_pieces` are in `_seen` and `_written` already."""
        self._seen = 0
        self._written = 0
        self._found: list[tuple[int, str]] = []

    def feed(self, text: str) -> str:
        """Final text; the beginning of a marker at the end stays."""
        if self._calm and "[" not in text and "`" not in text and text[-1:] != " ":
            self._pieces.append(text)
            return text
        return self._scan(self._held + text, is_last=False)

    def ease(self) -> Ease | None:
        """Words are passed on as they are, but for the blank before what may become a marker."""
        return None if self._ticks or self._run else Ease(_ROOM, self._held)

    def flush(self) -> str:
        """The rest."""
        text = self._scan(self._held, is_last=True)
        if self._annotates:
            self.notes["annotations"] = annotations(
                "".join(self._pieces), self._found, self._passages, self._files
            )
        return text

    def _scan(self, whole: str, *, is_last: bool) -> str:
        for piece in self._pieces[self._counted :]:
            self._seen += len(piece)
            self._written += len(piece)
        kept: list[str] = []
        copied, at, end = 0, self._end_run(whole, is_last=is_last), len(whole)
        while (special := _special.search(whole, at)) is not None:
            start, at = special.span()
            if special[0] == "\n":
                self._ticks = 0 if self._ticks < 3 else self._ticks
            elif special[0] != "[":
                if at == end and not is_last:
                    self._run = at - start
                    break
                self._toggle(at - start)
            elif not self._ticks:
                marker = _marker.match(whole, start)
                if marker is None or marker.end() - start > _LONGEST:
                    if not is_last and end - start < _LONGEST and _beginning.match(whole, start) is not None:
                        end = start
                        break
                    continue
                at = marker.end()
                if at == end and not is_last:
                    end = start
                    break
                if whole[at : at + 1] == "(":
                    continue
                cut, text = self._decide(whole, start, marker, sum(map(len, kept)) - copied)
                if text is not None:
                    kept += (whole[copied:cut], text)
                    copied = at
        if not is_last and not self._ticks and not self._run and end > copied and whole[end - 1] == " ":
            end -= 1
        kept.append(whole[copied:end])
        self._held = whole[end:]
        self._calm = not (self._held or self._ticks or self._run)
        passed = "".join(kept)
        self._pieces.append(passed)
        self._counted = len(self._pieces)
        self._seen += end
        self._written += len(passed)
        return passed

    def _end_run(self, whole: str, *, is_last: bool) -> int:
        """Finish a run of backticks that the text before ended with; returns where it ends."""
        if not self._run:
            return 0
        more = len(whole) - len(whole.lstrip("`"))
        self._run += more
        if more < len(whole) or is_last:
            self._toggle(self._run)
            self._run = 0
        return more

    def _toggle(self, run: int) -> None:
        if not self._ticks:
            self._ticks = run
        elif run == self._ticks or (self._ticks >= 3 and run > self._ticks):
            self._ticks = 0

    def _decide(self, whole: str, start: int, marker: re.Match[str], shift: int) -> tuple[int, str | None]:
        """Note the marker's passages; gives what is to be replaced from where, or None to leave it.

        `shift` is by how much what is written in this call so far is longer than what was read.
        """
        numbers = [number.strip() for number in marker[1].split(",")]
        real = [number for number in numbers if number in self._passages]
        cut, text = start, f"[{', '.join(real)}]"
        if len(real) == len(numbers) or (len(numbers) > 1 and (not real or "0" in numbers)):
            text = marker[0]
        elif not real:
            cut, text = start - (whole[start - 1 : start] == " "), ""
        for number in real if text else ():
            self._passages[number].cited = True
            self._found.append((self._written + start + shift, number))
        if text == marker[0]:
            return cut, None
        self.edits.append(
            Edit(start=self._seen + cut, end=self._seen + marker.end(), text=text,
                 before=whole[cut : marker.end()], rule="cite.unknown", reason="no passage has this number",
                 applied=self._apply)
        )  # fmt: skip
        return cut, text if self._apply else None


class JsonCiteFilter:
    """Notes markers inside the strings of a JSON answer, whose text it never changes."""

    lookback = 0

    def __init__(self, passages: list[Passage], files: Mapping[str, str], *, annotates: bool) -> None:
        self.edits: list[Edit] = []
        self.verdicts: list[Verdict] = []
        self.notes: dict[str, object] = {}
        self.rejected: str | None = None
        self._passages = {one.id: one for one in passages}
        self._files = files
        self._annotates = annotates
        self._pieces: list[str] = []

    def feed(self, text: str) -> str:
        """The text itself."""
        self._pieces.append(text)
        return text

    def ease(self) -> Ease | None:
        """Whatever comes is passed on."""
        return Ease(_ROOM, "")

    def flush(self) -> str:
        """Nothing is left; the annotations are made."""
        whole = "".join(self._pieces)
        found: list[tuple[int, str]] = []
        for text in _json_text.finditer(whole):
            for marker in _marker.finditer(whole, text.start(), text.end()):
                for number in marker[1].split(","):
                    passage = self._passages.get(number.strip())
                    if passage is not None:
                        passage.cited = True
                        found.append((marker.start(), passage.id))
        if self._annotates:
            self.notes["annotations"] = annotations(whole, found, self._passages, self._files)
        return ""


def annotations(
    text: str, found: list[tuple[int, str]], passages: Mapping[str, Passage], files: Mapping[str, str]
) -> list[dict[str, object]]:
    """`file_citation` annotations for markers at (place, passage id) of an answer."""
    return [
        {
            "type": "file_citation",
            "file_citation": {
                "file_id": files.get(number, passages[number].document),
                "filename": passages[number].document,
                "index": place,
                "quote": quote(text[max(0, place - _CONTEXT) : place], passages[number].text),
            },
        }
        for place, number in found
    ]


def quote(before: str, passage: str) -> str:
    """The sentence of a passage closest in words to the sentence before a marker; at most 300 characters."""
    spoken = [one for one in _sentences.findall(before) if one.strip(" []0123456789,.")]
    claim = frozenset(_words.findall(spoken[-1].lower())) if spoken else frozenset()
    sentences: list[str] = [one.strip() for one in _sentences.findall(passage) if one.strip()]
    if not sentences:
        return passage[:_QUOTE].strip()
    best = max(sentences, key=lambda one: len(claim & frozenset(_words.findall(one.lower()))))
    return best if len(best) <= _QUOTE else best[:_QUOTE].rsplit(None, 1)[0]
