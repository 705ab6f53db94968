"""The scorer that a rule of `[quality]` means."""

from collections.abc import Mapping

from greenroom.errors import MalformedRequest
from greenroom.offline.evals.sample import Scorer
from greenroom.offline.evals.scorers.registry import SCORERS, make_scorers
from greenroom.offline.evals.scorers.settings import Kind, Lent
from greenroom.offline.quality.plan import QualityRule


def made(name: str, rule: QualityRule, lent: Lent, kinds: Mapping[str, Kind] = SCORERS) -> Scorer:
    """The scorer of a rule. Raises: MalformedRequest; ExtraMissing."""
    if rule.scorer == "regex" and "pattern" not in rule.settings:
        raise MalformedRequest(f"[quality.{name}]: a regex needs its settings.pattern.", "quality")
    if "file" in rule.settings:
        raise MalformedRequest(
            f"[quality.{name}]: write the schema itself under settings.schema; files are not read.", "quality"
        )
    try:
        (scorer,) = make_scorers({name: rule.table()}, lent, kinds)
    except MalformedRequest as error:
        raise MalformedRequest(
            str(error).replace(f"[scorers.{name}]", f"[quality.{name}]"), "quality"
        ) from None
    return scorer
