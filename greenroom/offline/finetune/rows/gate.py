"""What each row passes on its way to training, and what was left out or hidden on that way."""

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256

from msgspec.json import Encoder

from greenroom.offline.finetune.plan import Method
from greenroom.offline.finetune.rows.duplicates import Bands, repeats
from greenroom.offline.finetune.rows.form import faults, mapped, method_of, only_known, texts_of
from greenroom.offline.finetune.rows.held_out import HeldOut, held_out
from greenroom.offline.finetune.rows.lines import Json, Line, Lines
from greenroom.offline.finetune.rows.options import Asked, Means, Options, has_consent
from greenroom.offline.finetune.rows.prepared import Removed, Why
from greenroom.offline.finetune.rows.problems import Problems
from greenroom.offline.finetune.rows.staged import Staged

MOST_SAMPLES = 20
"""Removed rows of one reason that are told one by one; the rest is counted."""
_DIGEST_BYTES = 16
"""Of SHA-256: two different rows among a billion share it with a chance of 1e-21."""
_NEVER_PERSONAL = frozenset(("role",))
_encode = Encoder(order="deterministic").encode


class Gate:
    """One preparation. Rows of validation go first: what is like one of them is not trained on."""

    def __init__(self, method: Method, options: Options, means: Means, problems: Problems) -> None:
        self._method = method
        self._options = options
        self._means = means
        self._problems = problems
        self._known: dict[bytes, int] = {}
        """Rows by their digest, counted through."""
        self._bands = Bands()
        self._places: list[tuple[Staged, int]] = []
        """Where the rows of each file begin, counted through."""
        self._gone: set[tuple[int, int]] = set()
        self._held = evaluation_of(options, means)
        self.removed: Counter[str] = Counter()
        self.samples: list[Removed] = []
        self.masked: Counter[str] = Counter()
        self.masked_rows = 0

    def run(self, file: Staged) -> None:
        """One file through the gate, into its place beside."""
        self._places.append((file, self._bands.rows))
        lines = Lines(file.source, self._problems)
        for line in self._fit(lines, file.source.name):
            self._pass(line, file)
        file.source_digest, file.rows_read = lines.digest, lines.rows

    def compare(self) -> None:
        """Find the rows that nearly say the same as an earlier one, in all files that were run."""
        if not self._options.duplicates:
            return
        for number, like in repeats(self._bands, self._read):
            file, place = self._found(number)
            self._gone.add((id(file), place))
            self._repeated(file, file.lines[place], "near_duplicate", like)

    def stays(self, file: Staged, number: int) -> bool:
        """Whether a row that was staged is to be written."""
        return (id(file), number) not in self._gone

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

    def _pass(self, line: Line, file: Staged) -> None:
        options = self._options
        metadata = line.row.get("metadata")
        told = metadata if isinstance(metadata, dict) else {}
        if not has_consent(told.get("consent"), options.consent):
            self._remove(file, line.number, "no_consent")
            return
        body = only_known(line.row, self._method)
        if options.mask:
            body = self._hidden(body)
        tokens = sum(map(self._means.tokens, texts_of(body)))
        if options.max_tokens is not None and tokens > options.max_tokens:
            name, said = (
                file.source.name,
                f"The row has about {tokens} tokens, more than {options.max_tokens}.",
            )
            self._problems.add(name, line.number, "too_long", said)
            self._remove(file, line.number, "too_long")
            return
        held = self._held.find(body) if options.evaluation else None
        if held is not None:
            self._remove(file, line.number, "evaluation", held)
            return
        if options.duplicates:
            number = self._bands.rows
            first = self._known.setdefault(sha256(_encode(body)).digest()[:_DIGEST_BYTES], number)
            if first != number:
                self._repeated(file, line.number, "duplicate", first)
                return
            self._bands.add(body)
        file.add(line.number, body, tokens, told.get("trace"))

    def _repeated(self, file: Staged, line: int, why: Why, first: int) -> None:
        """A row that says what an earlier one does, in this file or in that of validation."""
        other, place = self._found(first)
        where = f"{other.source.name}, line {other.lines[place]}"
        self._remove(file, line, why if other is file else "validation", where)

    def _hidden(self, body: Json) -> Json:
        masks = self._means.masks(_encode(body).decode())
        hidden: Json = mapped(body, masks, _NEVER_PERSONAL)
        if masks.counts:
            hidden = mapped(hidden, masks.known, _NEVER_PERSONAL)
            self.masked.update(masks.counts)
            self.masked_rows += 1
        return hidden

    def _found(self, number: int) -> tuple[Staged, int]:
        file, start = next(one for one in reversed(self._places) if one[1] <= number)
        return file, number - start

    def _read(self, number: int) -> Json:
        file, place = self._found(number)
        return file.read(place)

    def _remove(self, file: Staged, line: int, why: Why, like: str = "") -> None:
        self.removed[why] += 1
        if self.removed[why] <= MOST_SAMPLES:
            self.samples.append(Removed(file=file.source.name, line=line, why=why, like=like))


def evaluation_of(options: Options, means: Means) -> HeldOut:
    """What evaluation asks, with the masks that a row of training gets."""

    def masked(row: Asked) -> Asked:
        if not options.mask:
            return row
        masks = means.masks("\n".join((*row.turns, row.expected)))
        return Asked([masks(one) for one in row.turns], masks(row.expected))

    if not options.evaluation:
        return held_out(())
    return held_out((one.name, map(masked, one.rows)) for one in means.evaluation)
