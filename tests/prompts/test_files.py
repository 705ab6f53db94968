"""Files: what is written reads back the same, whatever it holds; errors name file and key."""

from pathlib import Path
from time import process_time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.errors import PromptInvalid
from greenroom.prompts import PromptVersion, diff, dumps, loads, read_folder, write_folder
from greenroom.prompts.diff import words
from greenroom.prompts.files import Form
from tests.prompts.making import prompt

texts = st.text(max_size=30)
keys = st.text(min_size=1, max_size=8)
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda one: st.lists(one, max_size=3) | st.dictionaries(keys, one, max_size=3) | st.just({"$json": "1"}),
    max_leaves=8,
)
objects = st.dictionaries(keys, values, max_size=3)


@st.composite
def versions(draw: st.DrawFn) -> PromptVersion:
    fields: dict[str, Any] = {
        "name": "p", "number": draw(st.integers(0, 99)), "description": draw(texts), "note": draw(texts),
        "messages": [{"role": "user", "text": draw(texts)}, {"role": "system", "text": draw(texts)}],
        "variables": {"a": {"type": "object", "default": draw(objects)}, "b": {"description": draw(texts)}},
        "settings": {"temperature": draw(st.floats(0, 2)), "stop": draw(st.lists(texts, max_size=2))},
        "techniques": {"role": draw(texts), "self_consistency": 3},
        "output": {"schema": draw(objects)},
        "examples": {"items": [{"output": "x" + draw(texts), "variables": {"k": draw(values)}}]},
    }  # fmt: skip
    return msgspec.convert(fields, PromptVersion)


@settings(max_examples=150, deadline=None)
@given(version=versions(), form=st.sampled_from(["toml", "json"]))
def test_what_is_written_reads_back_the_same(version: PromptVersion, form: Form) -> None:
    same = msgspec.json.decode(msgspec.json.encode(version), type=PromptVersion)

    assert loads(dumps(same, form), form, "x") == same


def test_a_folder_gives_back_all_versions_and_labels(tmp_path: Path) -> None:
    all = [
        prompt("a", number=1),
        prompt("a", "Other {{question}}", number=2),
        prompt("b.c-d", number=7, language="pt"),
    ]
    labels = {"a": {"production": 1, "staging": 2}}

    written = write_folder(tmp_path / "new", all, labels)
    found = read_folder(tmp_path / "new")

    assert len(written) == 4
    assert [one for _, one in found.versions] == all
    assert found.labels == labels


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("name = 'a'\nmessages = []", "at messages", id="no message"),
        pytest.param("name = 'a'\n[[messages]]\nrole = 'boss'\ntext = ''", "messages", id="role"),
        pytest.param("name = 'a'\n[[messages]]\nrole = 'user'\ntext = ''\n[variabels]", "variabels", id="unknown key"),
        pytest.param("name = '../a'\n[[messages]]\nrole = 'user'\ntext = ''", "name", id="a path for a name"),
        pytest.param("name = 'a'\n[[messages]]\nrole = 'user'\ntext = ''\n[variables.x]\ntype = 'enum'", "choices", id="empty enum"),
        pytest.param("name = 'a'\n[[messages]]\nrole = 'user'\ntext = ''\n[variables.x]\ntype = 'integer'\ndefault = 'a'", "default", id="default"),
        pytest.param("name = 'a'\n[[messages]]\nrole = 'user'\ntext = ''\n[variables.x]\ntype = 'object'\ndefault = { d = 2026-01-01 }", "no JSON", id="date"),
        pytest.param("name = 'a'\n[partials]\nt = 'tone'\n[[messages]]\nrole = 'user'\ntext = ''", "pinned", id="unpinned partial"),
        pytest.param("name = ", "no TOML", id="half a file"),
    ],
)  # fmt: skip
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.toml").write_text(text, encoding="utf-8")

    with pytest.raises(PromptInvalid, match=said) as caught:
        read_folder(tmp_path)

    assert "a.toml" in str(caught.value)


def test_two_files_that_claim_one_version_are_told(tmp_path: Path) -> None:
    for name in ("x.toml", "y.toml"):
        (tmp_path / name).write_text(dumps(prompt("a", number=1)), encoding="utf-8")

    with pytest.raises(PromptInvalid, match="both say that they are 'a@1'"):
        read_folder(tmp_path)


@given(before=texts, after=texts)
def test_a_word_diff_holds_both_texts(before: str, after: str) -> None:
    runs = words(before, after)

    assert "".join(one.text for one in runs if one.kind != "added") == before
    assert "".join(one.text for one in runs if one.kind != "removed") == after


def test_a_diff_names_places_and_words() -> None:
    one = prompt("a", "Be short and kind.", "{{question}}", settings={"temperature": 0.1})
    other = prompt(
        "a", "Be thorough and kind.", "{{question}}", settings={"temperature": 0.2}, note="why", number=3
    )

    found = diff(one, other)

    assert [each.place for each in found] == ["messages[0].text", "settings.temperature"]
    assert [(run.kind, run.text) for run in found[0].runs if run.kind != "same"] == [
        ("removed", "short"), ("added", "thorough")
    ]  # fmt: skip
    assert (found[1].before, found[1].after) == (0.1, 0.2)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a " * 4000, "b " * 4000),
        ("a b " * 3000, "b a " * 3000),
        (" ".join(f"w{one}" for one in range(4900)), " ".join(f"w{one * 7 % 4900}" for one in range(4900))),
    ],
    ids=["nothing shared", "turned", "shuffled"],
)
def test_the_time_of_a_long_diff_is_bounded(before: str, after: str) -> None:
    began = process_time()

    words(before, after)

    assert process_time() - began < 5  # some 0.9 s for the worst; minutes where blanks are words of their own
