"""The trace store: writing, reading, lists, tenants, erasing."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from greenroom.errors import MalformedRequest, StoreError
from greenroom.gateway.record import row_of
from greenroom.store.blocks import places
from greenroom.store.listing import TraceFilter
from greenroom.store.material import Body, decode_body, encode_body
from greenroom.store.scores import Score
from greenroom.store.traces import Entry, TraceStore
from tests.store.exchanges import START_NS, entry_of, make_exchange

NASTY = [
    "' OR 1=1 --",
    '" OR ""="',
    "x'; DROP TABLE traces; --",
    "x') UNION SELECT * FROM names --",
    "%",
    "*",
    "\x00",
    "NEAR(a b)",
    'a" OR "b',
    "text : x",
    "\ue0001",
    "-1",
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TraceStore]:
    opened = TraceStore(tmp_path / "traces.db")
    yield opened
    opened.close()


def ids(store: TraceStore, wanted: TraceFilter) -> list[str]:
    return [row["id"] for row in store.list(wanted).rows]


def all_texts(path: Path) -> str:
    connection = sqlite3.connect(path)
    blocks = [places(block) for (block,) in connection.execute("SELECT body FROM blocks")]
    connection.close()
    return "".join(str(decode_body(one)) for block in blocks for one in block if one is not None)


def test_what_was_written_is_read_again(store: TraceStore) -> None:
    store.write([entry_of(make_exchange("a", session="s", user="u", tags={"team": "x"}))])

    record = store.get("default", "a")

    assert record is not None
    assert record["request"] == {"messages": [{"role": "user", "content": "What is the capital of Norway?"}]}
    assert record["sent"] == record["request"]
    assert record["reply"] == {"raw": "Oslo.", "text": "Oslo."}
    assert (record["session"], record["user"], record["tags"]) == ("s", "u", {"team": "x"})
    assert record["cost_usd"] == "0.000123"
    assert record["timing_ms"] == {"total": 5.0, "overhead": 1.0, "first_token": 1.0, "per_output_token": 2.0}


def test_a_language_nobody_named_is_found_when_the_record_is_read(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "traces.db", detect=lambda _: ("en", 0.9))
    store.write([entry_of(make_exchange("a"))])

    record = store.get(None, "a")

    assert record is not None
    assert record["language"] == {"code": "en", "confidence": 0.9}
    store.close()


def test_a_row_without_a_body_still_makes_a_record(store: TraceStore) -> None:
    store.write([entry_of(make_exchange("a"))._replace(body=None)])

    record = store.get(None, "a")

    assert record is not None
    assert record["request"] == {"messages": []}
    assert record["usage"]["input_tokens"] == 9


def test_pages_follow_each_other_without_gap_or_repetition(store: TraceStore) -> None:
    for start in range(0, 60, 20):
        store.write([entry_of(make_exchange(str(n))) for n in range(start, start + 20)])

    seen: list[str] = []
    cursor: str | None = None
    for _ in range(9):
        page = store.list(TraceFilter(limit=7, cursor=cursor))
        seen += [row["id"] for row in page.rows]
        cursor = page.next
        if cursor is None:
            break

    assert seen == [str(n) for n in reversed(range(60))]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (TraceFilter(app="support"), ["b"]),
        (TraceFilter(model="big"), ["c"]),
        (TraceFilter(model="openai/small"), ["d", "c", "b", "a"]),
        (TraceFilter(outcome="refused"), ["d"]),
        (TraceFilter(session="s1"), ["a"]),
        (TraceFilter(user="ana"), ["c", "b"]),
        (TraceFilter(tag="team=x"), ["c"]),
        (TraceFilter(user="ana", tag="team=x"), ["c"]),
        (TraceFilter(user="ana", app="support"), ["b"]),
        (TraceFilter(since_ns=START_NS + 2), ["d", "c"]),
        (TraceFilter(until_ns=START_NS + 2), ["b", "a"]),
        (TraceFilter(since_ns=START_NS + 1, until_ns=START_NS + 3), ["c", "b"]),
        (TraceFilter(q="norway", user="ana"), ["c", "b"]),
        (TraceFilter(q="norway", tag="team=x"), ["c"]),
        (TraceFilter(app="never seen"), []),
        (TraceFilter(outcome="no such outcome"), []),
    ],
)
@pytest.mark.parametrize("is_indexed", [False, True])
def test_filters_narrow_the_list(
    store: TraceStore, wanted: TraceFilter, expected: list[str], is_indexed: bool
) -> None:
    store.write(
        [
            entry_of(make_exchange("a", session="s1", created_ns=START_NS)),
            entry_of(make_exchange("b", app="support", user="ana", created_ns=START_NS + 1)),
            entry_of(
                make_exchange("c", asked="big", user="ana", tags={"team": "x"}, created_ns=START_NS + 2)
            ),
            entry_of(make_exchange("d", outcome="refused", created_ns=START_NS + 3)),
        ]
    )
    if is_indexed:
        store.index()

    assert ids(store, wanted) == expected


def test_a_time_range_deep_in_the_past_is_found_exactly(store: TraceStore) -> None:
    hour = 3_600_000_000_000
    for start in range(0, 1_000, 250):
        store.write(
            [
                entry_of(make_exchange(str(n), created_ns=START_NS + n * hour))
                for n in range(start, start + 250)
            ]
        )

    found = ids(store, TraceFilter(since_ns=START_NS + 100 * hour, until_ns=START_NS + 103 * hour))

    assert found == ["102", "101", "100"]


def test_two_tenants_never_see_each_other(store: TraceStore) -> None:
    store.write(
        [
            entry_of(make_exchange("a", "the red secret", project="red", user="ana", session="s")),
            entry_of(make_exchange("b", "the blue secret", project="blue", user="ana", session="s")),
        ]
    )
    for _ in range(2):  # before and after indexing
        for own, other in (("red", "blue"), ("blue", "red")):
            theirs = "b" if other == "blue" else "a"
            assert store.get(own, theirs) is None
            for wanted in (
                TraceFilter(project=own),
                TraceFilter(project=own, q="secret"),
                TraceFilter(project=own, user="ana"),
                TraceFilter(project=own, session="s"),
            ):
                assert theirs not in ids(store, wanted)
            assert ids(store, TraceFilter(project=own, q=other)) == []
            assert store.score(own, theirs, Score(name="thumb", value=1.0)) is None
        store.index()

    assert store.delete("red", user="ana") == 1
    assert store.get("blue", "b") is not None
    assert ids(store, TraceFilter(project="nobody")) == []


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize(
    "field", ["project", "app", "model", "outcome", "session", "user", "tag", "score", "q", "cursor"]
)
def test_no_filter_value_is_ever_read_as_sql(store: TraceStore, field: str, text: str) -> None:
    store.write([entry_of(make_exchange("a"))])
    store.index()

    try:
        found = ids(store, msgspec.structs.replace(TraceFilter(), **{field: text}))
    except MalformedRequest:
        found = []

    assert found == []
    assert store.get(None, text) is None
    assert store.delete(text, user=text) == 0
    assert ids(store, TraceFilter()) == ["a"]


def test_nasty_names_are_stored_and_found_as_they_are(store: TraceStore) -> None:
    store.write([entry_of(make_exchange("a", app=text, user=text, tags={"t": text})) for text in NASTY])

    assert all(len(store.list(TraceFilter(app=text, user=text, tag="t=" + text)).rows) == 1 for text in NASTY)


def test_scores_stand_in_the_record(store: TraceStore) -> None:
    store.write([entry_of(make_exchange("a"))])

    assert store.score("default", "a", Score(name="thumb", value=1.0, comment="good"))

    record = store.get("default", "a")
    assert record is not None
    assert [(one["name"], one["value"], one["comment"]) for one in record["scores"]] == [
        ("thumb", 1.0, "good")
    ]


@pytest.mark.parametrize("is_indexed", [False, True])
def test_erasing_a_user_takes_texts_out_of_shared_blocks_and_index(
    store: TraceStore, tmp_path: Path, is_indexed: bool
) -> None:
    exchanges = [
        make_exchange(str(n), f"wordof{n} zebra", user="ana" if n % 3 else "bo", tags={"k": "v"})
        for n in range(30)
    ]
    store.write([entry_of(one) for one in exchanges])
    if is_indexed:
        store.index()

    erased = store.delete("default", user="ana")

    kept = [str(n) for n in reversed(range(30)) if n % 3 == 0]
    assert erased == 20
    assert ids(store, TraceFilter(q="zebra")) == kept == ids(store, TraceFilter(tag="k=v"))
    assert ids(store, TraceFilter(q="wordof1")) == []
    assert "wordof1 " not in all_texts(tmp_path / "traces.db")
    record = store.get(None, "27")
    assert record is not None
    assert "wordof27" in record["request"]["messages"][0]["content"]
    assert store.counts()["rows"] == 10
    files = b"".join(path.read_bytes() for path in tmp_path.glob("traces.db*"))
    assert b"wordof1\x00" not in files


def test_numbers_are_not_given_twice_after_the_newest_was_erased(store: TraceStore) -> None:
    store.write([entry_of(make_exchange("a", "first words", user="ana"))])
    store.index()
    store.delete(None, user="ana")

    store.write([entry_of(make_exchange("b", "second words"))])
    assert ids(store, TraceFilter(q="second")) == ["b"]
    store.index()

    assert ids(store, TraceFilter(q="second")) == ["b"]
    assert ids(store, TraceFilter(q="first")) == []


def test_purging_erases_what_is_older_than_it_should_be(store: TraceStore) -> None:
    day = 86_400_000_000_000
    store.write([entry_of(make_exchange(str(n), created_ns=START_NS + n * day)) for n in range(10)])

    assert store.purge(3, now_ns=START_NS + 10 * day) == 7
    assert ids(store, TraceFilter()) == ["9", "8", "7"]


def test_erasing_everything_by_mistake_is_refused(store: TraceStore) -> None:
    with pytest.raises(StoreError, match="name a user or a moment"):
        store.delete(None)


def test_lists_use_an_index_and_sort_nothing(store: TraceStore, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "traces.db")
    base = "EXPLAIN QUERY PLAN SELECT t.total_us FROM traces t WHERE t.project = ?"
    tail = " AND t.seq < ? ORDER BY t.seq DESC LIMIT 50"
    plans = [
        str(connection.execute(base + more + tail, (1,) * (base + more + tail).count("?")).fetchall())
        for more in (
            "",
            " AND t.app = ?",
            " AND (t.asked = ? OR t.used = ?)",
            " AND t.user = ?",
            " AND t.session = ?",
        )
    ]
    connection.close()

    assert all("SEARCH" in plan and "TEMP B-TREE" not in plan for plan in plans)
    assert "traces_by_user" in plans[3]
    assert "traces_by_session" in plans[4]


def test_small_blocks_are_joined_when_they_are_indexed_and_every_body_stays_found(
    store: TraceStore, tmp_path: Path
) -> None:
    for number in range(40):
        store.write([entry_of(make_exchange(str(number), f"text{number}"))])
    store.write([entry_of(make_exchange(str(number), f"text{number}")) for number in range(40, 60)])

    store.index(limit=50)  # ends within the last block, which must stay whole
    while store.index():
        pass

    connection = sqlite3.connect(tmp_path / "traces.db")
    assert connection.execute("SELECT count(*) FROM blocks").fetchone() == (2,)
    connection.close()
    for number in range(60):
        record = store.get(None, str(number))
        assert record is not None
        assert record["request"]["messages"][0]["content"] == f"text{number}"
        assert ids(store, TraceFilter(q=f"text{number}")) == [str(number)]


@pytest.mark.slow
def test_the_log_stays_bounded_while_much_is_written(store: TraceStore, tmp_path: Path) -> None:
    for start in range(0, 3_000, 100):
        store.write(
            [
                Entry(row_of(make_exchange(str(n))), encode_body(Body(reply_raw=str(os.urandom(3_000)))))
                for n in range(start, start + 100)
            ]
        )

    assert (tmp_path / "traces.db-wal").stat().st_size < 70_000_000
    assert store.counts()["rows"] == 3_000
