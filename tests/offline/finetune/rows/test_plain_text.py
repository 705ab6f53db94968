"""A plain text is cleaned as rows are before anything learns from it."""

from pathlib import Path

import pytest

from greenroom.assembly.training_rows import masks
from greenroom.errors import MalformedRequest
from greenroom.offline.finetune.rows.options import Asked, Held, Means, Options
from greenroom.offline.finetune.rows.plain_text import COMPARED_CHARS, PlainText, prepare_text

QUESTION = "Which three harbours does the ferry Aurora call at on Sundays?"
GATE = Options()
MEANS = Means(masks, evaluation=[Held("ferry@1", [Asked([QUESTION], "Lund, Vik and Ness.")])])


def run(folder: Path, text: str | bytes, options: Options = GATE) -> tuple[PlainText, str]:
    source, out = folder / "file-1", folder / "text.txt"
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    return prepare_text(source, out, "book.txt", options, MEANS), out.read_text()


@pytest.mark.parametrize(
    ("said", "hidden"),
    [
        ("Write to ana.lopes@example.org before noon.", "ana.lopes@example.org"),
        ("O CPF dela é 529.982.247-25 e mora ao lado.", "529.982.247-25"),
        ("Escríbeme a jorge.ruiz@ejemplo.es mañana.", "jorge.ruiz@ejemplo.es"),
    ],
)
def test_personal_data_is_masked_in_three_languages(tmp_path: Path, said: str, hidden: str) -> None:
    done, text = run(tmp_path, f"The tide is low.\n\n{said}\n\nThe tide is high.\n")

    assert hidden not in text
    assert sum(done.masked.values()) == 1
    assert (done.documents, text.startswith("The tide is low.\n\n")) == (3, True)
    assert hidden in run(tmp_path, said, Options(mask=False))[1]


def test_a_question_of_an_evaluation_is_left_out_also_of_a_long_document(tmp_path: Path) -> None:
    filler = [f"Gull number {n} sits on the pier and waits for bread." for n in range(COMPARED_CHARS // 40)]
    long = "\n".join([*filler[:50], QUESTION, *filler[50:]])

    done, text = run(tmp_path, f"{QUESTION}\n\n{long}\n")

    assert "Aurora" not in text
    assert done.evaluation == 2
    assert text.count("Gull number") == len(filler), "nothing else is lost"
    assert "Aurora" in run(tmp_path, QUESTION, Options(evaluation=False))[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"caf\xe9 au lait", "is not UTF-8"),
        (b"\xef\xbb\xbf \n\n\n", "no text"),
        (QUESTION.encode(), "no text"),
    ],
)
def test_what_can_not_be_learned_from_is_refused_by_its_name(tmp_path: Path, text: bytes, said: str) -> None:
    with pytest.raises(MalformedRequest, match=f"book.txt .*{said}") as refused:
        run(tmp_path, text)

    assert refused.value.param == "greenroom.text_file"
