"""A few words of an exchange for a list: how it began, and what stands around the words of a search."""

from collections.abc import Sequence

from msgspec import Struct, msgpack

from greenroom.store.material import Record, messages_of, texts_of
from greenroom.store.search import Query, fold
from greenroom.store.walking import Bodies, Found

_LONGEST = 160
_AROUND = 60
_SEARCHED = 50_000
"""As far as the index looks."""


class _Texts(Struct, array_like=True):
    """The beginning of a body."""

    request: bytes
    sent: bytes
    reply_raw: str
    reply_text: str | None


_texts = msgpack.Decoder(_Texts)


def excerpts(bodies: Bodies, found: Sequence[Found], query: Query | None) -> list[Record]:
    """For each row `preview`, and with a query `snippet`: texts, each with whether it was searched for."""
    return [_excerpt(bodies.at(row[1], row[2]), query) for row in found]


def _excerpt(encoded: bytes | None, query: Query | None) -> Record:
    if encoded is None:
        return {"preview": "", "snippet": []} if query is not None else {"preview": ""}
    body = _texts.decode(encoded)
    texts = texts_of(messages_of(body.request))
    newest = next((one.text for one in reversed(texts) if one.role == "user"), "")
    said: Record = {"preview": newest[:_LONGEST]}
    if query is not None:
        reply = body.reply_raw if body.reply_text is None else body.reply_text
        said["snippet"] = snippet([newest, reply, *(one.text for one in reversed(texts))], query)
    return said


def snippet(texts: Sequence[str], query: Query) -> list[tuple[str, bool]]:
    """What stands around the first of the words in the first text that has one of them."""
    wanted = [(word, False) for word in query.words] + [(word, True) for word in query.beginnings]
    for whole in texts:
        text = whole[:_SEARCHED]
        folded = fold(text)
        spans = sorted(span for word, is_beginning in wanted for span in _spans(folded, word, is_beginning))
        if not spans:
            continue
        # Where accents stood apart, places of the one are not those of the other.
        shown = text if len(folded) == len(text) else folded
        start = max(spans[0][0] - _AROUND, 0)
        end = min(start + _LONGEST, len(shown))
        parts: list[tuple[str, bool]] = []
        at = start
        for first, last in spans:
            if first < at or last > end:
                continue
            parts += [(shown[at:first], False), (shown[first:last], True)]
            at = last
        parts.append((shown[at:end], False))
        marked = [("…", False)] if start else []
        return [one for one in (*marked, *parts) if one[0]] + ([("…", False)] if end < len(shown) else [])
    return []


def _spans(folded: str, word: str, is_beginning: bool) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    at = folded.find(word)
    while at >= 0 and len(spans) < 5:
        end = at + len(word)
        is_first = at == 0 or not folded[at - 1].isalnum()
        is_whole = is_beginning or end == len(folded) or not folded[end].isalnum()
        if is_first and is_whole:
            while end < len(folded) and is_beginning and folded[end].isalnum():
                end += 1
            spans.append((at, end))
        at = folded.find(word, end)
    return spans
