from time import thread_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.stages.postprocess.json_text import find, mend, read, write

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(alphabet="aé \"'\\,:{}[]\n/#", max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcé_", min_size=1, max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
OBJECTS = st.dictionaries(st.text("abcé_", min_size=1, max_size=5), JSON, min_size=1, max_size=4)


def meant(text: str) -> Any:
    return find(text)[0].value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("{'a': True, 'b': None, 'c': (1, 2)}", {"a": True, "b": None, "c": [1, 2]}, id="Python"),
        pytest.param("{'a': 'd'água', 'b': 1}", {"a": "d'água", "b": 1}, id="an apostrophe in single quotes"),
        pytest.param('{"a": "disse "oi" hoje", "b": 2}', {"a": 'disse "oi" hoje', "b": 2}, id="quotes inside"),
        pytest.param('{"a": NaN, "b": -Infinity, "c": undefined}', dict.fromkeys("abc"), id="no numbers"),
        pytest.param('{nome: "x", idade: 3}', {"nome": "x", "idade": 3}, id="bare keys"),
        pytest.param('{"a": 1, // nota\n "b": "http://x" /* c */}', {"a": 1, "b": "http://x"}, id="comments"),
        pytest.param("{“a”: “it’s”, ‘d’: ‘e’}", {"a": "it’s", "d": "e"}, id="curly quotes"),
        pytest.param('{"a": [1, 2, {"b": 3', {"a": [1, 2, {"b": 3}]}, id="cut off"),
        pytest.param('{"a": 1 "b": 2,, "c": [1 2],}', {"a": 1, "b": 2, "c": [1, 2]}, id="commas"),
        pytest.param('{"a": [], "b": [[], {}, ""],}', {"a": [], "b": [[], {}, ""]}, id="what is empty stays"),
        pytest.param(r'{"a": "C:\Users\docs", "b": "it\'s"}', {"a": r"C:\Users\docs", "b": "it's"}, id="escapes"),
        pytest.param('{"a": "linha\noutra"}', {"a": "linha\noutra"}, id="line ends"),
        pytest.param('{"a": "x" + "y"}', {"a": "xy"}, id="glued strings"),
        pytest.param('"a": 1, "b": 2}', {"a": 1, "b": 2}, id="no beginning"),
        pytest.param('{"a": 1; "b" => 2}', {"a": 1, "b": 2}, id="foreign signs"),
        pytest.param('{\\"a\\": \\"b\\"}', {"a": "b"}, id="escaped twice"),
    ],
)  # fmt: skip
def test_what_is_broken_is_read_as_it_was_meant(text: str, value: object) -> None:
    assert meant(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param('Aqui está o {objeto} [1]:\n```json\n{"a": 1}\n```\nPosso ajudar {mais}?', {"a": 1}, id="pt"),
        pytest.param('El resultado: {"a": 1}. ¿Algo más?', {"a": 1}, id="es"),
        pytest.param('```json\n{"code": "```py\\nx\\n```"}\n```', {"code": "```py\nx\n```"}, id="a fence in a string"),
        pytest.param("See [1]: ```\n{'a': 1}\n```", {"a": 1}, id="a fence that does not begin its line"),
        pytest.param('{"a": 1}\n{"a": 2}', {"a": 1}, id="the same twice: the first"),
        pytest.param('For example {"a": 1}. The answer is {"a": 2}.', {"a": 2}, id="an example first: the last"),
        pytest.param('{"x": {"b": 1}, "y": True}', {"x": {"b": 1}, "y": True}, id="a whole one inside a broken one"),
        pytest.param("Use {'a': 'x } y'} please", {"a": "x } y"}, id="a bracket in a string"),
        pytest.param("const x = {a: [{b: 1}]};", {"a": [{"b": 1}]}, id="JavaScript"),
    ],
)  # fmt: skip
def test_json_is_found_in_what_stands_around_it(text: str, value: object) -> None:
    assert meant(text) == value


def test_what_is_valid_keeps_its_own_letters() -> None:
    text = 'Yes: {"n": 1.10, "big": 12345678901234567890123}!'
    found = find(text)[0]

    assert found.is_valid
    assert text[found.start : found.end] == '{"n": 1.10, "big": 12345678901234567890123}'


@pytest.mark.parametrize("text", ["", "no", "[1]", "see [1] and {this}", "}{", "{", "```json\n```"])
def test_where_there_is_none_no_object_is_found(text: str) -> None:
    assert not [one for one in find(text) if isinstance(one.value, dict) and one.value]


@given(OBJECTS)
def test_a_python_dictionary_is_read_as_it_was_meant(value: dict[str, object]) -> None:
    text = repr(value)
    try:
        assert read(text) == value
    except ValueError:
        assert meant(text) == value


@given(OBJECTS)
def test_what_is_written_is_read_again(value: dict[str, object]) -> None:
    assert read(write(value)) == value
    assert meant(f"Result: {write(value)} Done.") == value


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 50_000, id="brackets"),
        pytest.param('{"a":' * 20_000, id="objects"),
        pytest.param('{"a": "' + "\\" * 50_000, id="backslashes"),
        pytest.param("{x} " * 50_000, id="words in brackets"),
        pytest.param("```\n" * 50_000, id="fences"),
        pytest.param('{"' * 40_000, id="quotes"),
        pytest.param("[" + "1, " * 20_000, id="a long list"),
    ],
)
def test_hostile_texts_cost_no_more_than_seconds(text: str) -> None:
    began = thread_time()
    find(text)

    assert thread_time() - began < 5


def test_what_is_huge_and_broken_is_not_mended() -> None:
    assert mend("{'a': '" + "x" * 300_000 + "'}") is None
