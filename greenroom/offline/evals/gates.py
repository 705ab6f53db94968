"""Rules that a run must keep: "exact: regression, p<0.05, min_effect=0.02", "exact: below 0.8".

Each is kept, broken or undecided, by intervals and adjusted p values, never by a bare mean.
"""

import re
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from greenroom.errors import MalformedRequest
from greenroom.offline.evals.comparison import FEWEST, Change, Metric, adjusted, needed_for

Result = Literal["pass", "regression", "inconclusive", "infrastructure"]
EXIT_CODES: dict[Result, int] = {"pass": 0, "regression": 1, "inconclusive": 2, "infrastructure": 3}
MOST_FAILED = 0.1
"""A run of which more calls than this failed says more of the line than of the subject."""
_HOW = "Write it as 'NAME: regression, p<0.05, min_effect=0.02', 'NAME: below 0.8' or 'NAME: above 2000'."
_rule = re.compile(r"\s*(?P<metric>[\w.-]+)\s*:\s*(?P<kind>regression|below|above)\b\s*(?P<rest>.*)\Z")
_p = re.compile(r"p\s*<\s*(0?\.\d+)\Z")
_effect = re.compile(r"min_effect\s*=\s*(\d*\.?\d+)(%?)\Z")
_number = re.compile(r"(\d*\.?\d+)\Z")


class Rule(Struct, kw_only=True, frozen=True):
    """One rule; broken, the run has failed."""

    text: str
    metric: str
    kind: Literal["regression", "below", "above"]
    p: float = 0.05
    min_effect: float | None = None
    """The smallest worsening that counts, in the metric's unit, or as a share of what it was."""
    is_share: bool = False
    limit: float = 0.0


class Verdict(Struct, kw_only=True, frozen=True):
    """What became of one rule."""

    rule: str
    subject: str
    result: Result
    reason: str
    more_cases: int = 0
    """So many more cases would decide it, if they vary as those so far."""


def parse_rule(text: str) -> Rule:
    """A rule as people write it. Raises: MalformedRequest."""
    found = _rule.match(text)
    if found is None:
        raise MalformedRequest(f"'{text}' is no rule. {_HOW}", "fail_on")
    metric, kind = found["metric"], found["kind"]
    parts = [part.strip() for part in found["rest"].split(",") if part.strip()]
    if kind != "regression":
        number = _number.match(parts[0]) if len(parts) == 1 else None
        if number is None:
            raise MalformedRequest(f"'{text}' needs one number. {_HOW}", "fail_on")
        return Rule(
            text=text.strip(),
            metric=metric,
            kind="below" if kind == "below" else "above",
            limit=float(number[1]),
        )
    p, effect, is_share = 0.05, None, False
    for part in parts:
        if (one := _p.match(part)) is not None:
            p = float(one[1])
        elif (one := _effect.match(part)) is not None and float(one[1]) > 0:
            is_share = one[2] == "%"
            effect = float(one[1]) / (100 if is_share else 1)
        else:
            raise MalformedRequest(f"'{part}' is not understood in the rule '{text}'. {_HOW}", "fail_on")
    return Rule(
        text=text.strip(), metric=metric, kind="regression", p=p, min_effect=effect, is_share=is_share
    )


def judge(
    rules: Sequence[Rule], subject: str, metrics: Sequence[Metric], changes: Sequence[Change]
) -> list[Verdict]:
    """What became of each rule; p values are adjusted for all metrics that rules of this kind are about.

    Raises: MalformedRequest for a rule about a metric that is not there.
    """
    ruled = {rule.metric for rule in rules if rule.kind == "regression"}
    changes = adjusted([one for one in changes if one.kind.name in ruled])
    return [
        _regressed(rule, subject, changes, metrics)
        if rule.kind == "regression"
        else _limited(rule, subject, metrics)
        for rule in rules
    ]


def overall(results: Sequence[Result]) -> Result:
    """The gravest of several."""
    return max(results, key=("pass", "inconclusive", "regression", "infrastructure").index, default="pass")


def _regressed(rule: Rule, subject: str, changes: Sequence[Change], metrics: Sequence[Metric]) -> Verdict:
    change = next((one for one in changes if one.kind.name == rule.metric), None)
    if change is None:
        _check_known(rule, metrics)
        return Verdict(
            rule=rule.text, subject=subject, result="inconclusive",
            reason=f"No case has a value of '{rule.metric}' in both runs.",
        )  # fmt: skip
    least = change.smallest
    if rule.min_effect is not None:
        least = rule.min_effect * (abs(change.old.value) if rule.is_share else 1)
    worse, said = change.worsening, f"p = {change.p_holm:.3g} (Holm)"
    result: Result
    more = 0
    if change.p_holm < rule.p and worse >= least:
        result, reason = "regression", f"worse by {worse:.4g}, {said}"
    elif (change.worst < least or change.worst <= 0) and change.difference.groups >= FEWEST:
        result, reason = "pass", f"worse by less than {least:.4g}: {change.worst:.4g} at most"
    else:
        more = max(0, needed_for(change.difference, least) - change.difference.n)
        result, reason = "inconclusive", f"worse by {least:.4g} is possible: up to {change.worst:.4g}, {said}"
    return Verdict(rule=rule.text, subject=subject, result=result, reason=reason, more_cases=more)


def _limited(rule: Rule, subject: str, metrics: Sequence[Metric]) -> Verdict:
    metric = _check_known(rule, metrics)
    mean = metric.mean
    result: Result = "inconclusive"
    if mean is None:
        return Verdict(rule=rule.text, subject=subject, result=result, reason="No case has a value.")
    is_below = rule.kind == "below"
    if mean.high < rule.limit if is_below else mean.low > rule.limit:
        result = "regression"
    elif mean.low >= rule.limit if is_below else mean.high <= rule.limit:
        result = "pass"
    reason = f"{mean.value:.4g}, between {mean.low:.4g} and {mean.high:.4g}"
    return Verdict(rule=rule.text, subject=subject, result=result, reason=reason)


def _check_known(rule: Rule, metrics: Sequence[Metric]) -> Metric:
    for metric in metrics:
        if metric.kind.name == rule.metric:
            return metric
    names = ", ".join(one.kind.name for one in metrics)
    raise MalformedRequest(f"The rule '{rule.text}' is about '{rule.metric}'; there are: {names}.", "fail_on")
