"""Policies held against what there is: a name that nothing goes by would never fit, and nobody would see."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from greenroom.assembly.models import Models
from greenroom.assembly.steps import STEPS
from greenroom.config import Config
from greenroom.errors import ConfigError, nearest
from greenroom.models.dispatch import Dispatch
from greenroom.stages.check.policy import DIRECTIONS, ORIGINS, Policies, many
from greenroom.stages.check.refusal import CATEGORIES, Refusals
from greenroom.stages.check.rules import PERSONAL_NAMES, SECRET_NAMES
from greenroom.tables import at_line

_OPEN = ("injection.", "offense.", "topic.")
"""Families of rules whose members their steps know; topics are named by the operator."""
_CATEGORIES = (*(one for one in CATEGORIES if one not in ("off_topic", "answer", "other")), "canary")
"""Of findings: what is refused for, and the mark of a system prompt, for which an answer is withheld."""


def check_policies(config: Config, path: Path | None) -> None:
    """Refuse policies and refusals that can't be meant. Raises: ConfigError with file, line, nearest name."""
    if path is None or not (config.policies or config.refusals):
        return
    text = ""
    with suppress(OSError):  # only for the numbers of lines
        text = path.read_text(encoding="utf-8")
    try:
        Refusals(config.refusals)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    for name, policy in config.policies.items():
        for key, known in _known(config).items():
            for said in many(getattr(policy, key)):
                _check(
                    said, known, f"{path}{at_line(text, f'policies.{name}.{key}')}", f"policies.{name}.{key}"
                )
        try:
            Policies({name: policy})
        except ConfigError as error:
            raise ConfigError(f"{path}{at_line(text, f'policies.{name}')}: {error}") from None


def _known(config: Config) -> dict[str, tuple[str, ...]]:
    """What the keys of a policy may name; projects and keys come and go, and are not held to a list."""
    steps = (*(name for name, known in STEPS.items() if known.stage in ("check", "postprocess")),)
    return {
        "app": ("default", *config.apps),
        "direction": DIRECTIONS,
        "origin": tuple(ORIGINS),
        "step": steps,
        "category": _CATEGORIES,
        "rule": (*PERSONAL_NAMES, *SECRET_NAMES, *_OPEN),
    }


def _check(said: str, known: Iterable[str], where: str, place: str) -> None:
    known = tuple(known)
    is_family = place.endswith(".rule") and said.startswith(_OPEN)
    if said in known or is_family:
        return
    if said.endswith("*") and any(one.startswith(said[:-1]) for one in known):
        return
    close = nearest(said, known)
    hint = f"; did you mean '{close}'?" if close else f"; known are {', '.join(known)}."
    raise ConfigError(f"{where}: nothing is called '{said}'{hint} (at '{place}').")


def routes_of(config: Config, models: Models, source: str) -> dict[str, Dispatch]:
    """The models that policies send exchanges to, by name. Raises: ConfigError."""
    routes: dict[str, Dispatch] = {}
    for name, policy in config.policies.items():
        wanted = policy.route_to
        if wanted is None:
            continue
        call = models.dispatch(wanted)
        if call is None:
            raise ConfigError(
                f"{source}: policies.{name}.route_to is '{wanted}', which is neither a configured model nor "
                "'provider/model' of a configured provider."
            )
        routes[wanted] = call
    return routes
