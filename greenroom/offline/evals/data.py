"""Data sets from files: JSONL and CSV rows to samples, with the line of everything that is wrong.

A row holds `messages`, or `input` or `question` (with `system`, if need be), or `variables` for a prompt;
where there is none of these, all its other fields are variables. `expected`, `group` and `id` may stand
beside them. Knows files; what is kept of data sets lies in the store.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import DecodeError, Struct, structs
from msgspec.json import decode

from greenroom.errors import MalformedRequest
from greenroom.offline.evals.runner import digest_of, digest_of_all
from greenroom.offline.evals.sample import Json, Sample

MOST_BYTES = 512 << 20
MOST_ROWS = 1_000_000
MOST_UPLOADED_ROWS = 100_000
MOST_ROW_BYTES = 4 << 20
_QUESTIONS = ("input", "question")
_EXPECTED = ("expected", "answer", "reference", "ideal")
_RESERVED = frozenset((*_QUESTIONS, *_EXPECTED, "messages", "system", "variables", "group", "id"))
_ROLES = frozenset(("system", "developer", "user", "assistant", "tool"))
_DELIMITERS = ",;\t"


class DataSet(Struct, kw_only=True, frozen=True):
    """Samples and where they came from."""

    samples: tuple[Sample, ...]
    source: str
    digest: str
    notes: tuple[str, ...] = ()
    """What whoever reads it should know, a sentence each."""

    @classmethod
    def of(cls, samples: Sequence[Sample], source: str) -> "DataSet":
        """Samples that are there already."""
        return cls(samples=tuple(samples), source=source, digest=digest_of_all(samples))


def read_file(path: Path) -> DataSet:
    """Read a `.jsonl` (or `.json`, one object a line, too), `.csv` or `.tsv` file.

    Raises: MalformedRequest that names the file and the line.
    """
    if path.suffix.lower() not in _readers:
        raise MalformedRequest(f"'{path}' must end in {', '.join(_readers)}.", "data")
    return from_rows(rows_of(path), str(path))


def rows_of(path: Path) -> Iterator[tuple[str, Json]]:
    """The rows of a file with their places: of text that is neither JSON nor CSV, its lines.

    Raises: MalformedRequest.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            most = f"{MOST_BYTES >> 20} MB"
            raise MalformedRequest(f"'{path}' has {size >> 20} MB; {most} may be. Split the file.", "data")
        raw = path.read_bytes()
    except OSError as error:
        raise MalformedRequest(f"'{path}' can't be read: {error.strerror or error}.", "data") from None
    return _readers.get(path.suffix.lower(), _lines)(_text(raw, str(path)), str(path))


def read_upload(raw: bytes, name: str) -> DataSet:
    """Read the bytes of a file that somebody calls `name`, as `read_file` does, but fewer rows.

    Whoever serves others can't spare what a million rows take: 300,000 short ones took 400 MiB.
    Raises: MalformedRequest.
    """
    reader = _readers.get(Path(name).suffix.lower())
    if reader is None:
        raise MalformedRequest(f"'{name}' must end in {', '.join(_readers)}.", "data")
    return from_rows(reader(_text(raw, name), name), name, most=MOST_UPLOADED_ROWS)


def from_rows(
    rows: Iterator[tuple[str, Json]], source: str, notes: Sequence[str] = (), most: int | None = None
) -> DataSet:
    """Samples of rows, each with the place that errors name. Raises: MalformedRequest."""
    samples: list[Sample] = []
    places: dict[str, str] = {}
    for place, row in rows:
        sample = to_sample(row, place)
        if sample.id in places:
            raise MalformedRequest(
                f"{place}: the id '{sample.id}' is that of {places[sample.id]}, too.", "data"
            )
        if sample.id:
            places[sample.id] = place
        samples.append(sample)
        if most is not None and len(samples) > most:
            raise MalformedRequest(
                f"{source}: at most {most:,} rows are taken from here. `greenroom eval data add` takes more.",
                "data",
            )
        if len(samples) > MOST_ROWS:
            raise MalformedRequest(f"{source}: a data set may have {MOST_ROWS:,} rows.", "data")
    if not samples:
        raise MalformedRequest(f"{source}: there are no rows in it.", "data")
    whole, said = _told_apart(samples)
    return DataSet(samples=whole, source=source, digest=digest_of_all(whole), notes=(*notes, *said))


def to_sample(row: Json, place: str = "The row") -> Sample:
    """One row. Its id is empty where it names none. Raises: MalformedRequest."""
    expected = next((row[name] for name in _EXPECTED if row.get(name) is not None), None)
    given = row.get("id")
    group = row.get("group")
    messages = _messages(row, place)
    variables = row.get("variables")
    if variables is None:
        variables = {} if messages else {name: value for name, value in row.items() if name not in _RESERVED}
    if not isinstance(variables, dict):
        raise MalformedRequest(f"{place}: 'variables' must be an object.", "data")
    if not messages and not variables:
        raise MalformedRequest(
            f"{place}: nothing is asked. Give 'messages', 'input', 'question' or variables of a prompt.",
            "data",
        )
    return Sample(
        id="" if given is None else str(given), messages=messages, variables=variables, expected=expected,
        group="" if group is None else str(group), item=row,
    )  # fmt: skip


