from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.contracts import Encoder
from greenroom.errors import ExtraMissing
from greenroom.models import encoder
from greenroom.models.encoder import DIMENSIONS, INSTALL, MiniLM
from greenroom.testing import WordEncoder

pytest.importorskip("onnxruntime", reason=INSTALL)

QUESTION = "How do I reset my password?"


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM()


@pytest.mark.parametrize("make", [MiniLM, WordEncoder])
def test_rows_are_unit_vectors_in_order(make: type[MiniLM | WordEncoder]) -> None:
    made: Encoder = make()

    found = made.encode(["a cat", "a dog", ""])

    assert found.shape == (3, made.dimensions)
    assert found.dtype == np.float32
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert np.allclose(found[1], made.encode(["a dog"])[0], atol=1e-6)


def test_no_texts_no_vectors(minilm: MiniLM) -> None:
    assert minilm.encode([]).shape == (0, DIMENSIONS)


def test_like_meanings_are_nearer_than_like_words(minilm: MiniLM) -> None:
    asked, same, other = minilm.encode(
        [QUESTION, "Steps to recover access when you forgot your login secret", "How do I reset my router?"]
    )

    assert asked @ same > asked @ other


def test_the_published_model_gives_these_numbers(minilm: MiniLM) -> None:
    # From the model's card, for the weights before they were quantised.
    found = minilm.encode(["This is an example sentence"])[0]

    assert np.abs(found[:5] - [0.0677, 0.0635, 0.0487, 0.0793, 0.0374]).max() < 0.03


def test_a_text_has_one_vector_whatever_is_asked_beside_it(minilm: MiniLM) -> None:
    alone = minilm.encode([QUESTION])[0]
    beside = minilm.encode(["x", QUESTION, "word " * 400])[1]

    assert np.array_equal(alone, beside)


def test_a_long_text_counts_beyond_its_first_window(minilm: MiniLM) -> None:
    filler = "The weather was mild and nothing happened. " * 40
    whole, plain, asked = minilm.encode([filler + QUESTION * 20, filler, QUESTION])

    assert whole @ asked > plain @ asked + 0.1


def test_a_huge_text_is_cut_and_still_a_vector(minilm: MiniLM) -> None:
    found = minilm.encode(["\N{GRINNING FACE}" * 40_000])

    assert np.allclose(np.linalg.norm(found), 1, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200))
def test_any_text_has_a_finite_vector(text: str) -> None:
    found = _shared.encode([text])[0]

    assert np.isfinite(found).all()


_shared = MiniLM()


def test_a_question_asked_again_is_remembered(minilm: MiniLM) -> None:
    assert not minilm.is_known("remember me")
    first = minilm.encode(["remember me"])

    assert minilm.is_known("remember me")
    assert np.array_equal(minilm.encode(["remember me"]), first)


def test_no_more_is_remembered_than_promised(minilm: MiniLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "_REMEMBERED", 2)
    fresh = MiniLM()
    for text in ("one", "two", "one", "three"):
        fresh.encode([text])

    assert [fresh.is_known(text) for text in ("one", "two", "three")] == [True, False, True]


def test_threads_that_come_at_once_load_once_and_agree() -> None:
    fresh = MiniLM()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: fresh.encode([QUESTION])[0], range(8)))

    assert all(np.array_equal(one, found[0]) for one in found)


def test_without_the_extra_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "is_installed", lambda: False)

    with pytest.raises(ExtraMissing, match=INSTALL):
        MiniLM().encode(["a"])


def test_tokens_are_counted_as_the_model_counts(minilm: MiniLM) -> None:
    assert minilm.tokens(["hello", "hello world"]) == [3, 4]


def test_the_shipped_files_are_small() -> None:
    assert sum(path.stat().st_size for path in Path(encoder.FOLDER).iterdir()) < 25_000_000


def test_a_glance_at_a_short_text_is_its_vector(minilm: MiniLM) -> None:
    assert np.array_equal(minilm.glance(QUESTION), minilm.encode([QUESTION])[0])


def test_a_glance_sees_both_ends_of_a_long_text_and_not_its_middle(minilm: MiniLM) -> None:
    begins, ends, middle = (
        "Please translate this letter. ",
        " What is the capital of France?",
        "apples and pears " * 60,
    )

    seen = minilm.glance(begins + middle + ends)

    assert np.allclose(seen, minilm.glance(begins + middle * 40 + ends))
    assert not np.allclose(seen, minilm.glance(begins + middle))
    assert np.linalg.norm(seen) == pytest.approx(1.0, abs=1e-5)
