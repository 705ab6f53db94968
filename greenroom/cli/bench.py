"""`greenroom bench`: the benchmark of a checkout."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import greenroom
from greenroom.errors import StoreError


def bench(*arguments: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Measure speed against nginx, on this machine. The same as `make bench`.

    Parameters
    ----------
    arguments
        Handed on to the benchmark; `greenroom bench -- --help` lists what it takes.
    """
    checkout = Path(greenroom.__file__).parent.parent
    if not (checkout / "benchmarks" / "bench.py").is_file():
        raise StoreError("The benchmark is part of the sources, not of the package. Run it in a checkout.")
    command = [sys.executable, "-m", "benchmarks.bench", *arguments]
    return subprocess.run(command, cwd=checkout, check=False).returncode  # noqa: S603  # our own module
