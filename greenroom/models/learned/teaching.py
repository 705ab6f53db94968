"""From scored answers to a router that is worth having, or the reason why there is none."""

from collections.abc import Callable

from msgspec.structs import replace

from greenroom.models.learned.examples import Examples
from greenroom.models.learned.file import Trained
from greenroom.models.learned.held_out import TELLS, Figures, measure, refusal, routable
from greenroom.models.learned.predictor import Glance
from greenroom.models.learned.training import Tell, fit, prepare


class Unsupported(Exception):
    """The examples carry no router; a sentence that says why and what to do."""


def teach(
    examples: Examples,
    glance: Glance | None,
    language_of: Callable[[str], str],
    *,
    source: str = "",
    made_at: str = "",
    tell: Tell = lambda _: None,
) -> Trained:
    """Train a router and measure it on prompts left out. Raises: Unsupported.

    Without evidence that prompts tell which target is better there is no router, unless one target is better
    than the others and not dearer: then it is a router that always asks this one.
    """
    reason = refusal(examples)
    if reason is not None:
        raise Unsupported(reason)
    seen = prepare(routable(examples), glance, language_of, tell)
    reason = refusal(seen.examples)
    if reason is not None:
        raise Unsupported(reason)
    fitted = fit(seen, source=source, tell=tell)
    figures = measure(seen.examples, fitted.chances)
    if figures.tells < TELLS and figures.dominant is None:
        raise Unsupported(_said(figures, len(seen.examples.prompts)))
    header = replace(
        fitted.trained.header, figures=figures.flat(), made_at=made_at, dominant=figures.dominant
    )
    return Trained(header, fitted.trained.arrays)


def _said(figures: Figures, prompts: int) -> str:
    return (
        f"from {prompts:,} prompts it can't be told which target answers which prompt better "
        f"({figures.tells:.1f} standard errors; {TELLS} are needed), and no target is better than all others "
        "without being dearer. Score more prompts, best of all the same ones with every target, or choose by "
        'price: route = "cheapest".'
    )
