"""A training file made ready: checked line by line, cleaned, and written as what the trainer reads.

`prepare` is what jobs call, and `greenroom finetune check`. Nothing is written unless the whole file is fit;
what is removed is told by line and reason, never by what it said.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from msgspec import Struct
from msgspec.json import Encoder

from greenroom.errors import InfrastructureError
from greenroom.offline.finetune.plan import Method
from greenroom.offline.finetune.rows.form import faults, mapped, method_of, only_known, texts_of
from greenroom.offline.finetune.rows.lines import Json, Line, Lines
from greenroom.offline.finetune.rows.problems import Problem, Problems
from greenroom.prompts.tokens import estimate

Why = Literal["duplicate", "near_duplicate", "evaluation", "validation", "no_consent", "too_long"]
Consent = Literal["stated", "not_refused", "any"]
LEAST_ROWS = 10
"""As OpenAI's fine-tuning asks for."""
MOST_SAMPLES = 20
"""Removed rows of one reason that are told one by one; the rest is counted."""
YES = frozenset(("true", "yes", "granted", "1", "training"))
NO = frozenset(("false", "no", "denied", "refused", "withdrawn", "0"))
_encode = Encoder().encode


class Masks(Protocol):
    """Hides personal data and secrets in the texts of one row: the same mask for the same value."""

    def __call__(self, text: str) -> str: ...

    @property
    def counts(self) -> Mapping[str, int]:
        """How many different values were hidden so far, by kind."""
        ...


class Held(NamedTuple):
    """Questions that must not be trained on, as evaluation asks them."""

    name: str
    questions: Iterable[Sequence[str]]
    """For each row what the user says in it, turn by turn."""


class Means(NamedTuple):
    """What the gate works with; assembly knows where it comes from."""

    masks: Callable[[], Masks]
    """Called for each row."""
    evaluation: Sequence[Held] = ()
    tokens: Callable[[str], int] = estimate
    """About how many tokens a text is."""


class Options(Struct, frozen=True, kw_only=True):
    """What the gate does."""

    mask: bool = True
    duplicates: bool = True
    """Remove equal rows, and those that are nearly equal."""
    evaluation: bool = True
    """Keep rows of evaluations out."""
    consent: Consent = "not_refused"
    """stated: only rows whose metadata say `"consent": "true"` (or yes, granted, training); not_refused:
    all but those that say false, no, denied, refused or withdrawn; any: whatever they say."""
    max_tokens: int | None = None
    """Rows with more are left out."""
    least_rows: int = LEAST_ROWS


class Removed(Struct, frozen=True, kw_only=True):
    """A row that was left out."""

    file: str
    line: int
    why: Why
    like: str = ""
    """What it is like: `line 12`, or the name of a data set."""


class Part(Struct, frozen=True, kw_only=True):
    """One file that was read, and what became of it."""

    path: str
    """What was written."""
    source: str
    source_digest: str
    """SHA-256 of the bytes that were read."""
    digest: str
    """SHA-256 of what was written."""
    rows_read: int
    rows: int
    """Rows that were written."""
    chars: int
    tokens: int
    """About; what the rows say, without what a template puts around it."""
    longest_tokens: int


class Prepared(Struct, frozen=True, kw_only=True):
    """What may be trained on, and what the gate did."""

    method: Method
    train: Part
    valid: Part | None
    digest: str
    """Of train and validation rows together: what the model's card names."""
    removed: dict[str, int]
    """Rows by reason."""
    samples: tuple[Removed, ...]
    """Some of them."""
    masked: dict[str, int]
    """Values that were hidden, by kind, each counted once in a row."""
    masked_rows: int
    warnings: tuple[Problem, ...]
    warning_counts: dict[str, int]


def prepare(
    train: Path, valid: Path | None, out: Path, method: Method, options: Options, means: Means
) -> Prepared:
    """Check and clean a training file and one for validation, into `train.jsonl`, `valid.jsonl` in `out`.

    Reads line by line; a line may have 4 MB, a file any size. Raises: Unfit, which carries every problem with
    its line and remedy; InfrastructureError where `out` can't be written.
    """
    problems = Problems()
    gate = _Gate(method, options, means, problems)
    out.mkdir(parents=True, exist_ok=True)
    files = [_Writer(out / "train.jsonl", train)]
    if valid is not None:
        files.append(_Writer(out / "valid.jsonl", valid))
    try:
        for file in files:
            gate.run(file)
        if valid is not None and files[0].source_digest == files[1].source_digest:
            problems.add(valid.name, 0, "same_as_train", "The two files are the same.")
        if not problems.errors():
            _enough(files, options, problems)
        problems.raise_if_any()
        parts = [file.finish() for file in files]
    except OSError as error:
        raise InfrastructureError(f"'{out}' can't be written: {error.strerror or error}.") from None
    finally:
        for file in files:
            file.discard()
    digests = "\n".join(one.digest for one in parts)
    warnings = problems.warnings()
    return Prepared(
        method=method, train=parts[0], valid=parts[1] if len(parts) > 1 else None,
        digest=sha256(digests.encode()).hexdigest(), removed=dict(gate.removed), samples=tuple(gate.samples),
        masked=dict(gate.masked), masked_rows=gate.masked_rows, warnings=warnings,
        warning_counts={one.kind: problems.counts[one.kind] for one in warnings},
    )  # fmt: skip


