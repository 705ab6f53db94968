"""What came of a batch's lines, as files for who asked: every line stands in one of the two, once.

Functions block. Raises: StoreError, TooLarge where the project's files take what they may take.
"""

from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from greenroom.grounding.files import Files
from greenroom.offline.batches.input import numbered
from greenroom.store.batches import BatchRow, BatchStore, Result
from greenroom.wire.batch_lines import failed_line, read_line

PURPOSE = "batch_output"
_MOST_BYTES = 1 << 40
"""The project's quota is what limits results."""
_CHUNK = 500


def request_id() -> str:
    """Of one line's result."""
    return f"batch_req_{token_hex(16)}"


def fill(store: BatchStore, row: BatchRow, path: Path) -> None:
    """Say of each line that came to nothing why."""
    known = store.known(row.number)
    if len(known) >= row.total:
        return
    left: list[Result] = []
    for number, data in numbered(path):
        if number in known:
            continue
        custom_id = read_line(data, row.endpoint).custom_id
        said = failed_line(request_id(), custom_id, row.left_code, row.left_message)
        left.append(Result(number, is_fine=False, body=said))
        if len(left) == _CHUNK:
            store.keep(row.number, left)
            left = []
    store.keep(row.number, left)


def write(store: BatchStore, files: Files, row: BatchRow, *, is_fine: bool) -> str | None:
    """Write one of the two files, and none without lines; its id. A second time finds the first's."""
    name = "output" if is_fine else "error"
    id = "file-" + sha256(f"{row.id} {name}".encode()).hexdigest()[:24]
    if files.get(row.project, id) is not None:
        return id
    lines = store.results(row.number, is_fine=is_fine)
    first = next(lines, None)
    if first is None:
        return None
    upload = files.begin(_MOST_BYTES)
    try:
        upload.write(first + b"\n")
        for line in lines:
            upload.write(line + b"\n")
        files.keep(
            upload, project=row.project, filename=f"{row.id}_{name}.jsonl", purpose=PURPOSE,
            expires_s=row.output_expires_s, id=id,
        )  # fmt: skip
    finally:
        upload.discard()
    return id
