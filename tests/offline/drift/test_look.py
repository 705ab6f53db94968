"""Which hours are compared, what one look says of them, and from which look on there is an alert."""

from random import Random

import numpy as np
import pytest
from msgspec.structs import replace

from greenroom.offline.drift.look import LEAST, Finding, Sides, look
from greenroom.offline.drift.reading import BUCKETS, Reading, words_of
from greenroom.offline.drift.standing import Standing, judged
from greenroom.offline.drift.texts import Topics, meanings_apart, told_apart
from greenroom.offline.drift.windows import WEEK_H, Span, choose

END = 100 * WEEK_H
ENGLISH, PORTUGUESE = "where is my parcel and when will it come", "onde está a minha encomenda e quando chega"


def readings(count: int, portuguese: float, seed: int, *, refused: float = 0.02) -> list[Reading]:
    """Questions of which a share is Portuguese."""
    chance = Random(seed)
    made = []
    for number in range(count):
        is_portuguese = chance.random() < portuguese
        words = (PORTUGUESE if is_portuguese else ENGLISH).split()
        text = " ".join(chance.sample(words, 5))
        made.append(
            Reading(
                at_s=number, trace=str(number), model="o/m", prompt="", language="pt" if is_portuguese else "en",
                asked=len(text), said=int(chance.lognormvariate(4, 0.5)), is_refused=chance.random() < refused,
                has_personal=False, grounded=None, cost_nano=None, total_us=int(chance.lognormvariate(13, 0.4)),
                asked_words=words_of(text), said_words=words_of(text),
            )
        )  # fmt: skip
    return made


def over(sides: Sides) -> set[str]:
    return {one.metric for one, is_over in judged({"app": look(sides)}, 0.01)["app"] if is_over}


def test_the_reference_is_a_week_and_its_like_hours_stand_at_the_same_places() -> None:
    chosen = choose(range(END - 20 * 24, END), END, 24)

    assert chosen.window == list(range(END - 24, END))
    assert chosen.like == list(range(END - 24 - WEEK_H, END - WEEK_H))
    assert chosen.whole == list(range(END - 24 - WEEK_H, END - 24))
    assert chosen.missing_h == 0


def test_hours_with_an_alert_are_left_out_for_older_healthy_ones() -> None:
    sick = Span(END - WEEK_H - 30, END - WEEK_H)
    chosen = choose(range(END - 20 * 24, END), END, 24, sick=[sick])

    assert not any(hour in sick for hour in chosen.whole)
    assert chosen.like == list(range(END - 24 - 2 * WEEK_H, END - 2 * WEEK_H))
    assert len(chosen.whole) == WEEK_H


def test_before_a_week_was_seen_hours_are_missing_and_what_was_accepted_counts_from_then() -> None:
    young = choose(range(END - 100, END), END, 24)
    accepted = choose(range(END - 20 * 24, END), END, 24, since=END - 50)
    nothing = choose([], END, 24)

    assert young.missing_h == WEEK_H + 24 - 100
    assert accepted.missing_h == WEEK_H + 24 - 50
    assert min(accepted.whole) == END - 50
    assert nothing.missing_h == WEEK_H + 24


def test_a_pinned_week_stays_the_reference() -> None:
    pinned = END - 40 * 24
    chosen = choose(range(END - 60 * 24, END), END, 24, pinned=pinned, sick=[Span(0, END)])

    assert chosen.whole == list(range(pinned, pinned + WEEK_H))
    assert {hour % WEEK_H for hour in chosen.like} == {hour % WEEK_H for hour in chosen.window}


def test_a_weekend_unlike_the_week_but_like_the_weekend_before_is_no_drift() -> None:
    weekend, before = readings(500, 0.5, 1), readings(500, 0.5, 2)
    week = before + readings(2_500, 0.2, 3)

    assert over(Sides(weekend, before, week)) == set()
    assert "language" in over(Sides(weekend, readings(500, 0.2, 4), readings(3_000, 0.2, 5)))


def test_many_readings_make_no_small_difference_a_large_one() -> None:
    sides = Sides(readings(4_000, 0.24, 1), readings(4_000, 0.2, 2), readings(4_000, 0.2, 3))
    (language,) = [one for one in look(sides) if one.metric == "language"]

    assert language.p < 0.001
    assert not language.is_large
    assert over(sides) == set()


def test_more_refusals_are_seen_and_what_fell_has_a_sign() -> None:
    calm = readings(700, 0.2, 1), readings(700, 0.2, 2)
    found = look(Sides(readings(700, 0.2, 3, refused=0.12), *calm))
    fell = look(
        Sides(readings(700, 0.2, 4), readings(700, 0.2, 5, refused=0.12), readings(900, 0.2, 6, refused=0.12))
    )

    assert next(one for one in found if one.metric == "refusal").effect > 0.2
    assert next(one for one in fell if one.metric == "refusal").effect < -0.2


