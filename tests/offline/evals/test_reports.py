"""Gates and reports: rules kept, broken and undecided; every form says the same and escapes what it quotes."""

import json
import re
from xml.etree import ElementTree as ET

import pytest

from greenroom.errors import MalformedRequest
from greenroom.offline.evals.comparison import changes, metrics_of
from greenroom.offline.evals.gates import EXIT_CODES, judge, overall, parse_rule
from greenroom.offline.evals.kept import KeptRun, MetricKind, Settings
from greenroom.offline.evals.reports.html import to_html
from greenroom.offline.evals.reports.junit import to_junit
from greenroom.offline.evals.reports.markdown import to_markdown
from greenroom.offline.evals.reports.report import build, to_json
from greenroom.offline.evals.runner import Item, Run
from greenroom.offline.evals.sample import Output, Sample, Score

KINDS = (
    MetricKind(name="exact"), MetricKind(name="latency", higher_is_better=False, unit="ms"),
    MetricKind(name="pii", higher_is_better=False),
)  # fmt: skip
NASTY = "<script>alert(1)</script> | @everyone \x1b[31m & ]]>"


def kept(
    passed: str, *, id: str = "run_1", subject: str = "new", ms: float = 100.0, total: int | None = None
) -> KeptRun:
    """A run of a case for each letter: 1 passed, 0 failed the scorer, x no answer, e the scorer broke."""
    items = []
    for number, letter in enumerate(passed):
        sample = Sample(
            id=f"q{number}", messages=({"role": "user", "content": f"{number} {NASTY}"},), expected=NASTY
        )
        output = Output(text=NASTY, latency_ms=ms + number % 7, cost_nano_usd=1_000_000)
        if letter == "x":
            output = Output(outcome="failed", error=f"No route. {NASTY}")
        score = Score(name="exact", value=float(letter == "1"), passed=letter == "1", reason=NASTY)
        if letter == "e":
            score = Score(name="exact", error="The scorer broke.")
        scores = (
            score, Score(name="latency", value=output.latency_ms), Score(name="pii", value=0.0, passed=True)
        )  # fmt: skip
        items.append(Item(sample=sample, output=output, scores=scores))
    wanted = len(items) if total is None else total
    run = Run(
        id=id, name=f"suite/{subject}", subject=subject, data="d", items=items, total=wanted,
        status="finished" if wanted == len(items) else "stopped", reason="" if wanted == len(items) else "No money.",
        cost_nano_usd=2_000_000,
    )  # fmt: skip
    return KeptRun(run, Settings(suite="suite", data="rows@1", metrics=KINDS))


GOOD = "1" * 180 + "0" * 20
WORSE = "1" * 150 + "0" * 50


@pytest.mark.parametrize(
    ("new", "old", "rule", "result"),
    [
        (WORSE, GOOD, "exact: regression", "regression"),
        (WORSE, GOOD, "exact: regression, p<0.05, min_effect=0.1", "regression"),
        (WORSE, GOOD, "exact: regression, min_effect=0.3", "pass"),
        (WORSE, GOOD, "exact: regression, min_effect=50%", "pass"),
        (GOOD, WORSE, "exact: regression", "pass"),
        (GOOD, GOOD, "exact: regression", "pass"),
        ("1" * 8 + "0", "1" * 9, "exact: regression", "inconclusive"),
        ("1" * 9, "1" * 9, "exact: regression", "inconclusive"),
        (GOOD, GOOD, "pii: regression", "pass"),
        (GOOD, GOOD, "exact: below 0.7", "pass"),
        (GOOD, GOOD, "exact: below 0.97", "regression"),
        (GOOD, GOOD, "exact: below 0.9", "inconclusive"),
        (GOOD, GOOD, "latency: above 50", "regression"),
        (GOOD, GOOD, "latency: above 200", "pass"),
        (GOOD[:-40] + "x" * 40, GOOD, "errors: above 0.05", "regression"),
    ],
)
def test_rules_are_kept_broken_or_undecided(new: str, old: str, rule: str, result: str) -> None:
    one, other = kept(new), kept(old, id="run_0", subject="old")

    (verdict,) = judge([parse_rule(rule)], "new", metrics_of(one), changes(one, other))

    assert verdict.result == result, verdict.reason
    assert (verdict.more_cases > 0) <= (result == "inconclusive")


