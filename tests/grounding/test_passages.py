from itertools import pairwise
from time import process_time

from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.grounding.passages import FULL, split, units

_LINES = st.lists(
    st.sampled_from(
        ["# A", "## B b", "", "One. Two is here! Três?", "- item", "1. first", "| a | b |", "```", "x = 1", "word " * 90,
         "Dr. Silva came. Then left.", "y" * 1500, "...... .... ."]
    ),
    max_size=30,
)  # fmt: skip


@settings(max_examples=150)
@given(_LINES)
def test_a_passage_is_a_stretch_of_the_text_no_longer_than_the_limit(lines: list[str]) -> None:
    text = "\n".join(lines)

    for piece in split(text, "T"):
        assert text[piece.start : piece.start + len(piece.text)] == piece.text
        assert 0 < len(piece.text) <= FULL


@settings(max_examples=100)
@given(_LINES)
def test_no_word_outside_headings_is_lost(lines: list[str]) -> None:
    text = "\n".join(lines)
    covered = {
        at for piece in split(text, "T") for at in range(piece.start, piece.start + len(piece.text))
    } | {at for unit in units(text) if unit.kind == "heading" for at in range(unit.start, unit.end)}

    assert all(one.isspace() for at, one in enumerate(text) if at not in covered)


def test_headings_above_a_passage_are_its_title() -> None:
    pieces = split("# Doc\n\nIntro.\n\n## Part\n\nText.\n\n### Sub\n\nMore.\n\n## Other\n\nEnd.", "Doc")

    assert [one.title for one in pieces] == ["Doc", "Doc › Part", "Doc › Part › Sub", "Doc › Other"]


def test_a_long_section_is_cut_between_sentences_with_one_repeated() -> None:
    text = " ".join(f"Sentence number {n} says something of its own here." for n in range(80))
    pieces = split(text, "T")

    assert len(pieces) > 2
    assert all(one.text.startswith("Sentence") and one.text.endswith(".") for one in pieces)
    for before, after in pairwise(pieces):
        assert before.text.endswith(after.text[: after.text.index(".") + 1])


def test_abbreviations_and_numbers_end_no_sentence() -> None:
    text = "O Dr. Silva pagou 3.5 reais, cf. Art. 5 da lei. Depois saiu."

    assert [text[one.start : one.end] for one in units(text)] == [
        "O Dr. Silva pagou 3.5 reais, cf. Art. 5 da lei.",
        "Depois saiu.",
    ]


def test_code_and_lists_are_whole() -> None:
    text = "Do this:\n\n```sh\n# no heading\nmake. Run\n```\n\n- a\n- b\n\n- c"

    assert [one.kind for one in units(text)] == ["sentence", "code", "list"]


def test_plain_text_has_no_headings() -> None:
    assert [one.kind for one in units("# just a comment", headings=False)] == ["sentence"]


def test_cutting_hostile_text_takes_linear_time() -> None:
    began = process_time()
    for hostile in (
        "." * 300_000,
        "# " * 150_000,
        ". " * 150_000,
        "`" * 300_000,
        "- \n" * 100_000,
        "(" * 300_000,
    ):
        split(hostile, "T")

    assert process_time() - began < 8
