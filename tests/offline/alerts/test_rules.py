"""Rules over rollups in a real file: what fires, about what, and what does not."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from greenroom.offline.alerts.rules import Rule
from greenroom.offline.alerts.settings import AlertsConfig, ChannelConfig, RuleConfig
from greenroom.store.alerts import Notice
from greenroom.store.material import Row
from greenroom.store.rollups import Rollups

MINUTE, HOUR, DAY = 60, 3600, 86_400
_COLUMNS = {"model": "used", "cost": "cost_nano"}
NOW_S = int(time.time()) // DAY * DAY - HOUR  # 23:00 of yesterday


@pytest.fixture
def rollups(tmp_path: Path) -> Iterator[Rollups]:
    store = Rollups(tmp_path / "rollups.db")
    yield store
    store.close()


def fill(rollups: Rollups, ago_s: float, count: int, **facts: Any) -> None:
    usual = Row(
        id="a", created_ns=int((NOW_S - ago_s) * 1e9), project="p", key="k", app="help", asked="help",
        used="m", outcome="answered", status=200, session=None, user=None, language=None, input_tokens=10,
        output_tokens=10, cost_nano=1_000, total_us=100_000, overhead_us=900, first_token_us=0, flags=0,
    )  # fmt: skip
    one = usual._replace(**{_COLUMNS.get(name, name): value for name, value in facts.items()})
    rollups.add([(one, None)] * count)


def look(rollups: Rollups, name: str = "rule", **table: Any) -> Sequence[Notice]:
    return Rule(name, msgspec.convert(table, RuleConfig)).look(rollups.read, NOW_S)


def test_a_share_above_its_bound_fires_for_the_app_it_is_of(rollups: Rollups) -> None:
    fill(rollups, 120, 30, app="support")
    fill(rollups, 60, 10, app="support", outcome="failed")
    fill(rollups, 60, 40, app="sales")

    (notice,) = look(rollups, "failures", kind="threshold", metric="failed_share", above=0.2, by="app")

    assert (notice.rule, notice.subject, notice.project) == ("failures", "support", "")
    assert notice.summary == (
        "App support: the share of requests that failed was 25 % in 10 minutes, above 20 % (40 requests)."
    )
    assert notice.figures == {"failed_share": 0.25, "bound": 0.2, "requests": 40}
    assert notice.path == "/requests?app=support&outcome=failed"


def test_few_requests_are_not_judged_by_shares(rollups: Rollups) -> None:
    fill(rollups, 60, 19, outcome="failed")

    assert look(rollups, kind="threshold", above=0.2) == []
    assert len(look(rollups, kind="threshold", above=0.2, least=19)) == 1


def test_what_lies_before_the_window_does_not_count(rollups: Rollups) -> None:
    fill(rollups, 20 * MINUTE, 100, outcome="failed")
    fill(rollups, MINUTE, 30)

    assert look(rollups, kind="threshold", above=0.01) == []
    assert len(look(rollups, kind="threshold", above=0.01, over_s=1800)) == 1


def test_silence_is_below_any_bound(rollups: Rollups) -> None:
    (notice,) = look(rollups, kind="threshold", metric="requests", below=5)

    assert notice.figures["requests"] == 0


def test_percentiles_and_money_are_figures_too(rollups: Rollups) -> None:
    fill(rollups, 60, 50, model="slow", total_us=9_000_000, cost=2_000_000_000)
    fill(rollups, 60, 50, model="fast", total_us=90_000, cost=1_000_000)

    (slow,) = look(rollups, kind="threshold", metric="total_p95_ms", above=5_000, by="model")
    (dear,) = look(rollups, kind="threshold", metric="cost_usd", above=99.9, by="model")

    assert (slow.subject, dear.subject) == ("slow", "slow")
    assert dear.figures["cost_usd"] == 100.0
    assert "$100.00" in dear.summary


def test_a_condition_narrows_what_is_counted(rollups: Rollups) -> None:
    fill(rollups, 60, 50, project="acme", app="a", outcome="refused")
    fill(rollups, 60, 50, project="other", app="a")

    (notice,) = look(rollups, kind="threshold", metric="refused_share", above=0.9, project="acme")

    assert (notice.project, notice.subject) == ("acme", "")


def test_a_budget_burns_when_the_long_and_the_short_window_say_so(rollups: Rollups) -> None:
    table: dict[str, Any] = {"kind": "burn_rate", "objective": 0.99, "by": "app"}
    fill(rollups, 50 * MINUTE, 700, app="past")
    fill(rollups, 40 * MINUTE, 300, app="past", outcome="failed")
    fill(rollups, 60, 20, app="past")
    fill(rollups, 50 * MINUTE, 700, app="now")
    fill(rollups, 60, 300, app="now", outcome="failed")

    found = {one.subject: one for one in look(rollups, **table)}

    assert {name: one.severity for name, one in found.items()} == {"now": "critical", "past": "warning"}
    notice = found["now"]
    assert notice.figures["burn_rate"] == pytest.approx(30.0)
    assert "300 of 1,000 requests failed" in notice.summary


def test_a_slow_burn_is_a_warning(rollups: Rollups) -> None:
    for hour in range(72):
        fill(rollups, hour * HOUR + 60, 98)
        fill(rollups, hour * HOUR + 60, 2, outcome="failed")

    (notice,) = look(rollups, kind="burn_rate", objective=0.99)

    assert notice.severity == "warning"
    assert "over 3 days" in notice.summary


def test_requests_that_no_longer_come_are_missed(rollups: Rollups) -> None:
    fill(rollups, DAY + 120, 50, app="nightly")
    fill(rollups, DAY + 120, 5, app="rare")
    fill(rollups, DAY + 120, 50, app="alive")
    fill(rollups, 120, 1, app="alive")

    (notice,) = look(rollups, kind="absence", by="app")

    assert notice.subject == "nightly"
    assert "50" in notice.summary


def test_what_is_far_from_usual_fires_and_a_usual_monday_does_not(rollups: Rollups) -> None:
    for day in range(1, 8):
        fill(rollups, day * DAY + 600, 100, app="spike", cost=10_000_000)
        fill(rollups, day * DAY + 600, 500 if day == 7 else 100, app="weekly", cost=10_000_000)
    fill(rollups, 600, 500, app="spike", cost=10_000_000)
    fill(rollups, 600, 500, app="weekly", cost=10_000_000)
    fill(rollups, 600, 500, app="new", cost=10_000_000)
    table: dict[str, Any] = {"kind": "anomaly", "metric": "cost_usd", "over_s": 3600, "by": "app"}

    (notice,) = look(rollups, **table)

    assert notice.subject == "spike"
    assert notice.figures == pytest.approx({"cost_usd": 5.0, "usual": 1.0, "requests": 500})
    assert look(rollups, **table, least_change=4.5) == []


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"kind": "threshold"}, "one of 'above' and 'below'"),
        ({"kind": "threshold", "above": 1, "below": 0}, "one of 'above' and 'below'"),
        ({"kind": "absence", "above": 1}, "does not use 'above'"),
        ({"kind": "threshold", "above": 1, "metric": "error"}, "names one"),
        ({"kind": "burn_rate", "objective": 1}, "<= 0.99999"),
    ],
)
def test_rules_that_make_no_sense_are_refused(table: dict[str, object], said: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert({"rules": {"one": table}}, AlertsConfig)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"kind": "slack"}, "needs one of 'url'"),
        ({"kind": "slack", "url": "https://a.b", "url_env": "U"}, "needs one of 'url'"),
        ({"kind": "slack", "url": "https://a.b", "host": "a"}, "does not use 'host'"),
        ({"kind": "webhook", "url": "https://a.b"}, "is signed"),
        ({"kind": "email", "host": "a", "sender": "a@b.c"}, "needs 'host', 'sender' and 'to'"),
        ({"kind": "email", "host": "a", "sender": "a@b.c\r\nBcc: x@y.z", "to": ["a@b.c"]}, "regex"),
        ({"kind": "email", "host": "mail", "sender": "a@b.c", "to": ["a@b.c"], "tls": "off"}, "this machine"),
    ],
)
def test_channels_that_make_no_sense_are_refused(table: dict[str, object], said: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert(table, ChannelConfig)
