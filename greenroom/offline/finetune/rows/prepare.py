"""A training file made ready: checked line by line, cleaned, and written as what the trainer reads.

`prepare` is what jobs call, and `greenroom finetune check`. Nothing is written unless the whole file is fit;
what is removed is told by line and reason, never by what it said.
"""

from functools import partial
from hashlib import sha256
from pathlib import Path

from greenroom.errors import InfrastructureError, RequestError
from greenroom.offline.finetune.plan import Method
from greenroom.offline.finetune.rows.gate import Gate
from greenroom.offline.finetune.rows.options import Means, Options
from greenroom.offline.finetune.rows.prepared import Prepared
from greenroom.offline.finetune.rows.problems import Problems
from greenroom.offline.finetune.rows.staged import Staged

_WRITTEN = ("train.jsonl", "valid.jsonl")


def prepare(
    train: Path, valid: Path | None, out: Path, method: Method, options: Options, means: Means
) -> Prepared:
    """Check and clean a training file and one for validation, into `train.jsonl`, `valid.jsonl` in `out`.

    Rows of training that say what one of validation says are left out. Reads line by line: a line may have 4
    MB, a file any size; some 200 bytes a row stay in memory. Blocks: call it beside the event loop.

    Raises: Unfit, which carries every problem with its line and remedy; RequestError where a file lies where
    rows would be written; InfrastructureError where `out` can't be written.
    """
    for source in (train, valid):
        if source is not None and source.resolve() in {(out / name).resolve() for name in _WRITTEN}:
            raise RequestError(
                f"'{source}' would be replaced by what is written: name another folder.", "out"
            )
    problems = Problems()
    gate = Gate(method, options, means, problems)
    staged: list[Staged] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        if valid is not None:
            staged.append(Staged(out / "valid.jsonl", valid))
            gate.run(staged[0])
        staged.append(Staged(out / "train.jsonl", train))
        gate.run(staged[-1])
        problems.order(train.name)
        if len(staged) > 1 and staged[0].source_digest == staged[1].source_digest:
            problems.add(train.name, 0, "same_as_train", "The file for validation is the same.")
        problems.raise_if_any()
        gate.compare()
        for file in staged:
            rows = file.keep(partial(gate.stays, file))
            least = options.least_rows if file is staged[-1] else 1
            if rows < least:
                left = f" of {file.rows_read}; the gate left the others out" if rows < file.rows_read else ""
                problems.add(file.source.name, 0, "too_few_rows", f"There are {rows} rows{left}.")
        problems.raise_if_any()
        parts = [file.finish(partial(gate.stays, file)) for file in staged]
    except OSError as error:
        raise InfrastructureError(f"'{out}' can't be written: {error.strerror or error}.") from None
    finally:
        for file in staged:
            file.discard()
    warnings = problems.warnings()
    return Prepared(
        method=method, train=parts[-1], valid=parts[0] if len(parts) > 1 else None,
        digest=sha256("\n".join(one.digest for one in reversed(parts)).encode()).hexdigest(),
        removed=dict(gate.removed), samples=tuple(sorted(gate.samples, key=lambda one: (one.file, one.line))),
        masked=dict(gate.masked), masked_rows=gate.masked_rows, warnings=warnings,
        warning_counts={kind: problems.counts[kind] for kind in sorted({one.kind for one in warnings})},
    )  # fmt: skip
