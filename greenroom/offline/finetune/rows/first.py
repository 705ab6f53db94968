"""For which method a file is written, by its first row that tells."""

from pathlib import Path

from greenroom.offline.finetune.plan import Method
from greenroom.offline.finetune.rows.form import method_of
from greenroom.offline.finetune.rows.lines import Lines
from greenroom.offline.finetune.rows.problems import Problems

_LOOKED_AT = 100


def method_in(path: Path) -> Method:
    """The method; `supervised` where no row tells, so that its faults are told as such."""
    for line, _ in zip(Lines(path, Problems()), range(_LOOKED_AT), strict=False):
        found = method_of(line.row)
        if found is not None:
            return found
    return "supervised"
