"""What a live comparison says: harm soon, no harm when that is certain, and nothing of what is chance."""

import pytest

from greenroom.offline.deploy import detector
from greenroom.offline.deploy.comparison import Live
from greenroom.offline.deploy.plan import Margins, Rules
from greenroom.store.compared import Row, Scored
from tests.offline.deploy.traffic import SOUND, Canary, traffic


def ends(canary: Canary, seconds: int, **how: float) -> tuple[int, list[str]] | None:
    """The second after which a canary is known to do harm, and by which metrics."""
    live = Live(Rules(), how.get("share", 0.05))
    for second, rows in enumerate(traffic(1, seconds, canary, **how)):  # type: ignore[arg-type]  # numbers
        live.take(rows)
        harms = live.harms()
        if harms:
            return second, list(harms)
    return None


@pytest.mark.parametrize(
    ("canary", "how", "metric"),
    [
        (Canary(fails=0.2), {}, "failed"),
        (Canary(fails=0.5), {"users": 300}, "failed"),
        (Canary(fails=1.0), {"share": 0.01}, "failed"),
        (Canary(slower=3.0), {}, "slow"),
        (Canary(flaw=0.3), {}, "flawed"),
        (Canary(fails=0.3, from_s=100), {}, "failed"),
        (Canary(fails=0.5, from_s=60), {"users": 400}, "failed"),
    ],
    ids=["errors", "errors-of-few-users", "all-of-one-percent", "slow", "empty", "late", "late-of-few-users"],
)
def test_harm_is_known_within_a_minute_of_its_beginning(
    canary: Canary, how: dict[str, float], metric: str
) -> None:
    ended = ends(canary, canary.from_s + 60, **how)

    assert ended is not None
    assert ended[0] >= canary.from_s
    assert ended[1] == [metric]


@pytest.mark.parametrize(
    "how",
    [{}, {"users": 30, "odd_users": 0.1}, {"users": 300, "odd_users": 0.05}],
    ids=["requests", "thirty-users", "users"],
)
def test_a_sound_canary_is_left_alone_whoever_is_drawn(how: dict[str, float]) -> None:
    for seed in range(3):
        live = Live(Rules(), 0.05)
        for second, rows in enumerate(traffic(seed, 60, SOUND, **how)):  # type: ignore[arg-type]  # numbers
            live.take(rows)
            assert second % 3 or not live.harms()


def test_no_harm_is_certain_in_minutes_and_told_with_its_intervals() -> None:
    live = Live(Rules(margins=Margins(failed=0.02, flawed=0.03)), 0.2)
    for rows in traffic(1, 90, SOUND, share=0.2):
        live.take(rows)
    told = live.told()

    assert live.is_harmless()
    assert told.verdict == "no harm"
    assert [one.metric for one in told.metrics] == ["failed", "refused", "flawed", "slow", "dear", "short"]
    for one in told.metrics:
        assert one.low <= 0 <= one.high <= one.margin
    current, canary = told.sides
    assert canary.exchanges + current.exchanges == 9_000
    assert 0.15 < canary.exchanges / 9_000 < 0.25
    assert current.latency_ms == pytest.approx(199, rel=0.1)


def test_a_single_failure_is_no_certainty_and_nothing_no_harm() -> None:
    live = Live(Rules(), 0.5)
    assert live.told().verdict == "undecided"

    live.take([Row(1, True, "a", False, "failed", None, 5, None, None)])

    assert live.harms() == {}
    assert live.told().reasons == ["not certain yet: failed, refused"]


def test_one_user_who_always_fails_weighs_as_one() -> None:
    live = Live(Rules(), 0.5)
    for seq in range(4_000):
        is_canary = seq % 2 == 0
        unit = f"{'canary' if is_canary else 'current'}-{seq // 2 % 12}"
        outcome = "failed" if unit == "canary-0" else "answered"
        live.take([Row(seq, is_canary, unit, True, outcome, None, 5_000, None, None)])

    assert live.harms() == {}


def test_low_scores_of_the_canary_are_a_harm_and_are_counted_once_a_user() -> None:
    live = Live(Rules(scores=("helpful",)), 0.5)
    once = [
        Scored(side, f"{side} {n}", True, "helpful", 0.2 if side else 0.9)
        for n in range(40)
        for side in (True, False)
    ]

    live.take([], [one for one in once[:4] for _ in range(50)])
    early = live.harms()
    live.take([], once)

    assert early == {}
    assert list(live.harms()) == ["helpful"]


def test_a_client_that_left_after_long_says_that_it_was_slow() -> None:
    live = Live(Rules(), 0.5)
    for seq in range(400):
        is_canary = seq % 2 == 0 and seq > 120
        row = Row(seq, is_canary, str(seq), False, "cancelled" if is_canary else "answered", None,
                  9_000_000 if is_canary else 20_000, None, None)  # fmt: skip
        live.take([row])

    assert list(live.harms()) == ["slow"]


def test_when_one_side_has_all_the_users_that_are_remembered_neither_takes_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(detector, "MOST", 400)
    live = Live(Rules(), 0.05)

    users = [Row(n, n % 20 == 0, f"user-{n}", True, "answered", None, 5_000, None, None) for n in range(500)]
    live.take(users)
    for n in range(500, 4_000):  # from now on everything fails, for newcomers of both sides alike
        live.take([Row(n, n % 20 == 0, f"user-{n}", True, "failed", None, 5_000, None, None)])
    whole = live.told().metrics[0]

    assert (whole.metric, whole.current, whole.canary) == ("failed", 0.0, 0.0)
    assert live.harms() == {}


def test_a_score_that_was_asked_for_must_have_come_before_there_is_no_harm() -> None:
    live = Live(Rules(scores=("helpful",), margins=Margins(failed=0.2, refused=0.2, flawed=0.2)), 0.5)
    for rows in traffic(1, 60, SOUND, share=0.5):
        live.take(rows)
    early = live.told()
    live.take([], [Scored(n % 2 == 0, f"u{n}", False, "helpful", 0.8) for n in range(2_000)])

    assert (early.verdict, early.reasons) == ("undecided", ["not certain yet: helpful"])
    assert live.told().verdict == "no harm"


def test_what_begins_to_fail_after_hours_of_sound_answers_is_not_harmless() -> None:
    live = Live(Rules(margins=Margins(failed=0.2, refused=0.2, flawed=0.2)), 0.5)
    for rows in traffic(1, 60, SOUND, share=0.5):
        live.take(rows)
    early = live.is_harmless()
    for n in range(10_000, 10_120):
        live.take(
            [Row(n, n % 2 == 0, str(n), False, "answered" if n % 2 else "failed", None, 5_000, None, None)]
        )

    assert early
    assert list(live.harms()) == ["failed"]
    assert not live.is_harmless()