def test_few_readings_and_none_at_all_say_nothing() -> None:
    assert not Sides([], [], []).is_enough
    assert not Sides(readings(LEAST - 1, 0.2, 1), readings(90, 0.2, 2), readings(90, 0.2, 3)).is_enough
    bare = [Reading(1, "t", "", "", "", None, None, False, False, None, None, None) for _ in range(80)]
    assert {one.metric for one in look(Sides(bare, bare, bare))} == {"refusal", "personal_data"}


def test_texts_are_told_apart_where_they_differ_and_only_there() -> None:
    chance = Random(1)

    def texts(words: range, count: int) -> list[bytes]:
        return [
            words_of(
                " ".join(
                    f"{'abcdefghij'[n % 10]}word{'klmnopqrst'[n // 10]}" for n in chance.sample(words, 8)
                )
            )
            for _ in range(count)
        ]

    old, same, other = texts(range(60), 300), texts(range(60), 300), texts(range(30, 90), 300)

    assert told_apart(other, old).effect > 0.9
    assert 0.45 < told_apart(same, old).effect < 0.55
    assert told_apart([], old) == (1.0, 0.5)
    topics = Topics(old + other)
    assert topics.counts(old) == Topics(old + other).counts(old)
    assert sum(topics.counts(same)) == 300


def test_meanings_are_told_apart_along_the_line_between_their_means() -> None:
    import numpy as np

    chance = np.random.default_rng(1)

    def vectors(shift: float) -> list[bytes]:
        rows = chance.normal(0, 1, (200, 16))
        rows[:, 0] += shift
        return [row.astype(np.float16).tobytes() for row in rows]

    assert meanings_apart(vectors(1.5), vectors(0)).effect > 0.75
    assert 0.4 < meanings_apart(vectors(0), vectors(0)).effect < 0.6


@pytest.mark.parametrize(
    ("seen", "opens"),
    [
        ("1", None),
        ("11", 1),
        ("101", None),
        ("1011", 3),
        ("110", 1),
        ("1100", None),
        ("11011", 1),
        ("110011", 5),
    ],
)
def test_an_alert_takes_two_looks_to_open_and_two_to_end(seen: str, opens: int | None) -> None:
    standing = Standing()
    for hour, one in enumerate(seen):
        standing = standing.after(is_over=one == "1", hour=hour, looks=2)

    assert standing.open_since == opens


def test_p_is_adjusted_over_all_apps_of_a_look() -> None:
    one = Finding(metric="cost", kind="auc", p=0.004, effect=0.3, new=1.0, old=2.0, n=90, m=90)
    alone = judged({"a": [one]}, 0.01)
    many = judged(
        {
            "a": [one],
            **{
                f"b{n}": [Finding(metric="cost", kind="auc", p=0.5, effect=0.3, new=1.0, old=2.0, n=9, m=9)]
                for n in range(9)
            },
        },
        0.01,
    )

    assert alone["a"][0][1]
    assert many["a"][0] == (
        Finding(metric="cost", kind="auc", p=0.04, effect=0.3, new=1.0, old=2.0, n=90, m=90),
        False,
    )


@pytest.mark.parametrize("text", ["", "12345 !?", "a", "x" * 1_000_000, "\ud800 lone", "日本語 のテキスト"])
def test_words_of_anything_are_few_numbers_in_order(text: str) -> None:
    found = words_of(text)
    numbers = [int.from_bytes(found[place : place + 2], "little") for place in range(0, len(found), 2)]

    assert numbers == sorted(set(numbers))
    assert all(number < BUCKETS for number in numbers)
    assert len(numbers) <= 96


def test_vectors_of_another_encoder_are_left_out_and_all_else_is_looked_at() -> None:
    def with_vectors(size: int, seed: int) -> list[Reading]:
        chance = np.random.default_rng(seed)
        return [
            replace(one, meaning=chance.normal(size=size).astype(np.float16).tobytes())
            for one in readings(2 * LEAST, 0.2, seed)
        ]

    old, new = with_vectors(8, 1), with_vectors(16, 2)
    changed = {one.metric for one in look(Sides(new, old, old))}
    while_changing = {one.metric for one in look(Sides(old[:50] + new, old + new, old + new))}

    assert "meaning" not in changed
    assert {"language", "topic", "latency"} <= changed
    assert "meaning" in while_changing
