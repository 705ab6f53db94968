"""What is kept of one sampled exchange: numbers, flags, and hashed words that no text can be read from."""

import re
from collections.abc import Mapping
from typing import Any
from zlib import crc32

from msgspec import Struct

from greenroom.offline.evals.scorers.declining import declines
from greenroom.store.fresh import prompt_of
from greenroom.store.material import Body, messages_of, texts_of

BUCKETS = 1_024
"""Numbers that words are hashed to: some hundred words of a language share one, so none can be told."""
_MOST_WORDS = 96
_HEAD, _TAIL = 1_500, 500
"""Characters of a text that count: what is asked stands at one of its ends."""
_WORD = re.compile(r"[^\W\d_]{2,}")


class Reading(Struct, frozen=True):
    """One exchange as drift sees it. None where its texts were not kept or it is not known."""

    at_s: int
    trace: str
    model: str
    """The target that answered, "" for none."""
    prompt: str
    """`name@version` of the stored prompt, "" without one."""
    language: str
    asked: int | None
    """Characters of the newest message of the user."""
    said: int | None
    """Characters of the answer."""
    is_refused: bool
    """A check refused, or the model declined in words (English, Portuguese, Spanish)."""
    has_personal: bool
    """The step `pii` found personal data in what was asked, or in the answer."""
    grounded: float | None
    """0 to 1, as the step `verify` found."""
    cost_nano: int | None
    total_us: int | None
    """None for an answer from the cache: that is no model's time."""
    asked_words: bytes = b""
    """Distinct words as little-endian 16-bit numbers below `BUCKETS`, in order."""
    said_words: bytes = b""
    meaning: bytes = b""
    """The encoder's vector of what was asked, `(d,) float16`, where wanted."""


def words_of(text: str) -> bytes:
    """The distinct words of a text, hashed; of a long one its ends."""
    if len(text) > _HEAD + _TAIL:
        text = f"{text[:_HEAD]} {text[-_TAIL:]}"
    found = {crc32(one.encode("utf-8", "replace")) % BUCKETS for one in _WORD.findall(text.lower())}
    return b"".join(one.to_bytes(2, "little") for one in sorted(found)[:_MOST_WORDS])


def question_of(body: Body) -> str:
    """The newest text of the user; of a request without one the newest text."""
    texts = texts_of(messages_of(body.request))
    newest = next((one.text for one in reversed(texts) if one.role == "user"), None)
    return newest if newest is not None else texts[-1].text if texts else ""


def answer_of(body: Body) -> str:
    """What was said to the client."""
    return body.reply_raw if body.reply_text is None else body.reply_text


def reading_of(row: Mapping[str, Any], body: Body | None, language: str) -> Reading:  # Any: columns
    """The reading of a stored exchange. `row` is what `store.sampled` gives."""
    asked, said = ("", "") if body is None else (question_of(body), answer_of(body))
    verdicts = [] if body is None else [one for step in body.steps for one in step.verdicts]
    notes = {} if body is None else {step.step: step.notes for step in body.steps}
    grounded = notes.get("verify", {}).get("groundedness")
    return Reading(
        at_s=row["created_ns"] // 1_000_000_000,
        trace=row["id"],
        model=row["used"] or "",
        prompt=prompt_of(body),
        language=language,
        asked=None if body is None else len(asked),
        said=None if body is None or row["outcome"] not in ("answered", "cached") else len(said),
        is_refused=row["outcome"] == "refused" or declines(said),
        has_personal=any(one.category == "personal_data" for one in verdicts),
        grounded=float(grounded) if isinstance(grounded, int | float) else None,
        cost_nano=row["cost_nano"],
        total_us=None if row["outcome"] in ("cached", "refused") else row["total_us"],
        asked_words=words_of(asked),
        said_words=words_of(said) if row["outcome"] in ("answered", "cached") else b"",
    )
