"""A plain text made ready to learn from: personal data masked, questions of evaluations left out.

Documents are parted by empty lines, as the trainer parts them. Reads piece by piece: a text may have any
size.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from msgspec import Struct

from greenroom.errors import InfrastructureError, MalformedRequest
from greenroom.offline.finetune.rows.gate import evaluation_of
from greenroom.offline.finetune.rows.held_out import HeldOut
from greenroom.offline.finetune.rows.options import Means, Options

MOST_CHARS = 1 << 20
"""Of a document, and of a line; a longer one is cut."""
_FIELD = "greenroom.text_file"
COMPARED_CHARS = 4_000
"""A question is looked for in so much at once: a longer text has most runs of letters by chance."""


class PlainText(Struct, kw_only=True, frozen=True):
    """What came of a text."""

    documents: int
    """That were written."""
    masked: dict[str, int]
    """Values that were hidden, by kind, each counted once in a document."""
    evaluation: int
    """Parts that were left out."""


def prepare_text(source: Path, out: Path, name: str, options: Options, means: Means) -> PlainText:
    """Clean a text, called `name` by people, into the file `out`. Blocks: some 3 MB a second.

    Raises: MalformedRequest for one that is no UTF-8, or has nothing in it; InfrastructureError.
    """
    held = evaluation_of(options, means)
    masked: Counter[str] = Counter()
    documents = left_out = 0
    try:
        with source.open(encoding="utf-8-sig") as file, out.open("w", encoding="utf-8", newline="\n") as to:
            for document in _documents(file):
                text = document
                if options.mask:
                    masks = means.masks(document)
                    text = masks(document)
                    if masks.counts:
                        text = masks.known(text)
                    masked.update(masks.counts)
                parts = list(_parts(text))
                kept = [part for part in parts if not _is_held(held, part)]
                left_out += len(parts) - len(kept)
                if kept:
                    to.write("\n".join(kept) + "\n\n")
                    documents += 1
    except UnicodeDecodeError:
        raise MalformedRequest(
            f"{name} is not UTF-8. Save it as UTF-8, for example: iconv -f LATIN1 -t UTF-8.", _FIELD
        ) from None
    except OSError as error:
        raise InfrastructureError(f"The text can't be made ready: {error.strerror or error}.") from None
    if not documents:
        raise MalformedRequest(f"{name} has no text that may be learned from. Give another one.", _FIELD)
    return PlainText(documents=documents, masked=dict(masked), evaluation=left_out)


def _documents(file: TextIO) -> Iterator[str]:
    """What stands between empty lines, without space around."""
    lines: list[str] = []
    size = 0
    while line := file.readline(MOST_CHARS):
        if (line == "\n" or size + len(line) > MOST_CHARS) and lines:
            if whole := "".join(lines).strip():
                yield whole
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if whole := "".join(lines).strip():
        yield whole


def _parts(document: str) -> Iterator[str]:
    """A document as a whole, or its lines where it is long, cut at spaces where they are."""
    if len(document) <= COMPARED_CHARS:
        yield document
        return
    for line in document.split("\n"):
        left = line
        while len(left) > COMPARED_CHARS:
            end = left.rfind(" ", 1, COMPARED_CHARS)
            end = COMPARED_CHARS if end < 0 else end
            yield left[:end]
            left = left[end:].removeprefix(" ")
        yield left


def _is_held(held: HeldOut, text: str) -> bool:
    return held.find({"messages": [{"role": "user", "content": text}]}) is not None
