"""A job looked at in a process of its own before it is run: how many tokens, how fast this machine is.

Blocks: for worker threads. Some ten seconds, most of them to load the libraries.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec import DecodeError
from msgspec.json import Decoder

from greenroom.errors import InfrastructureError, RequestError
from greenroom.offline.finetune.child import command, surroundings
from greenroom.offline.finetune.plan import EXIT_FAILED
from greenroom.offline.finetune.resources import Survey

PATIENCE_S = 300.0
"""A gigabyte of rows takes about a minute."""
MOST_SAID = 2000
_surveys = Decoder(Survey)


class _Ended(NamedTuple):
    code: int
    out: bytes
    said: str


def survey(
    folder: Path, *, threads: int | None = None, environment: Mapping[str, str] | None = None
) -> Survey:
    """Look at the job in `folder`, which holds plan.json and its rows. Nothing is written there.

    Raises: RequestError for a job that can't be run, as the run itself would say it; InfrastructureError when
    the process ends otherwise, or takes too long.
    """
    told = surroundings(os.environ if environment is None else environment, folder, threads)
    ended = _run([*command("greenroom.offline.finetune.trainer.survey"), str(folder.absolute())], told)
    if ended.code == EXIT_FAILED:
        raise RequestError(ended.said or "The job can't be run.")
    if ended.code:
        raise InfrastructureError(f"The look at the job ended with code {ended.code}: {ended.said}")
    try:
        return _surveys.decode(ended.out.splitlines()[-1])
    except (DecodeError, IndexError) as error:
        raise InfrastructureError(f"The look at the job told nothing that can be read ({error}).") from None


def _run(line: list[str], environment: dict[str, str]) -> _Ended:
    try:
        done = subprocess.run(  # noqa: S603  # our own module
            line, env=environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_S,
            check=False, cwd="/",
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise InfrastructureError(f"The look at the job took more than {PATIENCE_S:.0f} s.") from None
    except OSError as error:
        raise InfrastructureError(
            f"The look at the job can't be started: {error.strerror or error}."
        ) from None
    return _Ended(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace").strip()[-MOST_SAID:])
