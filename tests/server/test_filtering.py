"""The words of filters: what they mean, and what is said of mistakes."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.errors import MalformedRequest
from greenroom.server.filtering import read, term_of, write
from greenroom.store.browsing import browse
from greenroom.store.conditions import Condition
from greenroom.store.traces import TraceStore
from tests.store.exchanges import entry_of, make_exchange


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("outcome:refused", ("outcome", "=", "refused")),
        ("-outcome:answered", ("outcome", "!=", "answered")),
        ("cost:>0.01", ("cost", ">", 0.01)),
        ("cost:<=$2", ("cost", "<=", 2.0)),
        ("latency:>2s", ("latency", ">", 2000.0)),
        ("overhead:>=500us", ("overhead", ">=", 0.5)),
        ("tokens:>4k", ("tokens", ">", 4000.0)),
        ("status:503", ("status", "=", 503.0)),
        ("score.helpful:<0.5", ("score.helpful", "<", 0.5)),
        ("score.helpful:any", ("score.helpful", "=", "")),
        ("step.pii:mask", ("step.pii", "=", "mask")),
        ("STEP.PII:mask", ("step.pii", "=", "mask")),
        ('tag:"team=the moon"', ("tag", "=", "team=the moon")),
        ("model:there/quick:free", ("model", "=", "there/quick:free")),
        ("prompt:reply@3", ("prompt", "=", "reply@3")),
    ],
)
def test_a_term_is_one_condition(text: str, condition: tuple[str, str, object]) -> None:
    assert read(text).filter.conditions == (condition,)


def test_people_words_and_times_have_their_own_places() -> None:
    wanted = read('late user:ana "two words" session:s:1 from:24h to:1970-01-02', now=86_400 * 2).filter

    assert (wanted.q, wanted.user, wanted.session) == ("late two words", "ana", "s:1")
    assert (wanted.since_ns, wanted.until_ns) == (86_400 * 10**9, 86_400 * 10**9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modle:x", "there is no field 'modle'. Did you mean 'model'?"),
        ("http://x.y/z", "Put words with a colon in quotes"),
        ("score:1", "Did you mean 'score.NAME'?"),
        ("step.:mask", "after 'step.' comes a name"),
        ("app:", "a value is missing; wanted is the app that was asked"),
        ("outcome:bad", "'outcome' is one of answered, cached, refused, failed, cancelled"),
        ("step.pii:eat", "one of block, redact, mask"),
        ("cost:cheap", "a number is wanted: US dollars, as >0.01"),
        ("latency:>2x", "times have the units us, ms, s, m, min"),
        ("cost:>2k", "'k' is no unit here"),
        ("model:>x", "'>' goes with numbers only"),
        ("tag:red", "a tag looks like tag:name=value"),
        ("from:yesterday", "a time is wanted"),
        ("-cost:>1", "'-' goes with field:value only"),
        ("user:a user:b", "'user' may be named once"),
        (" ".join(["a"] * 31), "31 terms; 30 may be"),
        ("x" * 2001, "2,001 characters; 2,000 may be"),
    ],
)
def test_a_mistake_is_told_with_what_would_do(text: str, said: str) -> None:
    with pytest.raises(MalformedRequest) as caught:
        read(text)

    assert said in str(caught.value)


@given(st.text(max_size=60).filter(lambda text: text.strip() == text and text != ""))
def test_any_value_comes_back_from_its_term(value: str) -> None:
    assert read(term_of("app", value)).filter.conditions == (Condition("app", "=", value),)


@given(st.text(alphabet='ab:"\\ -<>=.$1', max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(MalformedRequest):
        terms = read(text).terms

        assert [one.text for one in terms] == [one.text for one in read(write(terms)).terms]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from:-999999999999w", 0), ("to:-999999999999w", 1), ("from:999999999999w", 1),
        ("to:9999-12-31T23:59-14:00", 1), ("from:0001-01-01T00:00+14:00", 1), ("cost:>999999999999", 0),
        ("latency:<999999999999m", 1), ("tokens:>-999999999999k", 1), ("status:999999999999", 0),
        ("score.helpful:>999999999999", 0),
    ],
)  # fmt: skip
def test_the_largest_numbers_are_asked_of_the_store_like_others(
    tmp_path: Path, text: str, found: int
) -> None:
    store = TraceStore(tmp_path / "traces.db")
    store.write([entry_of(make_exchange("a" * 32))])
    wanted = read(text).filter

    sight = store.look(lambda connection, names: browse(connection, names, wanted))
    store.close()

    assert len(sight.rows) == found
