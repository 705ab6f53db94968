"""Compile the price book that Greenroom ships from the package genai-prices.

Run it in an environment of its own that has genai-prices; Greenroom's needs neither it nor its dependencies:

    python scripts/build_prices.py greenroom/data/prices

Prices become whole pico-dollars per token, tiers by the prompt's length one list of full rates, service
tiers rates of their own, names a table of exact ones and the rules for all others, in the source's order.
Prints what was left out. Fails on a regex that repeats a group.
"""

import json
import re
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

PACKAGE = "genai-prices"
_REPEATED_GROUP = re.compile(r"\)[*+{]")
_TOKENS = (
    "input_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok", "output_mtok",
    "output_reasoning_mtok", "input_audio_mtok", "cache_audio_read_mtok", "output_audio_mtok",
)  # fmt: skip
_COUNTED = frozenset({*_TOKENS, "requests_kcount"})
_TIERS = ("service_tier", "processing", "speed")
"""What a variant of the prices may depend on and an answer says of itself; of others we hear nothing."""
_KINDS = ("equals", "starts_with", "ends_with", "contains", "regex")


def main() -> None:
    """Write `prices.json` and the licence of its source into the folder named on the command line."""
    from genai_prices.data import providers  # type: ignore[import-not-found]  # noqa: PLC0415  # not installed here

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    book = {
        "source": PACKAGE,
        "version": version(PACKAGE),
        "date": datetime.now(UTC).date().isoformat(),
        "notice": "Prices from genai-prices, MIT License, see NOTICE. Pico-dollars per token.",
        "providers": {one.id: compile_provider(one) for one in providers},
    }
    text = json.dumps(book, ensure_ascii=False, separators=(",", ":"))
    (folder / "prices.json").write_text(text.replace('},"', '},\n"') + "\n", encoding="utf-8")
    licence = next(file for file in distribution(PACKAGE).files or () if file.name == "LICENSE").read_text()
    (folder / "NOTICE").write_text(
        f"prices.json is compiled from {PACKAGE} {book['version']} "
        f"(https://github.com/pydantic/genai-prices) on {book['date']}.\n\n{licence}",
        encoding="utf-8",
    )
    models = [model for one in providers for model in one.models]
    priced = sum(len(compile_periods(model)) > 0 for model in models)
    print(f"{len(providers)} providers, {len(models)} models, {priced} with a price per token")


def compile_provider(provider: Any) -> dict[str, object]:
    """One provider's models, exact names and rules."""
    models = [
        [one.id, one.context_window, compile_periods(one), compile_variants(one)] for one in provider.models
    ]
    exact: dict[str, int] = {}
    rules: list[list[object]] = []
    for index, model in enumerate(provider.models):
        for name in equal_names(model.match):
            first = next(place for place, one in enumerate(provider.models) if one.is_match(name))
            exact[name] = first
        rule = compile_rule(model.match)
        if rule is not None:
            rules.append([index, rule])
    out: dict[str, object] = {"models": models, "exact": exact, "rules": rules}
    if provider.fallback_model_providers:
        out["fallback"] = provider.fallback_model_providers
    return out


def equal_names(match: Any) -> list[str]:
    """The names that a clause gives in full."""
    if hasattr(match, "equals"):
        return [match.equals.lower()]
    return [name for one in getattr(match, "or_", ()) for name in equal_names(one)]


def compile_rule(match: Any, *, in_all: bool = False) -> list[object] | None:
    """A clause without its exact names, unless they stand inside an "all"; None when nothing is left."""
    if hasattr(match, "equals") and not in_all:
        return None
    for kind in _KINDS:
        if hasattr(match, kind):
            text = getattr(match, kind)
            if kind == "regex" and _REPEATED_GROUP.search(text):
                raise SystemExit(f"{text!r} repeats a group: it could take for ever on a long name")
            return [kind, text if kind == "regex" else text.lower()]
    if hasattr(match, "and_"):
        return ["all", "", [compile_rule(one, in_all=True) for one in match.and_]]
    rules = [rule for one in match.or_ if (rule := compile_rule(one, in_all=in_all)) is not None]
    if len(rules) < 2:
        return rules[0] if rules else None
    return ["any", "", rules]


