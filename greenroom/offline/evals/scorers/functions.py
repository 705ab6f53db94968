"""Functions in Python that a suite names: scorers, and subjects.

`file.py:name` is a file in the suite's own folder, `module:name` what Python finds. Nothing is loaded that
the suite does not name, and running a suite runs these functions: read one that came from elsewhere first.
"""

import asyncio
import inspect
import sys
from collections.abc import Callable
from hashlib import sha256
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from math import isfinite
from pathlib import Path
from typing import Any

from msgspec import structs

from greenroom.errors import MalformedRequest
from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.offline.evals.scorers.settings import Lent, Settings

Function = Callable[..., Any]  # Any: what the user's function gives


def load_function(named: str, folder: Path) -> Function:
    """What `file.py:name` or `module:name` means. Raises: MalformedRequest that says what is not there."""
    place, _, name = named.partition(":")
    if not place or not name:
        raise MalformedRequest(f"'{named}' names no function. Write file.py:name or module:name.", "function")
    module = _from_file(place, folder) if place.endswith(".py") else _from_module(place)
    found = getattr(module, name, None)
    if not callable(found):
        raise MalformedRequest(f"There is no function '{name}' in '{place}'.", "function")
    return found  # type: ignore[no-any-return]  # callable() tells no signature


def fingerprint_of(named: str, folder: Path) -> str:
    """Changes with the function's file, as far as that is known: another file it uses may change unseen."""
    place, _, _ = named.partition(":")
    if place.endswith(".py"):
        return sha256(named.encode() + (folder / place).read_bytes()).hexdigest()
    path = getattr(_from_module(place), "__file__", None)
    return sha256(named.encode() + (Path(path).read_bytes() if path else b"")).hexdigest()


async def call(function: Function, *arguments: object) -> Any:  # Any: what the user's function gives
    """Call it, in a thread where it is no coroutine: it may take its time."""
    if inspect.iscoroutinefunction(function):
        return await function(*arguments)
    given = await asyncio.to_thread(function, *arguments)
    return await given if inspect.isawaitable(given) else given


def _from_file(place: str, folder: Path) -> object:
    root = folder.resolve()
    path = (root / place).resolve()
    if not path.is_relative_to(root):
        raise MalformedRequest(
            f"'{place}' lies outside the suite's folder. Put the file beside it.", "function"
        )
    if not path.is_file():
        raise MalformedRequest(f"There is no file '{place}' in the suite's folder.", "function")
    name = f"greenroom_suite_{sha256(str(path).encode()).hexdigest()[:12]}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise MalformedRequest(f"'{place}' is no Python file.", "function")
    module = sys.modules[name] = module_from_spec(spec)  # where dataclasses and pickles look for it
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's own file: whatever it raises is said
        raise MalformedRequest(
            f"'{place}' can't be loaded: {type(error).__name__}: {error}", "function"
        ) from error
    return module


def _from_module(place: str) -> object:
    try:
        return import_module(place)
    except ImportError as error:
        raise MalformedRequest(f"The module '{place}' can't be imported: {error}.", "function") from None


class PythonConfig(Settings, frozen=True):
    """`python`: a function of your own, called with the `Sample` and the `Output`."""

    function: str
    """`file.py:name`, in the suite's folder, or `module:name`."""
    higher_is_better: bool = True


class Python:
    """What the function gives: a number, True or False, a `Score`, or None to abstain."""

    def __init__(self, name: str, settings: PythonConfig, lent: Lent) -> None:
        self.name = name
        self.higher_is_better = settings.higher_is_better
        self._function = load_function(settings.function, lent.folder)

    async def score(self, sample: Sample, output: Output) -> Score:
        """By the function; what it raises becomes the score's error."""
        given = await call(self._function, sample, output)
        if isinstance(given, Score):
            return structs.replace(given, name=self.name)
        if given is None:
            return Score(name=self.name, reason="The function abstained.")
        if isinstance(given, bool):
            return Score(name=self.name, value=float(given), passed=given)
        if isinstance(given, int | float) and isfinite(given):
            return Score(name=self.name, value=float(given))
        return Score(name=self.name, error=f"The function gave {type(given).__name__}, not a finite number.")