def _messages(row: Json, place: str) -> tuple[Json, ...]:
    given = row.get("messages")
    if given is not None:
        given = _decoded(given)
        if not isinstance(given, list) or not given:
            raise MalformedRequest(f"{place}: 'messages' must be a list with a message at least.", "data")
        for number, one in enumerate(given):
            if not isinstance(one, dict) or one.get("role") not in _ROLES:
                raise MalformedRequest(f"{place}: messages[{number}] has no role that is known.", "data")
            if not one.get("content") and not one.get("tool_calls"):
                raise MalformedRequest(f"{place}: messages[{number}] has no content.", "data")
        return tuple(given)
    asked = next((row[name] for name in _QUESTIONS if row.get(name) is not None), None)
    if asked is None:
        return ()
    if not isinstance(asked, str) or not asked.strip():
        raise MalformedRequest(f"{place}: the question must be a text that is not empty.", "data")
    system = row.get("system")
    before: tuple[Json, ...] = ({"role": "system", "content": str(system)},) if system else ()
    return (*before, {"role": "user", "content": asked})


def _decoded(value: Any) -> Any:  # Any: JSON
    """A cell of a CSV file may hold the messages as JSON."""
    if isinstance(value, str):
        try:
            return decode(value)
        except DecodeError:
            return value
    return value


def _told_apart(samples: Sequence[Sample]) -> tuple[tuple[Sample, ...], list[str]]:
    """Ids for those without, and one group for those that ask the same: they are not independent."""
    digests = [digest_of(one) for one in samples]
    often = Counter(digests)
    taken = {one.id for one in samples if one.id}
    seen: Counter[str] = Counter()
    whole = []
    for sample, digest in zip(samples, digests, strict=True):
        id = sample.id
        while not id or (id in taken and not sample.id):
            id = f"{digest[:12]}-{seen[digest] + 1}" if seen[digest] else digest[:12]
            seen[digest] += 1
        taken.add(id)
        group = sample.group or (f"same-{digest[:12]}" if often[digest] > 1 else "")
        whole.append(structs.replace(sample, id=id, group=group))
    repeated = len(samples) - len(often)
    said = (
        f"{repeated} of {len(samples)} rows ask what another row asks; in intervals they count as one group."
    )
    return tuple(whole), [said] if repeated else []


def _text(raw: bytes, source: str) -> str:
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise MalformedRequest(f"{source} is saved as UTF-16. Save it as UTF-8.", "data")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise MalformedRequest(
            f"{source}, line {line}: this is not UTF-8. Save it as UTF-8.", "data"
        ) from None


def _json_rows(text: str, source: str) -> Iterator[tuple[str, Json]]:
    for number, line in enumerate(io.StringIO(text, newline="\n"), 1):
        if not line.strip():
            continue
        place = f"{source}, line {number}"
        if len(line) > MOST_ROW_BYTES:
            raise MalformedRequest(f"{place}: a row may have {MOST_ROW_BYTES >> 20} MB.", "data")
        try:
            row = decode(line)
        except (DecodeError, RecursionError) as error:
            raise MalformedRequest(f"{place}: this is no JSON object on one line: {error}.", "data") from None
        if not isinstance(row, dict):
            raise MalformedRequest(f"{place}: a row must be a JSON object.", "data")
        yield place, row


def _csv_rows(text: str, source: str) -> Iterator[tuple[str, Json]]:
    head = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    csv.field_size_limit(MOST_ROW_BYTES)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        double = [name for name, often in Counter(names).items() if often > 1]
        if double:
            raise MalformedRequest(f"{source}, line 1: the column '{double[0]}' is there twice.", "data")
        for cells in reader:
            if not any(cells):
                continue
            place = f"{source}, line {reader.line_num}"
            if len(cells) != len(names):
                raise MalformedRequest(f"{place}: {len(cells)} cells under {len(names)} columns.", "data")
            yield place, {name: cell for name, cell in zip(names, cells, strict=True) if cell != ""}
    except csv.Error as error:
        raise MalformedRequest(f"{source}, line {reader.line_num}: {error}.", "data") from None


def _lines(text: str, source: str) -> Iterator[tuple[str, Json]]:
    for number, line in enumerate(text.splitlines(), 1):
        yield f"{source}, line {number}", {"text": line}


_readers = {".jsonl": _json_rows, ".json": _json_rows, ".csv": _csv_rows, ".tsv": _csv_rows}
