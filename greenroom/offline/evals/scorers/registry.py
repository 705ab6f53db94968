"""The scorers by their names, and how settings become one."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from greenroom.errors import MalformedRequest, nearest
from greenroom.offline.evals.sample import Scorer
from greenroom.offline.evals.scorers.conduct import (
    Grounded,
    GroundedConfig,
    PiiConfig,
    PiiLeak,
    Refusal,
    RefusalConfig,
)
from greenroom.offline.evals.scorers.functions import Python, PythonConfig
from greenroom.offline.evals.scorers.likeness import (
    Edit,
    EditConfig,
    Overlap,
    OverlapConfig,
    Semantic,
    SemanticConfig,
)
from greenroom.offline.evals.scorers.measures import Cost, CostConfig, Latency, LatencyConfig
from greenroom.offline.evals.scorers.numbers import Numeric, NumericConfig
from greenroom.offline.evals.scorers.settings import Kind, Lent
from greenroom.offline.evals.scorers.structure import JsonSchema, JsonSchemaConfig
from greenroom.offline.evals.scorers.texts import (
    Contains,
    ContainsConfig,
    Exact,
    ExactConfig,
    Regex,
    RegexConfig,
)

SCORERS: dict[str, Kind] = {
    "exact": Kind(ExactConfig, Exact, "the answer is one of the expected texts"),
    "contains": Kind(ContainsConfig, Contains, "the answer holds what is expected"),
    "regex": Kind(RegexConfig, Regex, "the answer fits a pattern"),
    "numeric": Kind(NumericConfig, Numeric, "a number in the answer is the expected one, within a tolerance"),
    "json_schema": Kind(JsonSchemaConfig, JsonSchema, "the answer is JSON that conforms to a schema"),
    "edit": Kind(EditConfig, Edit, "likeness by letters: 1 minus the edit distance"),
    "chrf": Kind(OverlapConfig, partial(Overlap, metric="chrf"), "overlap in letters, as for translations"),
    "bleu": Kind(OverlapConfig, partial(Overlap, metric="bleu"), "overlap in words, as for translations"),
    "semantic": Kind(SemanticConfig, Semantic, "likeness of meaning, by the encoder; English only"),
    "grounded": Kind(GroundedConfig, Grounded, "how much of the answer its passages bear out"),
    "refusal": Kind(RefusalConfig, Refusal, "whether the answer declines"),
    "pii": Kind(PiiConfig, PiiLeak, "whether the answer gives personal data away"),
    "latency": Kind(LatencyConfig, Latency, "milliseconds until the answer was there"),
    "cost": Kind(CostConfig, Cost, "US dollars for the answer"),
    "python": Kind(PythonConfig, Python, "a function of your own"),
}
"""By `type`. Others may be added by whoever has what they need, a judge's model for instance."""

Table = Mapping[str, Any]  # Any: a scorer's settings, as TOML has them


def make_scorers(
    tables: Mapping[str, Table], lent: Lent, kinds: Mapping[str, Kind] = SCORERS
) -> list[Scorer]:
    """A scorer for each `[scorers.NAME]`, in their order. Raises: MalformedRequest; ExtraMissing."""
    return [_make(name, table, lent, kinds) for name, table in tables.items()]


def _make(name: str, table: Table, lent: Lent, kinds: Mapping[str, Kind]) -> Scorer:
    type_ = str(table.get("type") or name)
    kind = kinds.get(type_)
    if kind is None:
        close = nearest(type_, kinds)
        hint = f" Did you mean '{close}'?" if close else f" There are: {', '.join(kinds)}."
        raise MalformedRequest(f"[scorers.{name}]: there is no scorer '{type_}'.{hint}", "scorers")
    try:
        settings = msgspec.convert(table, kind.settings)
    except msgspec.ValidationError as error:
        raise MalformedRequest(f"[scorers.{name}]: {error}.", "scorers") from None
    return kind.make(name, settings, lent)
