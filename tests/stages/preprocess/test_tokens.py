"""Estimates, and exact counts where rank files are."""

import base64
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.exchange import Text
from greenroom.stages.preprocess import tokens
from greenroom.stages.preprocess.tokens import count_exact, encoding_of, estimate


@pytest.fixture
def ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A toy rank file: every byte, and "th", "the"."""
    merges = [bytes([code]) for code in range(256)] + [b"th", b"the"]
    lines = (base64.b64encode(one) + b" %d" % rank for rank, one in enumerate(merges))
    (tmp_path / "o200k_base.tiktoken").write_bytes(b"\n".join(lines))
    monkeypatch.setattr(tokens, "RANKS", tmp_path)
    return tmp_path


def test_without_a_rank_file_nothing_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "RANKS", tmp_path)

    assert count_exact("the", "o200k_base") is None


@pytest.mark.usefixtures("ranks")
def test_a_rank_file_is_used_without_network() -> None:
    assert count_exact("the cat", "o200k_base") == 1 + 4
    assert count_exact("", "o200k_base") == 0
    assert count_exact("<|endoftext|>", "o200k_base") == 13


@pytest.mark.usefixtures("ranks")
def test_long_texts_are_counted_in_pieces_with_the_same_result() -> None:
    assert count_exact("the cat " * 30_000, "o200k_base") == 30_000 * 6


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        pytest.param(
            "The quick brown fox jumps over the lazy dog and runs away again. " * 20, 240, 340, id="en"
        ),
        pytest.param(
            "A operação não será cancelada até o fim da reunião de amanhã cedo. " * 20, 260, 420, id="pt"
        ),
        pytest.param("巴西的首都是哪里？请简单回答。" * 20, 150, 330, id="zh"),
    ],
)
def test_an_estimate_is_of_the_right_size(text: str, low: int, high: int) -> None:
    count, error = estimate([Text(0, "user", text)], ["user"])

    assert low <= count <= high
    assert 0 < error < count


@settings(max_examples=50)
@given(parts=st.lists(st.text(max_size=200), max_size=6))
def test_an_estimate_grows_with_the_text(parts: list[str]) -> None:
    texts = [Text(index, "user", part) for index, part in enumerate(parts)]
    more = [*texts, Text(len(texts), "user", "more words")]

    assert estimate(texts, ["user"])[0] < estimate(more, ["user", "user"])[0]


def test_encodings_are_known_by_name() -> None:
    assert encoding_of("openai/gpt-5-mini") == "o200k_base"
    assert encoding_of("gpt-4-turbo") == "cl100k_base"
    assert encoding_of("anthropic/claude-haiku-4-5") is None