def _enough(files: Sequence["_Writer"], options: Options, problems: Problems) -> None:
    file = files[0]
    if file.rows < options.least_rows:
        left = "" if file.rows == file.rows_read else f" of {file.rows_read}, as the gate removed the others"
        problems.add(file.source.name, 0, "too_few_rows", f"There are {file.rows} rows{left}.")


class _Gate:
    """What each row passes. Counts what it does."""

    def __init__(self, method: Method, options: Options, means: Means, problems: Problems) -> None:
        self._method = method
        self._options = options
        self._means = means
        self._problems = problems
        self._known: dict[bytes, str] = {}
        self.removed: Counter[str] = Counter()
        self.samples: list[Removed] = []
        self.masked: Counter[str] = Counter()
        self.masked_rows = 0

    def run(self, file: "_Writer") -> None:
        """One file through the gate, into its place beside."""
        lines = Lines(file.source, self._problems)
        for row in self._fit(lines, file.source.name):
            body = self._cleaned(row, file)
            if body is not None:
                file.write(body, sum(map(self._means.tokens, texts_of(body))))
        file.source_digest, file.rows_read = lines.digest, lines.rows

    def _fit(self, lines: Lines, name: str) -> Iterator[Line]:
        """Rows with nothing wrong; the others are noted."""
        has_fitting = False
        for line in lines:
            told = method_of(line.row)
            if told is not None and told != self._method:
                kind = "mixed_methods" if has_fitting else "wrong_method"
                holds = "preferences" if told == "dpo" else "a conversation"
                self._problems.add(
                    name, line.number, kind, f"The row holds {holds}, but the method is '{self._method}'."
                )
                continue
            has_fitting = has_fitting or told is not None
            is_fit = True
            for kind, message in faults(line.row, self._method):
                self._problems.add(name, line.number, kind, message)
                is_fit = is_fit and kind == "unknown_field"
            if is_fit:
                yield line

    def _cleaned(self, line: Line, file: "_Writer") -> Json | None:
        name = file.source.name
        if not _has_consent(line.row, self._options.consent):
            self._remove(name, line.number, "no_consent")
            return None
        body = only_known(line.row, self._method)
        if self._options.mask:
            body = self._hidden(body)
        most = self._options.max_tokens
        if most is not None and sum(map(self._means.tokens, texts_of(body))) > most:
            self._problems.add(name, line.number, "too_long", f"The row has more than {most} tokens.")
            self._remove(name, line.number, "too_long")
            return None
        if self._options.duplicates:
            digest = sha256(Encoder(order="deterministic").encode(body)).digest()
            first = self._known.setdefault(digest, f"{name}, line {line.number}")
            if first != f"{name}, line {line.number}":
                self._remove(name, line.number, "duplicate", first)
                return None
        return body

    def _hidden(self, body: Json) -> Json:
        masks = self._means.masks()
        hidden: Json = mapped(body, masks)
        if masks.counts:
            self.masked.update(masks.counts)
            self.masked_rows += 1
        return hidden

    def _remove(self, file: str, line: int, why: Why, like: str = "") -> None:
        self.removed[why] += 1
        if self.removed[why] <= MOST_SAMPLES:
            self.samples.append(Removed(file=file, line=line, why=why, like=like))


def _has_consent(row: Json, wanted: Consent) -> bool:
    metadata = row.get("metadata")
    said: Any = metadata.get("consent") if isinstance(metadata, dict) else None  # Any: JSON
    word = str(said).strip().casefold() if said is not None else ""
    if wanted == "any":
        return True
    return word in YES if wanted == "stated" else word not in NO


class _Writer:
    """A file that is written beside its place, and moved there when all is well."""

    def __init__(self, path: Path, source: Path) -> None:
        self.path = path
        self.source = source
        self.source_digest = ""
        self.rows_read = self.rows = self.chars = self.tokens = self.longest = 0
        self._beside = path.with_name(path.name + ".part")
        self._file = self._beside.open("wb")
        self._digest = sha256()

    def write(self, body: Json, tokens: int) -> None:
        """Add a row."""
        line = _encode(body) + b"\n"
        self._file.write(line)
        self._digest.update(line)
        self.rows += 1
        self.chars += sum(map(len, texts_of(body)))
        self.tokens += tokens
        self.longest = max(self.longest, tokens)

    def finish(self) -> Part:
        """Put the file in its place. Raises: OSError."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._beside.replace(self.path)
        return Part(
            path=str(self.path), source=self.source.name, source_digest=self.source_digest,
            digest=self._digest.hexdigest(), rows_read=self.rows_read, rows=self.rows, chars=self.chars,
            tokens=self.tokens, longest_tokens=self.longest,
        )  # fmt: skip

    def discard(self) -> None:
        """Leave nothing half-done behind."""
        self._file.close()
        self._beside.unlink(missing_ok=True)
