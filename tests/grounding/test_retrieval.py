"""Words and vectors together, with an encoder that counts words and one that is the real one."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from greenroom.contracts import Encoder
from greenroom.exchange import Passage
from greenroom.grounding import retrieval
from greenroom.grounding.embedding import Embedding
from greenroom.grounding.index import DocumentIndex
from greenroom.grounding.vectors import Asked
from greenroom.grounding.words import ALL
from greenroom.models.encoder import INSTALL, MiniLM, is_installed
from greenroom.testing import WordEncoder

needs_the_extra = pytest.mark.skipif(not is_installed(), reason=INSTALL)
TEXTS = {
    "leave.txt": "Employees may take twenty-five days of paid leave every year.",
    "laptops.txt": "A broken computer is replaced by the service desk within two days.",
    "parking.txt": "The garage opens at six in the morning and closes at midnight.",
}


def fill(
    index: DocumentIndex, texts: dict[str, str] = TEXTS, project: str = "p", collection: str = "c"
) -> None:
    for name, text in texts.items():
        index.add(project, collection, name, text.encode())


def asked(encoder: Encoder, text: str) -> Asked:
    return Asked(encoder.name, encoder.encode([text])[0])


def names(found: Sequence[Passage]) -> list[str]:
    return [one.document for one in found]


@needs_the_extra
def test_a_question_in_other_words_finds_its_passage(index: DocumentIndex) -> None:
    fill(index)
    encoder = MiniLM()
    question = "How long is my vacation?"
    Embedding(index, encoder).catch_up()

    without = index.search(question, project="p", collections=[ALL], limit=3)
    found = index.search(question, project="p", collections=[ALL], limit=3, vector=asked(encoder, question))

    assert without == []
    assert found[0].document == "leave.txt"
    assert found[0].score > 0


@needs_the_extra
def test_a_question_about_nothing_there_stays_below_the_usual_threshold(index: DocumentIndex) -> None:
    fill(index)
    encoder = MiniLM()
    Embedding(index, encoder).catch_up()
    question = "Which enzyme unwinds DNA?"

    found = index.search(question, project="p", collections=[ALL], limit=3, vector=asked(encoder, question))

    assert [one for one in found if one.score >= 0.2] == []


def test_scores_fall_and_lie_between_0_and_1(index: DocumentIndex) -> None:
    fill(index)
    encoder = WordEncoder()
    Embedding(index, encoder).catch_up()
    question = "may the garage open in the morning every year"

    scores = [
        one.score
        for one in index.search(
            question, project="p", collections=[ALL], limit=9, vector=asked(encoder, question)
        )
    ]

    assert scores == sorted(scores, reverse=True)
    assert all(0 < one <= 1 for one in scores)


def test_documents_in_other_languages_have_no_vectors_and_are_found_by_words(index: DocumentIndex) -> None:
    fill(
        index, {"pt.txt": "As férias são de trinta dias por ano.", "es.txt": "Las vacaciones son de un mes."}
    )
    encoder = WordEncoder()

    assert Embedding(index, encoder).catch_up() == 0
    assert not index.has_vectors("p", [ALL])
    for question, expected in (("dias de ferias", "pt.txt"), ("¿cuántas vacaciones hay?", "es.txt")):
        found = index.search(
            question, project="p", collections=[ALL], limit=1, vector=asked(encoder, question)
        )
        assert names(found) == [expected]


@pytest.mark.parametrize("exact", [20_000, 0], ids=["every vector", "those that words propose"])
def test_no_vector_leads_out_of_its_project_or_collection(
    index: DocumentIndex, monkeypatch: pytest.MonkeyPatch, exact: int
) -> None:
    monkeypatch.setattr(retrieval, "EXACT", exact)
    encoder = WordEncoder()
    fill(index, {"a.txt": "The secret number is seven."}, project="alpha")
    fill(index, {"b.txt": "The public number is eight."}, project="beta")
    fill(index, {"c.txt": "The secret number is nine."}, project="beta", collection="other")
    Embedding(index, encoder).catch_up()
    vector = asked(encoder, "The secret number is seven.")

    found = index.search("secret number", project="beta", collections=["c"], limit=9, vector=vector)

    assert names(found) == ["b.txt"]
    assert index.has_vectors("beta", ["c"])
    assert not index.has_vectors("gamma", [ALL])


def test_a_search_can_be_confined_to_documents(index: DocumentIndex) -> None:
    encoder = WordEncoder()
    fill(index, {f"{n}.txt": f"The garage number {n} opens at six." for n in range(60)})
    Embedding(index, encoder).catch_up()
    rows = {row.filename: row.id for row in index.list("p")}
    only = [rows["7.txt"], rows["59.txt"]]

    for vector in (None, asked(encoder, "garage opens")):
        found = index.search(
            "garage opens", project="p", collections=[ALL], limit=9, vector=vector, documents=only
        )
        assert set(names(found)) == {"7.txt", "59.txt"}
    assert index.search("garage", project="p", collections=[ALL], limit=9, documents=[]) == []
    assert index.search("garage", project="q", collections=[ALL], limit=9, documents=only) == []


@pytest.mark.parametrize(
    ("typed", "meant", "document"),
    [
        pytest.param("brokn computre", "broken computer", "laptops.txt", id="en"),
        pytest.param("restituição de imposot", "restituição de imposto", "pt.txt", id="pt"),
        pytest.param("devolución de impusto", "devolución de impuesto", "es.txt", id="es"),
    ],
)
def test_the_corrected_spelling_is_searched_too(
    index: DocumentIndex, typed: str, meant: str, document: str
) -> None:
    fill(index)
    fill(index, {
        "pt.txt": "A restituição do imposto é paga em junho. O imposto não é cobrado em dobro.",
        "es.txt": "La devolución del impuesto se paga en junio. El impuesto no se cobra dos veces.",
    })  # fmt: skip

    before = index.search(typed, project="p", collections=[ALL], limit=1)
    found = index.search(typed, project="p", collections=[ALL], limit=1, wordings=[meant])

    assert names(found) == [document]
    assert found[0].score > (before[0].score if before else 0)


@pytest.mark.parametrize(
    ("question", "name", "texts"),
    [
        pytest.param(
            "Where does Ana Castro work?", "Ana Castro",
            {"a.txt": "Castro met Ana at work.", "b.txt": "Ana Castro works there."}, id="en",
        ),
        pytest.param(
            "Onde fica Ouro Preto?", "Ouro Preto",
            {"a.txt": "O preto fica bem com ouro.", "b.txt": "Ouro Preto fica nas montanhas."}, id="pt",
        ),
        pytest.param(
            "¿Dónde está Santa Cruz?", "Santa Cruz",
            {"a.txt": "Una cruz santa está en la plaza.", "b.txt": "La ciudad Santa Cruz está al este."}, id="es",
        ),
    ],
)  # fmt: skip
def test_a_passage_with_the_name_itself_goes_first(
    index: DocumentIndex, question: str, name: str, texts: dict[str, str]
) -> None:
    fill(index, texts)

    found = index.search(question, project="p", collections=[ALL], limit=2, names=[name])

    assert names(found)[0] == "b.txt"


def test_of_two_copies_one_is_found(index: DocumentIndex) -> None:
    text = "The garage opens at six in the morning. Guests ring the bell at the gate and wait for the guard."
    fill(
        index, {"one.txt": text, "two.txt": text + " Thanks.", "three.txt": "The bicycle garage has no gate."}
    )

    found = index.search("When does the garage open?", project="p", collections=[ALL], limit=5)

    assert set(names(found)) in ({"one.txt", "three.txt"}, {"two.txt", "three.txt"})


@pytest.mark.parametrize(
    "vector", [np.zeros(64, np.float32), np.full(64, 0.125, np.float32)], ids=["zero", "flat"]
)
def test_any_vector_is_a_question(index: DocumentIndex, vector: object) -> None:
    fill(index)
    Embedding(index, WordEncoder()).catch_up()
    assert isinstance(vector, np.ndarray)

    found = index.search(
        "garage", project="p", collections=[ALL], limit=3, vector=Asked("test/words", vector)
    )

    assert found[0].document == "parking.txt"


def test_vectors_of_another_encoder_are_not_compared(index: DocumentIndex) -> None:
    fill(index)
    Embedding(index, WordEncoder()).catch_up()

    found = index.search(
        "zebra", project="p", collections=[ALL], limit=3, vector=Asked("other", np.zeros(8, np.float32))
    )

    assert found == []


Change = Callable[[DocumentIndex], object]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda index: index.add("p", "c", "parking.txt", b"Trains leave."), id="replaced"),
        pytest.param(lambda index: index.remove_collection("p", "c"), id="removed"),
    ],
)
def test_a_document_that_is_gone_is_not_found_by_its_vector(index: DocumentIndex, change: Change) -> None:
    encoder = WordEncoder()
    fill(index, {"parking.txt": "The garage opens at six."})
    Embedding(index, encoder).catch_up()
    vector = asked(encoder, "The garage opens at six.")
    assert index.search("x", project="p", collections=[ALL], limit=3, vector=vector)

    change(index)

    assert index.search("x", project="p", collections=[ALL], limit=3, vector=vector) == []
