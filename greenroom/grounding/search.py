"""Searching from the event loop: the index asked in threads, and documents that came with a request.

Knows the index; keeps no text.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from greenroom.contracts import Encoder
from greenroom.exchange import Passage
from greenroom.grounding import passages as cutting
from greenroom.grounding import ranking
from greenroom.grounding.index import DocumentIndex
from greenroom.grounding.ranking import Statistics
from greenroom.grounding.stems import Language, language_of, tokens
from greenroom.grounding.vectors import Asked

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

FRESH_S = 1.0
"""For so long «this project has no documents» is believed without asking again."""
_THREADS = 2
_REQUEST_CHARACTERS = 1_000_000
"""Text of documents sent with a request that is looked at."""


class AsyncSearch:
    """A `Searcher` over a `DocumentIndex`. Call `close` at the end; the index stays open."""

    def __init__(
        self, index: DocumentIndex, encoder: Encoder | None = None, now: Callable[[], float] = monotonic
    ) -> None:
        self._index = index
        self._encoder = encoder
        """Whose vectors the index has; without one words alone are searched."""
        self._now = now
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="documents")
        self._empty_until: dict[str, float] = {}

    async def search(
        self,
        query: str,
        *,
        project: str,
        collections: Sequence[str],
        limit: int,
        wordings: Sequence[str] = (),
        names: Sequence[str] = (),
        vector: "Callable[[], Awaitable[NDArray[float32]]] | None" = None,
        documents: Sequence[str] | None = None,
    ) -> list[Passage]:
        """As `DocumentIndex.search`; at once where the project had no documents within the last second.

        `vector` is asked only where documents have vectors and the encoder knows the query's language.
        """
        if not collections or not self.may_find(project):
            return []
        loop = asyncio.get_running_loop()
        asked: Asked | None = None
        encoder = self._encoder
        if encoder is not None and vector is not None and language_of(query) in encoder.languages:
            has_vectors = self._index.has_vectors
            if await loop.run_in_executor(self._threads, has_vectors, project, tuple(collections)):
                asked = Asked(encoder.name, await vector())
        search = partial(
            self._search, query, project=project, collections=collections, limit=limit, wordings=wordings,
            names=names, vector=asked, documents=documents,
        )  # fmt: skip
        found = await loop.run_in_executor(self._threads, search)
        if found is None:
            if len(self._empty_until) > 10_000:
                self._empty_until.clear()
            self._empty_until[project] = self._now() + FRESH_S
            return []
        return found

    def has_word(self, project: str, word: str) -> bool:
        """Whether a passage of the project's has a word, spelt just so. Blocks, for about 30 µs."""
        return self.may_find(project) and self._index.has_word(project, word)

    def may_find(self, project: str) -> bool:
        """False only where the project had no documents within the last second."""
        return self._now() >= self._empty_until.get(project, 0.0)

    def _search(self, query: str, *, project: str, **how: Any) -> list[Passage] | None:  # Any: as above
        if not self._index.has_passages(project):
            return None
        return self._index.search(query, project=project, **how)

    def rank(self, query: str, documents: Sequence[Mapping[str, str]], *, limit: int) -> list[Passage]:
        """Passages of documents that came with a request, ranked as the index ranks. See `rank_documents`."""
        return rank_documents(query, documents, limit=limit)

    def language(self, text: str) -> Language:
        """The language a text is in: en, pt or es."""
        return language_of(text)

    def content_words(self, text: str) -> int:
        """How many words of a text are no stop words."""
        return len(tokens(text))

    def close(self) -> None:
        """Let running searches end and stop the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)


def rank_documents(query: str, documents: Sequence[Mapping[str, str]], *, limit: int) -> list[Passage]:
    """Cut and rank documents (`id`, `title`, `text`) in memory; best first, scores between 0 and 1.

    Looks at the first million characters of all of them together. When no word matches, the documents' first
    passages are given with score 0: they were sent to be read.
    """
    room = _REQUEST_CHARACTERS
    found: list[Passage] = []
    stems: list[tuple[str, str]] = []
    spoken: list[Language] = []
    languages: list[Language] = []
    for number, document in enumerate(documents, 1):
        text = document.get("text", "")[:room]
        room -= len(text)
        name = document.get("id") or str(number)
        title = document.get("title") or name
        language = language_of(text)
        if language not in languages:
            languages.append(language)
        for position, piece in enumerate(cutting.split(text, title)):
            found.append(
                Passage(
                    id=f"{name}#{position}", document=title, title=piece.title, text=piece.text, score=0.0,
                    start=piece.start,
                )
            )  # fmt: skip
            spoken.append(language)
            stems.append((" ".join(tokens(piece.title, language)), " ".join(tokens(piece.text, language))))
    counted = ranking.frequencies([f"{heading} {body}" for heading, body in stems])
    statistics = Statistics(len(stems), sum(body.count(" ") + 1 for _, body in stems) / max(1, len(stems)))
    queries = ranking.weigh(
        ranking.query_terms(query, languages, language_of(query)), counted.get, statistics
    )
    by_language = dict(zip(languages, queries, strict=True))
    for passage, language, (heading, body) in zip(found, spoken, stems, strict=True):
        words = ranking.score(by_language[language], heading, body, statistics)
        passage.score = round(ranking.shown(words, None), 4)
    found.sort(key=lambda one: -one.score)
    return [one for one in found[:limit] if one.score > 0] or found[:limit]
