from collections.abc import Iterator

import pytest

from greenroom.grounding.index import DocumentIndex
from greenroom.grounding.search import AsyncSearch, rank_documents
from greenroom.grounding.words import ALL
from tests.grounding.conftest import HANDBOOK, MANUAL


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def search(index: DocumentIndex, clock: Clock) -> Iterator[AsyncSearch]:
    opened = AsyncSearch(index, now=clock)
    yield opened
    opened.close()


async def test_it_finds_what_the_index_finds(index: DocumentIndex, search: AsyncSearch) -> None:
    index.add("p", "docs", "handbook.md", HANDBOOK.encode())

    found = await search.search("add a provider", project="p", collections=[ALL], limit=3)

    assert found == index.search("add a provider", project="p", collections=[ALL], limit=3)


@pytest.mark.parametrize("word", ["zentrix", "informação", "pagamento"])
def test_a_word_of_the_documents_is_known_as_it_is_spelt(
    index: DocumentIndex, search: AsyncSearch, word: str
) -> None:
    index.add("p", "c", "a.md", "O zentrix guarda a informação do pagamento.".encode())

    assert search.has_word("p", word)
    assert not search.has_word("q", word)


@pytest.mark.parametrize("word", ["informacao", "zentrx"])
def test_a_word_spelt_otherwise_is_not(index: DocumentIndex, search: AsyncSearch, word: str) -> None:
    index.add("p", "c", "a.md", "O zentrix guarda a informação do pagamento.".encode())

    assert not search.has_word("p", word)


async def test_an_empty_project_is_asked_again_within_a_second(
    index: DocumentIndex, search: AsyncSearch, clock: Clock
) -> None:
    assert await search.search("provider", project="p", collections=[ALL], limit=3) == []
    assert not search.may_find("p")
    index.add("p", "docs", "handbook.md", HANDBOOK.encode())
    clock.now += 1.0

    assert search.may_find("p")
    assert await search.search("provider", project="p", collections=[ALL], limit=3)


def test_documents_of_a_request_are_ranked_like_the_index() -> None:
    documents = [
        {"id": "d1", "title": "Handbook", "text": HANDBOOK},
        {"id": "d2", "title": "Manual", "text": MANUAL},
    ]

    found = rank_documents("Como criar uma chave?", documents, limit=2)

    assert found[0].id.startswith("d2#")
    assert found[0].document == "Manual"
    assert found[0].score > 0


def test_documents_without_a_word_in_common_are_still_given_to_read() -> None:
    found = rank_documents("zebra", [{"id": "d1", "title": "T", "text": "Elephants are grey."}], limit=2)

    assert [one.score for one in found] == [0.0]


def test_nothing_is_found_in_nothing() -> None:
    assert rank_documents("zebra", [], limit=2) == []
    assert rank_documents("zebra", [{"id": "d1"}], limit=2) == []
