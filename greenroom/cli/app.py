"""All commands by name, the two options they share, and what their errors look like.

Commands are named by import path and loaded when one of them is used. Knows no store and no server.
"""

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import App, CoercionError, CycloptsError, Parameter, UnusedCliTokensError

from greenroom import __version__
from greenroom.cli.output import fail
from greenroom.cli.place import ENVIRONMENT, INCONCLUSIVE, USAGE, Place, exit_code
from greenroom.errors import GreenroomError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
"""What a disk says that took not all of the output."""
_KINDS = {
    "bool": "yes or no",
    "int": "a whole number",
    "float": "a number",
    "Decimal": "a number",
    "date": "a date such as 2026-11-27",
    "datetime": "a time such as 2026-11-27 or 2026-11-27T15:04",
}
"""What an argument should have been, in words."""
_HELP = "Every prompt prepared, grounded, checked and looked over: one program around your language models."

COMMANDS = {
    "serve": ("serve:serve", "Start Greenroom and keep it running."),
    "ask": ("ask:ask", "Ask one question through the whole pipeline, without a server."),
    "check": ("check:check", "Say what the check stage finds in a text."),
    "init": ("init:init", "Write a commented greenroom.toml that equals the defaults."),
    "config": ("config:app", "Check the configuration file, or explain its keys."),
    "models": ("models:app", "List who can answer, say who would be asked first, and bring models here."),
    "route": ("route:app", "Train routers that choose a model by what the prompt says, and look at them."),
    "providers": ("providers:app", "List providers, and keep their keys sealed in the data folder."),
    "import": ("importing:app", "Turn another program's configuration into a greenroom.toml."),
    "optimize": ("optimize:optimize", "Look for a better version of a prompt, and prove it."),
    "keys": ("keys:app", "Make, list, limit, rotate and revoke the keys that clients use."),
    "docs": ("docs:app", "Add, list, search and remove the documents that answers draw on."),
    "prompts": ("prompts:app", "Keep prompts as versions: add, compare, promote, roll back, lint."),
    "memory": ("memory:app", "Show, add and forget what is remembered of users."),
    "trace": ("trace:app", "Look at what was recorded."),
    "experiments": (
        "experiments:app",
        "Compare models and prompts in live traffic: list, show, stop, promote.",
    ),
    "batch": ("batch:app", "Have a file of requests answered in the background, and fetch what came."),
    "deploy": (
        "deploy:app",
        "Put a model, prompt or policy before an app: canary, shadow, promote, rollback.",
    ),
    "drift": ("drift:app", "See what moved against the weeks before, and ask canary prompts."),
    "quality": ("quality:quality", "Show scores of live traffic, each mean with its interval."),
    "usage": ("usage:usage", "Sum up tokens and costs by project, key, model, app, user, tag or day."),
    "finetune": ("finetune:app", "Train models on this machine, and look at how that goes."),
    "eval": ("eval:app", "Run evaluations, compare runs, and report what they tell."),
    "alerts": ("alerts:app", "See what fires, acknowledge it, silence it, and test where it is sent."),
    "audit": ("audit:app", "Look at the audit log, and see that nobody changed it."),
    "db": ("db:app", "Check, copy, put back and bring up to date the stores in the data folder."),
    "doctor": ("doctor:doctor", "Say what is wrong here, and the command that mends it."),
    "bench": ("bench:bench", "Measure speed against nginx. Needs a checkout of the sources."),
}
"""Name → where it is, and its line in the help."""


def _build() -> App:
    commands = App(
        name="greenroom",
        help=_HELP,
        version=__version__,
        version_flags=["--version"],
        help_format="plaintext",
    )
    for name, (target, summary) in COMMANDS.items():
        commands.command(f"greenroom.cli.{target}", name=name, help=summary)

    @commands.meta.default
    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        config: Path | None = None,
        data: Path | None = None,
    ) -> int:
        """Run a command.

        Parameters
        ----------
        config
            The configuration file; otherwise GREENROOM_CONFIG, then ./greenroom.toml.
        data
            The folder of the stores; otherwise GREENROOM_DATA, then what the configuration says.
        """
        command, bound, ignored = commands.parse_args(tokens, print_error=False, exit_on_error=False)
        with ExitStack() as at_end:
            extra = {"place": Place(config, data, os.environ, at_end)} if "place" in ignored else {}
            result = command(*bound.args, **bound.kwargs, **extra)
        return result if isinstance(result, int) else 0

    return commands


def run(tokens: Sequence[str]) -> int:
    """Run one command; errors become one sentence on stderr and an exit code."""
    commands = _build()
    try:
        result = commands.meta(
            list(tokens), print_error=False, exit_on_error=False, result_action="return_value"
        )
        sys.stdout.flush()
    except CycloptsError as error:
        return fail(_sentence(error), USAGE)
    except GreenroomError as error:
        return fail(str(error), exit_code(error))
    except KeyboardInterrupt:
        return INCONCLUSIVE
    except BrokenPipeError:  # the reader left, as in `greenroom trace list | head -1`
        _drop_output()
        return 0
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _drop_output()
        return fail(
            f"Not all was written: {error.strerror}. Free some space, then run it again.", ENVIRONMENT
        )
    return result if isinstance(result, int) else 0


def _drop_output() -> None:
    """What is still to be written to stdout goes nowhere: Python would complain of it at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sentence(error: CycloptsError) -> str:
    text = " ".join(str(error).replace("...", "…").split()).rstrip(".")
    if isinstance(error, UnusedCliTokensError):
        text = f"Too many arguments: {' '.join(error.unused_tokens or ())}"
    before, _, kind = text.partition(" into ")
    if isinstance(error, CoercionError) and kind.removesuffix("|None") in _KINDS:
        text = f"{before.replace('unable to convert ', '')} is not {_KINDS[kind.removesuffix('|None')]}"
    return f"{text}. See 'greenroom --help'."