def compile_periods(model: Any) -> list[list[object]]:
    """The model's rates through time; empty when it is not sold by the token."""
    if not isinstance(model.prices, list):
        rates = compile_rates(model.prices)
        return [] if rates is None else [[*rates, None, None]]
    out: list[list[object]] = []
    for one in model.prices:
        rates = compile_rates(one.prices)
        if rates is None:
            return []
        out.append([*rates, *compile_constraint(one.constraint)])
    return out


def compile_variants(model: Any) -> dict[str, list[list[object]]]:
    """The rates through time under each service tier that has its own: `batch`, `flex`, `priority`, `fast`.

    A variant names only what differs, and from when on: what it leaves out costs as usual.
    """
    out: dict[str, list[list[object]]] = {}
    standard = compile_periods(model)
    for variant in model.price_variants or ():
        ((key, name),) = variant.when.items()
        if key not in _TIERS or name == "default" or name in out or not standard:
            continue
        starts = {0, *(one[2] or 0 for one in standard)}
        starts |= {start_of(one.constraint) for one in model.price_variants if one.when == {key: name}}
        if any(one[3] is not None for one in standard):
            raise SystemExit(f"{model.id} has prices by the hour and by tier: that is not compiled yet")
        periods = []
        for start in sorted(starts):
            rates = compile_rates(model.get_prices(datetime.fromtimestamp(start, UTC), {key: name}))
            assert rates is not None
            if not periods or periods[-1][:2] != rates:
                periods.append([*rates, start or None, None])
        if periods != standard:
            out[name] = periods
    return out


def start_of(constraint: Any) -> int:
    """From when on a constraint holds, in Unix seconds."""
    start = 0 if constraint is None else compile_constraint(constraint)[0]
    assert isinstance(start, int), "variants of prices begin on a day, or always"
    return start


def compile_constraint(constraint: Any) -> list[object]:
    """Start in Unix seconds and hours of the day in seconds; None where there is no such limit."""
    if constraint is None:
        return [None, None]
    if hasattr(constraint, "start_date"):
        day: date = constraint.start_date
        return [int(datetime.combine(day, time(), UTC).timestamp()), None]
    return [None, [second_of_day(constraint.start_time), second_of_day(constraint.end_time)]]


def second_of_day(value: time) -> int:
    """Seconds since midnight in UTC."""
    moment = datetime.combine(date(2000, 1, 1), value if value.tzinfo else value.replace(tzinfo=UTC))
    at = moment.astimezone(UTC).time()
    return at.hour * 3600 + at.minute * 60 + at.second


def compile_rates(prices: Any) -> list[object] | None:
    """`[rates, [[above, rates], …]]`, or None without a price per input token."""
    given = {key: value for key, value in vars(prices).items() if value is not None and key in _COUNTED}
    if "input_mtok" not in given:
        return None
    starts = {
        tier.start for value in given.values() if not isinstance(value, Decimal) for tier in value.tiers
    }
    return [rates_at(given, 0), [[start, rates_at(given, start + 1)] for start in sorted(starts)]]


def rates_at(given: dict[str, Any], input_tokens: int) -> list[int]:
    """All rates for a prompt of this length; what has no price of its own is sold as its kind is."""

    def at(key: str) -> int | None:
        value = given.get(key)
        if value is None:
            return None
        if not isinstance(value, Decimal):
            reached = [tier.price for tier in value.tiers if input_tokens > tier.start]
            value = reached[-1] if reached else value.base
        return round(value * 1_000_000)  # some went through binary fractions, some are a twelfth of a dollar

    usual, cached, written, written_1h, output, reasoning, heard, heard_again, spoken = map(at, _TOKENS)
    assert usual is not None
    made = 0 if output is None else output  # embeddings: nothing comes out that could be sold
    per_request = round(given.get("requests_kcount", Decimal(0)) * 1_000_000_000)
    read = usual if cached is None else cached
    kept = usual if written is None else written
    audio = usual if heard is None else heard
    return [
        usual,
        read,
        kept,
        kept if written_1h is None else written_1h,
        made,
        made if reasoning is None else reasoning,
        audio,
        heard_again if heard_again is not None else read if heard is None else audio,
        made if spoken is None else spoken,
        per_request,
    ]


if __name__ == "__main__":
    main()
