"""A suite: what is asked, of whom, how it is scored, and what must hold. One file, TOML or JSON."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from greenroom.errors import MalformedRequest
from greenroom.offline.evals.data import DataSet, read_file
from greenroom.offline.evals.gates import Rule, parse_rule
from greenroom.offline.evals.kept import kept_data
from greenroom.store.evals import EvalStore

_FILES = (".jsonl", ".json", ".csv", ".tsv")


class SubjectTable(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[subjects.NAME]: who is asked: an app, a model, both (the app with that model), or a function.

    With a prompt, it stands in the place of the app's own.
    """

    app: str | None = None
    model: str | None = None
    """A configured model or `provider/model`; without an app in front of the default app's steps."""
    prompt: str | None = None
    """A version of a prompt, as `name`, `name@3` or `name@label`: filled with the sample's variables, or with
    its question where the prompt needs one text.
    """
    function: str | None = None
    """`file.py:name` in the suite's folder, or `module:name`: called with the sample."""
    settings: dict[str, Any] = {}  # Any: fields of the chat dialect
    """Fields of every request: temperature, max_tokens, …"""

    def __post_init__(self) -> None:
        if bool(self.function) == bool(self.app or self.model or self.prompt):
            raise ValueError("a subject is an app, a model, a prompt, several of these, or a function")
        if self.function and self.settings:
            raise ValueError("a function takes no settings")


class Suite(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    data: Annotated[str, Meta(min_length=1)]
    """A file beside the suite, or the name of a kept data set, as name or name@version."""
    subjects: Annotated[dict[str, SubjectTable], Meta(min_length=1)]
    """Where there are several and no baseline is named, the first is what the others are compared with."""
    scorers: Annotated[dict[str, dict[str, Any]], Meta(min_length=1)]  # Any: decoded by each scorer
    name: str = ""
    """Without it, the file's name."""
    repeats: Annotated[int, Meta(ge=1, le=100)] = 1
    """How often each sample is asked; intervals take repeats for what they are."""
    concurrency: Annotated[int, Meta(ge=1, le=256)] = 8
    rate: Annotated[float, Meta(gt=0)] | None = None
    """Calls a second at most."""
    budget_usd: Annotated[float, Meta(gt=0)] | None = None
    """What all runs of the suite may cost together."""
    baseline: str | None = None
    """The run that all subjects are compared with: its id, or its name, the newest finished one of it."""
    fail_on: tuple[str, ...] = ()

    def rules(self) -> list[Rule]:
        """What must hold. Raises: MalformedRequest."""
        return [parse_rule(text) for text in self.fail_on]


def read_suite(path: Path) -> Suite:
    """Read a suite. Raises: MalformedRequest that names the file and the key."""
    try:
        text = path.read_text(encoding="utf-8")
        tables = msgspec.json.decode(text) if path.suffix == ".json" else tomllib.loads(text)
        suite = msgspec.convert(tables, Suite)
    except OSError as error:
        raise MalformedRequest(f"'{path}' can't be read: {error.strerror or error}.", "suite") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.MsgspecError) as error:
        raise MalformedRequest(f"{path}: {error}.", "suite") from None
    suite.rules()
    return suite if suite.name else msgspec.structs.replace(suite, name=path.stem)


def data_of(named: str, folder: Path, store: EvalStore) -> DataSet:
    """What a suite names: a file in its folder, or a kept data set. Raises: MalformedRequest; NotFound."""
    if named.lower().endswith(_FILES):
        return read_file(folder / named)
    return kept_data(store, named)