def test_what_is_undecided_says_how_many_more_cases_would_decide_it() -> None:
    one, other = kept("1" * 36 + "0" * 4), kept("1" * 38 + "0" * 2, id="run_0")

    (verdict,) = judge(
        [parse_rule("exact: regression, min_effect=0.05")], "new", metrics_of(one), changes(one, other)
    )

    assert verdict.result == "inconclusive"
    assert 50 < verdict.more_cases < 500


def test_time_that_grew_is_worse_and_a_failed_answer_counts_against_quality_alone() -> None:
    one, other = kept("1" * 99 + "x", ms=200), kept("1" * 100, id="run_0")

    found = {change.kind.name: change for change in changes(one, other)}

    assert found["latency"].worsening > 90
    assert (found["latency"].difference.n, found["latency"].unpaired) == (99, 1)
    assert (found["exact"].difference.n, found["exact"].losses) == (100, 1)
    assert all(change.p_holm >= change.difference.p for change in found.values())


@pytest.mark.parametrize(
    "text", ["exact", "exact: worse", "exact: below", "exact: below much", "exact: regression, p=0.1",
             "exact: regression, min_effect=0", ": below 1", "a: below 0.1, 0.2"],
)  # fmt: skip
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(MalformedRequest, match=r"exact|rule|number"):
        parse_rule(text)


def test_a_rule_about_no_metric_names_those_there_are() -> None:
    one = kept(GOOD)

    with pytest.raises(MalformedRequest, match="there are: exact, latency, pii, errors"):
        judge([parse_rule("exactly: below 1")], "new", metrics_of(one), [])


@pytest.mark.parametrize(
    ("run", "result", "code"),
    [
        (kept(GOOD), "pass", 0),
        (kept(GOOD, total=300), "inconclusive", 2),
        (kept(GOOD[:-40] + "x" * 40), "infrastructure", 3),
    ],
)
def test_a_run_that_tells_nothing_says_so(run: KeptRun, result: str, code: int) -> None:
    told = build([run], None, ())

    assert (told.result, EXIT_CODES[told.result]) == (result, code)
    assert bool(told.reasons) == (result != "pass")


def test_the_gravest_result_counts() -> None:
    assert overall([]) == "pass"
    assert overall(["pass", "inconclusive"]) == "inconclusive"
    assert overall(["regression", "inconclusive", "pass"]) == "regression"
    assert overall(["infrastructure", "regression"]) == "infrastructure"


@pytest.fixture(scope="module")
def report() -> object:
    """A comparison with everything in it that a report may have to show."""
    rules = [parse_rule("exact: regression"), parse_rule("latency: above 1000")]
    return build([kept(WORSE[:-2] + "xe")], kept(GOOD, id="run_0", subject="old"), rules)


def test_html_is_one_file_without_scripts_and_escapes_what_it_quotes(report: object) -> None:
    page = to_html(report)  # type: ignore[arg-type]  # the fixture's

    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert re.findall(r"(?:src|href|url)\s*[=(]", page) == []
    assert "default-src 'none'" in page
    assert page.count("<tr>") > 200
    assert "The scorer broke." in page


def test_junit_has_a_case_for_each_rule_and_sample(report: object) -> None:
    root = ET.fromstring(to_junit(report))  # type: ignore[arg-type]  # the fixture's

    rules, run = root.findall("testsuite")
    assert (rules.get("tests"), rules.get("failures")) == ("2", "1")
    assert (run.get("tests"), run.get("errors"), run.get("failures")) == ("200", "1", "48")
    assert "�[31m" in (run.find("testcase/failure").text or "")  # type: ignore[union-attr]  # there are 48


def test_markdown_keeps_its_tables_whole(report: object) -> None:
    text = to_markdown(report)  # type: ignore[arg-type]  # the fixture's

    lines = text.splitlines()
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("| exact")}
    assert widths == {10, 6}
    assert "<script" not in text
    assert "❌" in lines[0]


def test_json_holds_every_case(report: object) -> None:
    found = json.loads(to_json(report))  # type: ignore[arg-type]  # the fixture's

    assert found["result"] == "regression"
    assert len(found["runs"][0]["cases"]) == 200
    assert found["runs"][0]["cases"][0]["answer"] == NASTY
    change = found["comparisons"][0]["changes"][0]
    assert change["difference"]["p"] <= change["p_holm"] < 0.001
