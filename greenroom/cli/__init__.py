"""The command line. `greenroom --version` loads nothing; every command loads only what it needs."""

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0 fine · 1 findings · 2 inconclusive · 3 the environment is at fault · 64 wrong usage.
    """
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    if tokens == ["--version"]:
        from greenroom import __version__  # noqa: PLC0415  # nothing else may be loaded for this answer

        print(__version__)
        return 0
    os.umask(0o077)  # what is written holds keys and prompts: for this user alone
    from greenroom.cli.app import run  # noqa: PLC0415  # as above

    return run(tokens)
