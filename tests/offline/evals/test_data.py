"""Data sets from files: what rows may be, and which line is named when one is wrong."""

import json
from pathlib import Path

import pytest

from greenroom.errors import MalformedRequest
from greenroom.offline.evals import data
from greenroom.offline.evals.data import read_file
from greenroom.offline.evals.leaks import find_leaks
from greenroom.offline.evals.sample import Sample
from greenroom.offline.evals.splits import split


def write(folder: Path, text: str | bytes, name: str = "rows.jsonl") -> Path:
    """A file with this text."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def ask(text: str, id: str = "1", group: str = "") -> Sample:
    """A sample of one question."""
    return Sample(id=id, messages=({"role": "user", "content": text},), group=group)


def test_a_row_may_be_messages_a_question_or_variables(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "messages": [{"role": "user", "content": "Oi"}], "expected": "Olá", "group": "g"},
        {"question": "¿Qué?", "system": "Be brief.", "answer": {"x": 1}},
        {"variables": {"topic": "rain"}, "expected": 3},
        {"topic": "snow", "tone": "dry"},
    ]

    found = read_file(write(tmp_path, "\ufeff" + "\n\n".join(json.dumps(row) for row in rows))).samples

    assert (found[0].id, found[0].expected, found[0].group) == ("a", "Olá", "g")
    assert [one["role"] for one in found[1].messages] == ["system", "user"]
    assert found[1].expected == {"x": 1}
    assert (found[2].variables, found[2].expected) == ({"topic": "rain"}, 3)
    assert (found[3].messages, found[3].variables) == ((), {"topic": "snow", "tone": "dry"})
    assert found == read_file(tmp_path / "rows.jsonl").samples


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_file_may_have_any_usual_delimiter_and_cells_of_several_lines(
    tmp_path: Path, delimiter: str
) -> None:
    text = f'question{delimiter}expected\n"two\nlines"{delimiter}1\n\nother{delimiter}\n'

    found = read_file(write(tmp_path, text, "rows.csv")).samples

    assert [one.messages[0]["content"] for one in found] == ["two\nlines", "other"]
    assert [one.expected for one in found] == ["1", None]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"input": "a"}\n{"input": ', "line 2: this is no JSON"),
        ('{"input": "a"}\n[1]', "line 2: a row must be a JSON object"),
        ('\n{"input": "  "}', "line 2: the question must be a text"),
        ('{"expected": "a"}', "line 1: nothing is asked"),
        ('{"messages": []}', "line 1: 'messages' must be a list"),
        ('{"messages": [{"role": "king", "content": "a"}]}', "role"),
        ('{"messages": [{"role": "user", "content": ""}]}', "has no content"),
        ('{"variables": 3}', "'variables' must be an object"),
        ('{"id": 1, "input": "a"}\n{"id": "1", "input": "b"}', "line 2: the id '1' is that of .*line 1"),
        ("", "there are no rows"),
        (b'{"input": "a"}\n{"input": "caf\xe9"}', "line 2: this is not UTF-8"),
        ('{"input": "a"}'.encode("utf-16"), "UTF-16"),
        ("[" * 100_000, "line 1: this is no JSON"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(MalformedRequest, match=says):
        read_file(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("question,expected\na,b,c\n", "line 2: 3 cells under 2 columns"),
        ("question,question\na,b\n", "the column 'question' is there twice"),
        ('question\n"a\n', "line 2"),
        ("question\n", "there are no rows"),
    ],
)
def test_what_is_wrong_in_csv_is_said_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(MalformedRequest, match=says):
        read_file(write(tmp_path, text, "rows.csv"))


def test_what_is_too_large_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, '{"input": "a"}\n{"input": "b"}')

    monkeypatch.setattr(data, "MOST_ROWS", 1)
    with pytest.raises(MalformedRequest, match="may have 1 rows"):
        read_file(path)
    monkeypatch.setattr(data, "MOST_BYTES", 10)
    with pytest.raises(MalformedRequest, match="Split the file"):
        read_file(path)
    with pytest.raises(MalformedRequest, match="can't be read"):
        read_file(tmp_path / "gone.jsonl")


def test_rows_that_ask_the_same_are_one_group_and_are_told(tmp_path: Path) -> None:
    found = read_file(write(tmp_path, '{"input": "a"}\n{"input": "a", "expected": "x"}\n{"input": "b"}'))

    first, second, third = found.samples
    assert first.group == second.group != ""
    assert third.group == ""
    assert len({first.id, second.id, third.id}) == 3
    assert found.notes == ("1 of 3 rows ask what another row asks; in intervals they count as one group.",)


def test_the_digest_changes_with_what_is_expected(tmp_path: Path) -> None:
    one = read_file(write(tmp_path, '{"input": "a", "expected": "x"}', "one.jsonl"))
    other = read_file(write(tmp_path, '{"input": "a", "expected": "y"}', "other.jsonl"))

    assert one.digest != other.digest


def test_a_split_keeps_groups_together_and_never_moves_a_sample() -> None:
    samples = [ask(f"question {n}", str(n), f"talk {n // 4}") for n in range(2_000)]

    parts = split(samples)
    fewer = split(samples[::-3])

    home = {one.id: name for name, part in parts.items() for one in part}
    assert len(home) == len(samples)
    assert all(len({home[str(n)] for n in range(start, start + 4)}) == 1 for start in range(0, 2_000, 4))
    assert all(home[one.id] == name for name, part in fewer.items() for one in part)
    assert [len(part) / 2_000 for part in parts.values()] == pytest.approx([0.6, 0.2, 0.2], abs=0.05)


@pytest.mark.parametrize("shares", [{"a": 0.5}, {"a": 1.5, "b": -0.5}])
def test_shares_that_do_not_add_up_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(MalformedRequest, match="add up to 1"):
        split([ask("a")], shares)


QUESTION = "How many days of paid leave does a new employee have in the first year?"


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        (QUESTION.upper().replace("?", " !?"), "exact"),
        (f"Answer shortly. {QUESTION} Thirty days, says the handbook.", "near"),
        (QUESTION.replace("new employee", "new employees"), "near"),
        ("How many days of sick leave may somebody take before a doctor's note is due?", None),
        ("", None),
    ],
)
def test_leaks_are_found_in_other_words_and_longer_texts(other: str, kind: str | None) -> None:
    found = find_leaks([ask("What is paid out?", "0"), ask(QUESTION)], [("train.jsonl, line 3", other)])

    assert [(one.sample, one.kind) for one in found] == ([("1", kind)] if kind else [])
    assert all(one.where == "train.jsonl, line 3" for one in found)


def test_short_questions_leak_only_when_they_are_equal() -> None:
    found = find_leaks([ask("Who is Ana?")], [("a", "Who is Ana Silva?"), ("b", "who is ana")])

    assert [(one.kind, one.where) for one in found] == [("exact", "b")]


def test_questions_that_begin_alike_are_told_apart() -> None:
    begin = "Translate the following sentence into German, and keep its tone and length: "
    samples = [ask(f"{begin}{word * 5}", word) for word in ("apples ", "stones ", "rivers ")]

    found = find_leaks(samples, [("train", f"{begin}{'stones ' * 5}now")])

    assert "stones " in {one.sample for one in found}
    assert next(one.share for one in found if one.sample == "stones ") > 0.95
