"""Search: complete at once, the same before and after indexing."""

from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.errors import MalformedRequest
from greenroom.store.listing import TraceFilter
from greenroom.store.search import Query, fold, read_query
from greenroom.store.traces import TraceStore
from tests.patience import slowness
from tests.store.exchanges import entry_of, make_exchange

TEXTS = [
    "Quanto custa a inscrição em São Paulo?",
    "¿Cuánto cuesta la inscripción en Bogotá?",
    "How much is the registration in New York?",
    "x_y-z 3.14 foo@example.com",
    "ÉCOLE normale, naïve café",
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("inscricao", {0}),
        ("SÃO paulo", {0}),
        ("inscri*", {0, 1}),
        ("custa paulo york", set()),
        ("foo@example.com", {3}),
        ("3.14", {3}),
        ("ecole CAFE", {4}),
        ("bogotá -", {1}),
        ("AND OR NOT", set()),
        ("Oslo", {0, 1, 2, 3, 4}),
    ],
)
def test_the_answer_is_the_same_before_while_and_after_indexing(
    tmp_path: Path, query: str, expected: set[int]
) -> None:
    store = TraceStore(tmp_path / "traces.db")
    store.write([entry_of(make_exchange(str(n), text)) for n, text in enumerate(TEXTS)])

    answers = []
    for _ in range(len(TEXTS) + 1):
        answers.append({int(row["id"]) for row in store.list(TraceFilter(q=query)).rows})
        store.index(limit=1)

    assert answers == [expected] * (len(TEXTS) + 1)
    store.close()


@settings(max_examples=40, deadline=None)
@given(
    text=st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cn")), max_size=60),
    data=st.data(),
)
def test_any_word_of_a_text_finds_it_in_the_scan_as_in_the_index(text: str, data: st.DataObject) -> None:
    words = [word for word in fold(text).split() if word.isascii() and word.isalnum()]
    word = data.draw(st.sampled_from(words)) if words else "none"
    query = read_query(word)

    assert query is not None
    assert query.matches(text) == bool(words)


def test_pages_of_a_search_cross_the_border_of_the_index(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "traces.db")
    store.write([entry_of(make_exchange(str(n), "zebra")) for n in range(10)])
    store.index()
    store.write([entry_of(make_exchange(str(n), "zebra")) for n in range(10, 20)])

    seen: list[str] = []
    cursor = None
    for _ in range(10):
        page = store.list(TraceFilter(q="zebra", limit=3, cursor=cursor))
        seen += [row["id"] for row in page.rows]
        cursor = page.next
        if cursor is None:
            break

    assert seen == [str(n) for n in reversed(range(20))]
    store.close()


def test_a_search_without_a_word_is_the_callers_mistake(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "traces.db")

    with pytest.raises(MalformedRequest, match="'q'"):
        store.list(TraceFilter(q="?!"))
    store.close()


def test_a_query_is_taken_apart_into_words_and_beginnings() -> None:
    assert read_query("Foo-bar* Ação") == Query(("foo", "acao"), ("bar",))


@pytest.mark.slow
def test_list_open_and_search_stay_fast_with_twenty_thousand_traces(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "traces.db")
    for start in range(0, 20_000, 250):
        store.write(
            [
                entry_of(make_exchange(f"{n:032x}", f"word{n % 97} number{n}", app=f"app{n % 50}"))
                for n in range(start, start + 250)
            ]
        )
    for _ in range(76):  # leaves some for the scan
        store.index(limit=256)

    began = perf_counter()
    assert len(store.list(TraceFilter(project="default")).rows) == 50
    assert len(store.list(TraceFilter(q="word3")).rows) == 50
    assert len(store.list(TraceFilter(q="number77")).rows) == 1
    assert len(store.list(TraceFilter(app="app7", limit=500)).rows) == 400
    assert len(store.list(TraceFilter(app="no such app")).rows) == 0
    assert store.get("default", f"{11_111:032x}") is not None
    elapsed_s = perf_counter() - began

    assert elapsed_s < 0.5 * slowness()  # six reads, each promised within 100 ms
    store.close()
