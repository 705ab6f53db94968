"""Characters nobody sees, and which of them a script or an emoji needs.

Removes what can hide instructions or break matching (zero-width, tag, direction, control characters, stray
variation selectors) and leaves what people write with: joiners in Arabic, Persian, Indic and South-East
Asian scripts, emoji sequences, flags of regions, direction marks in right-to-left text. Knows one text;
decides each character by its neighbours, in linear time.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from greenroom.exchange import Edit


class Rule(NamedTuple):
    """Why characters go, and what stands in the place of each."""

    name: str
    reason: str
    text: str = ""


class Found(NamedTuple):
    """A stretch to replace, before it becomes an `Edit`."""

    start: int
    end: int
    text: str
    rule: Rule


LINE_END = Rule("clean.line_end", "line ends made consistent", "\n")
ESCAPE_CODE = Rule("clean.escape_code", "terminal escape codes removed")
CONTROL = Rule("clean.control", "control characters removed")
ZERO_WIDTH = Rule("clean.zero_width", "zero-width characters removed")
DIRECTION = Rule("clean.bidi", "direction marks removed")
TAG = Rule("clean.tag", "tag characters removed")
SOFT_HYPHEN = Rule("clean.soft_hyphen", "soft hyphens removed")
SELECTOR = Rule("clean.variation", "stray variation selectors removed")
SPACE = Rule("clean.space", "unusual spaces made plain", " ")
BROKEN = Rule("clean.broken", "halves of broken characters replaced", "\ufffd")

SPACES = "\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e01ef"
)
"""What this module may change, halves of broken characters aside, as parts of a character class."""

_CANDIDATE = re.compile(
    r"\x1b\[[0-?]{0,32}[ -/]{0,4}[@-~]|\x1b\][^\x07\x1b\n]{0,512}(?:\x07|\x1b\\)|\r\n?"
    rf"|[{SPACES}{UNSEEN}\ud800-\udfff]"
)
_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f").match
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]").search

_joins = re.compile(
    "[\u0600-\u08ff\u0900-\u0dff\u0e00-\u109f\u1780-\u18af\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc"
    "\U00010a00-\U00011fff]"
).match
"""Scripts that are written with ZWJ and ZWNJ."""
_runs_on = re.compile("[\u0e00-\u109f\u1780-\u17ff\u1950-\u1aaf]").match
"""Scripts that mark word ends with a zero-width space."""
_fills = re.compile("[\u0590-\u05ff\u1100-\u11ff\u3130-\u318f\uac00-\ud7af\uffa0-\uffdc]").match
"""Scripts that use fillers and grapheme joiners."""
_is_wide = re.compile("[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe6f\uff00-\uffef"
                      "\U00020000-\U0003ffff]").match  # fmt: skip
_is_picture = re.compile("[\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u2bff\u3030\u303d\u3297\u3299"
                         "\U0001f000-\U0001faff]").match  # fmt: skip
_takes_selector = re.compile("[0-9#*\u1000-\u109f\u1800-\u18af"
                             "\u2000-\u200a\u2010-\u2027\u2030-\u205e\u2070-\ud7ff"
                             "\uf900-\ufaff\uff00-\uff9f\U0001f000-\U0001faff\U00020000-\U0003ffff"
                             "\xa9\xae]").match  # fmt: skip
_is_ideograph = re.compile("[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]").match
_is_mongolian = re.compile("[\u1800-\u18af]").match

_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ALWAYS: dict[str, Rule] = {
    "\xad": SOFT_HYPHEN,
    **dict.fromkeys("\r\x0c\u2028\u2029", LINE_END),
    **dict.fromkeys("\u2060\u2061\u2062\u2063\u2064\u2065\ufeff", ZERO_WIDTH),
    **dict.fromkeys("\u206a\u206b\u206c\u206d\u206e\u206f\ufff9\ufffa\ufffb\ufffe\uffff", CONTROL),
}


def unseen(text: str, is_protected: Callable[[int], bool]) -> Iterator[Found]:
    """What to remove or replace, in order, character by character.

    `is_protected` answers whether a position lies where only invisible characters may be touched; it is asked
    for spaces alone. Linear time.
    """
    flag_end = -1
    right_to_left: bool | None = None
    for match in _CANDIDATE.finditer(text):
        at, end = match.span()
        character = text[at]
        rule: Rule | None
        if at < flag_end:
            continue
        if end - at > 1:
            rule = LINE_END if character == "\r" else ESCAPE_CODE
        elif character in _DIRECTION:
            if right_to_left is None:
                right_to_left = _RIGHT_TO_LEFT(text) is not None
            rule = None if right_to_left and character not in "\u202d\u202e" else DIRECTION
        elif "\U000e0000" <= character <= "\U000e007f":
            flag = _FLAG(text, at - 1) if at else None
            flag_end = flag.end() if flag else -1
            rule = None if flag else TAG
        else:
            rule = _judge(character, text[at - 1 : at], text[end : end + 1])
        if rule is not None and not (rule is SPACE and is_protected(at)):
            yield Found(at, end, rule.text, rule)


def _judge(character: str, before: str, after: str) -> Rule | None:
    """The rule for one character between its neighbours (empty at an end); None to leave it."""
    if character in _ALWAYS:
        return _ALWAYS[character]
    if character <= "\x9f":
        return CONTROL
    if character.isspace():
        return _judge_space(character, before, after)
    if character in "\u200c\u200d":
        if _joins(before) or _joins(after):
            return None
        in_picture = character == "\u200d" and _is_picture(after)
        return (
            None if in_picture and (_is_picture(before) or before in {"\ufe0f", "\U000e007f"}) else ZERO_WIDTH
        )
    if character == "\u200b":
        return None if _runs_on(before) and _runs_on(after) else ZERO_WIDTH
    if character in "\u034f\u115f\u1160\u3164\uffa0":
        return None if _fills(before) or _fills(after) else ZERO_WIDTH
    if "\u180b" <= character <= "\u180f":
        return None if _is_mongolian(before) else SELECTOR
    if "\ufe00" <= character <= "\ufe0f":
        return None if _takes_selector(before) else SELECTOR
    if character >= "\U000e0080":
        return None if _is_ideograph(before) else SELECTOR
    return BROKEN


def _judge_space(character: str, before: str, after: str) -> Rule | None:
    """Spaces inside numbers stay, and the wide space where it belongs to the script."""
    if before.isdigit() and after.isdigit():
        return None
    if character == "\u3000" and (not before or before == "\n" or _is_wide(before) or _is_wide(after)):
        return None
    return SPACE


def edits_of(text: str, found: Iterable[Found], limit: int) -> list[Edit]:
    """The findings as edits, neighbours of one rule joined; past `limit` the last edit rewrites the rest."""
    edits: list[Edit] = []
    stream = iter(found)
    for one in stream:
        last = edits[-1] if edits else None
        if last is not None and last.end == one.start and last.rule == one.rule.name:
            last.end = one.end
            last.text += one.text
        elif len(edits) == limit - 1:
            edits.append(_rest(text, one, stream))
        else:
            edits.append(
                Edit(start=one.start, end=one.end, text=one.text, reason=one.rule.reason, rule=one.rule.name)
            )
    return edits


def _rest(text: str, first: Found, others: Iterator[Found]) -> Edit:
    """One edit that does what many would."""
    pieces = [first.text]
    rules = {first.rule.name: first.rule.reason}
    at = first.end
    for one in others:
        pieces += (text[at : one.start], one.text)
        rules[one.rule.name] = one.rule.reason
        at = one.end
    return Edit(
        start=first.start,
        end=at,
        text="".join(pieces),
        reason="; ".join(rules.values()),
        rule="+".join(rules),
    )
