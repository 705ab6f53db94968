"""Every kind of faulty training file is told with its line, what is wrong, and what mends it."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from greenroom.assembly.training_rows import masks
from greenroom.errors import RequestError
from greenroom.offline.finetune.plan import Method
from greenroom.offline.finetune.rows.lines import MOST_LINE_BYTES
from greenroom.offline.finetune.rows.options import Means, Options
from greenroom.offline.finetune.rows.prepare import prepare
from greenroom.offline.finetune.rows.prepared import Prepared
from greenroom.offline.finetune.rows.problems import KINDS, MOST_OF_A_KIND, Unfit

Message = dict[str, Any]


def user(text: Any = "How warm is it?") -> Message:
    return {"role": "user", "content": text}


def assistant(text: Any = "Quite warm.", **more: Any) -> Message:
    return {"role": "assistant", "content": text, **more}


def row(*messages: Any, **more: Any) -> bytes:
    return json.dumps({"messages": list(messages), **more}).encode()


def good(number: int) -> bytes:
    return row(user(f"What follows {number}?"), assistant(f"{number + 1} does."))


def preference(**changed: Any) -> bytes:
    whole = {
        "input": {"messages": [user()]},
        "preferred_output": [assistant("Quite warm.")],
        "non_preferred_output": [assistant("Dunno.")],
    }
    return json.dumps({name: one for name, one in (whole | changed).items() if one is not None}).encode()


def call(**changed: Any) -> Message:
    function = {"name": "weather", "arguments": '{"city": "Lima"}'} | changed
    return {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": function}]}


RESULT: Message = {"role": "tool", "tool_call_id": "c1", "content": "21 °C"}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {}}}
GOOD = [good(number) for number in range(12)]

# Kind → the third line of a file whose other lines are good; the method is supervised.
LINES: list[tuple[str, bytes]] = [
    ("not_utf8", '{"messages": "é"}'.encode("latin-1")),
    ("nul", b'{"messages": \0}'),
    ("line_too_long", b'{"a": "' + b"x" * MOST_LINE_BYTES + b'"}'),
    ("broken_json", b'{"messages": [,]}'),
    ("broken_json", b"{'messages': []}"),
    ("broken_json", b'{"messages": ' + b"9" * 5_000 + b"}"),
    ("broken_json", row(user(), assistant(), tools=[{**TOOL, "most": 1 << 64}])),
    ("cut_off", b'{"messages": [{"role": "user", "content": "How wa'),
    ("cut_off", b'{"messages": [{"role": "user", "content": "How warm?"}'),
    ("several_on_a_line", GOOD[0] + GOOD[1]),
    ("not_an_object", b"[1, 2]"),
    ("not_an_object", b'"text"'),
    ("duplicate_key", b'{"messages": [], "messages": []}'),
    ("not_a_number", b'{"messages": NaN}'),
    ("not_a_number", b'{"messages": 1e999}'),
    ("too_deep", b'{"messages": ' + b"[" * 200 + b"]" * 200 + b"}"),
    ("too_deep", b'{"messages": ' + b"[" * 100_000),
    ("lone_surrogate", row(user("?"), assistant("x")).replace(b"?", b"\\ud800")),
    ("prompt_completion", b'{"prompt": "How warm?", "completion": "Quite."}'),
    ("foreign_form", b'{"conversations": [{"from": "human", "value": "How warm?"}]}'),
    ("foreign_form", b'{"instruction": "Say how warm it is.", "output": "Quite."}'),
    ("no_messages", b'{"turns": []}'),
    ("messages_not_list", b'{"messages": "How warm?"}'),
    ("empty_messages", b'{"messages": []}'),
    ("message_not_object", row("How warm?", "Quite.")),
    ("unknown_role", row({"role": "human", "content": "How warm?"}, assistant())),
    ("unknown_role", row({"content": "How warm?"}, assistant())),
    ("unknown_role", row({"role": ["user"], "content": "How warm?"}, assistant())),
    ("empty_content", row(user(" "), assistant())),
    ("empty_content", row(user(), {"role": "assistant"})),
    ("bad_content", row(user(7), assistant())),
    ("bad_content", row(user([{"type": "text"}]), assistant())),
    ("untrainable_part", row(user([{"type": "image_url", "image_url": {"url": "data:"}}]), assistant())),
    ("late_system", row(user(), {"role": "system", "content": "Be short."}, assistant())),
    ("last_not_assistant", row(user(), assistant(), user())),
    ("nothing_to_learn", row(user(), assistant(weight=0))),
    ("bad_weight", row(user(), assistant(weight=0.5))),
    ("bad_weight", row({**user(), "weight": 1}, assistant())),
    ("bad_weight", row(user(), assistant(weight=True))),
    ("bad_name", row({**user(), "name": 7}, assistant())),
    ("bad_metadata", row(user(), assistant(), metadata="consent=no")),
    ("bad_content", row(user(), {"role": "assistant", "refusal": {"why": "rude"}})),
    ("legacy_functions", row(user(), assistant(function_call={"name": "f", "arguments": "{}"}))),
    ("legacy_functions", row(user(), {"role": "function", "name": "f", "content": "1"}, assistant())),
    ("bad_tool_call", row(user(), call(arguments={"city": "Lima"}), RESULT, assistant())),
    ("bad_tool_call", row(user(), call(arguments="Lima"), RESULT, assistant())),
    ("bad_tool_call", row(user(), call(name=""), RESULT, assistant())),
    (
        "bad_tool_call",
        row(user(), call(arguments='{"to": "ana@example.com", "to": ""}'), RESULT, assistant()),
    ),
    ("bad_tool_call", row(user(), call(arguments='{"to": "\\ud800 ana@example.com"}'), RESULT, assistant())),
    ("bad_tool_call", row(user(), call(arguments='{"degrees": NaN}'), RESULT, assistant())),
    (
        "bad_tool_call",
        row(user(), call(arguments='{"in": ' + "[" * 900 + "]" * 900 + "}"), RESULT, assistant()),
    ),
    ("no_tool_result", row(user(), call(), assistant())),
    ("stray_tool_result", row(user(), RESULT, assistant())),
    ("stray_tool_result", row(user(), call(), {**RESULT, "tool_call_id": "c2"}, assistant())),
    ("bad_tools", row(user(), assistant(), tools=[{"name": "weather"}])),
    ("unknown_tool", row(user(), call(name="wether"), RESULT, assistant(), tools=[TOOL])),
    ("mixed_methods", preference()),
]
PREFERENCES: list[tuple[str, bytes]] = [
    ("no_input", preference(input=None)),
    ("no_input", preference(input={})),
    ("no_preferred", preference(preferred_output=None)),
    ("no_rejected", preference(non_preferred_output=[])),
    ("bad_output", preference(preferred_output=[user("Warm.")])),
    ("bad_output", preference(preferred_output=[assistant(), assistant()])),
    ("same_outputs", preference(non_preferred_output=[assistant("Quite warm.")])),
    ("answered_input", preference(input={"messages": [user(), assistant()]})),
    ("empty_content", preference(preferred_output=[assistant("")])),
    ("mixed_methods", GOOD[0]),
]
FILES: list[tuple[str, int, bytes]] = [
    ("empty_file", 0, b""),
    ("empty_file", 0, b"\n\n"),
    ("compressed", 0, gzip.compress(GOOD[0])),
    ("utf16", 1, GOOD[0].decode().encode("utf-16")),
    ("utf16", 1, GOOD[0].decode().encode("utf-16-le")),
    ("json_array", 1, b"[" + b",".join(GOOD) + b"]"),
    ("json_array", 1, b"[\n" + b",\n".join(GOOD) + b"\n]"),
    ("json_over_lines", 1, json.dumps(json.loads(GOOD[0]), indent=2).encode()),
    ("csv", 1, b"question,answer\nHow warm?,Quite.\n"),
    ("too_few_rows", 0, b"\n".join(GOOD[:9])),
    ("wrong_method", 1, b"\n".join([preference()] * 12)),
]
WARNINGS: list[tuple[str, int, bytes]] = [
    ("bom", 1, b"\xef\xbb\xbf" + b"\n".join(GOOD)),
    ("crlf", 1, b"\r\n".join(GOOD)),
    ("blank_line", 2, b"\n\n".join(GOOD)),
    ("unknown_field", 13, b"\n".join([*GOOD, row(user(), assistant(), comment="a")])),
    ("too_long", 13, b"\n".join([*GOOD, row(user("warm " * 600), assistant())])),
]


def run(
    folder: Path, raw: bytes, method: Method = "supervised", valid: bytes | None = None, **options: Any
) -> Prepared:
    train = folder / "rows.jsonl"
    train.write_bytes(raw)
    other = None if valid is None else folder / "other.jsonl"
    if other is not None and valid is not None:
        other.write_bytes(valid)
    return prepare(train, other, folder / "out", method, Options(**options), Means(masks))


def told(folder: Path, raw: bytes, method: Method = "supervised") -> Unfit:
    with pytest.raises(Unfit) as caught:
        run(folder, raw, method)
    assert not list((folder / "out").iterdir()), "a file that is not fit leaves nothing behind"
    return caught.value


@pytest.mark.parametrize(("kind", "line"), LINES, ids=[f"{at} {kind}" for at, (kind, _) in enumerate(LINES)])
def test_a_faulty_line_is_told_with_its_number_and_remedy(kind: str, line: bytes, tmp_path: Path) -> None:
    unfit = told(tmp_path, b"\n".join([*GOOD[:2], line, *GOOD[2:]]))

    assert {one.kind for one in unfit.problems} == {kind}
    assert {one.line for one in unfit.problems} == {3}
    assert f"rows.jsonl, line 3: {unfit.problems[0].message} {KINDS[kind].remedy}" in str(unfit)


@pytest.mark.parametrize(
    ("kind", "line"), PREFERENCES, ids=[f"{at} {kind}" for at, (kind, _) in enumerate(PREFERENCES)]
)
def test_a_faulty_preference_is_told(kind: str, line: bytes, tmp_path: Path) -> None:
    fine = [preference(input={"messages": [user(f"How warm is it in room {at}?")]}) for at in range(12)]

    unfit = told(tmp_path, b"\n".join([*fine, line]), "dpo")

    assert [(one.kind, one.line) for one in unfit.problems] == [(kind, 13)]


@pytest.mark.parametrize(
    ("kind", "line", "raw"), FILES, ids=[f"{at} {kind}" for at, (kind, _, _) in enumerate(FILES)]
)
def test_a_faulty_file_is_told_as_a_whole(kind: str, line: int, raw: bytes, tmp_path: Path) -> None:
    unfit = told(tmp_path, raw)

    assert (unfit.problems[0].kind, unfit.problems[0].line) == (kind, line)
    assert {one.kind for one in unfit.problems} == {kind}


@pytest.mark.parametrize(("kind", "line", "raw"), WARNINGS, ids=[kind for kind, _, _ in WARNINGS])
def test_what_can_be_put_right_is_a_warning(kind: str, line: int, raw: bytes, tmp_path: Path) -> None:
    done = run(tmp_path, raw, max_tokens=500)

    assert [(one.kind, one.line) for one in done.warnings] == [(kind, line)]
    assert done.train.rows >= len(GOOD)


def test_there_are_thirty_kinds_and_more_and_each_is_in_a_table_here() -> None:
    tested = {kind for kind, *_ in (*LINES, *PREFERENCES, *FILES, *WARNINGS)}

    assert len(tested) >= 30
    assert KINDS.keys() - tested == {"unreadable", "same_as_train"}, "these two have tests of their own"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unfit, match=r"rows\.jsonl: It can't be read: No such file"):
        prepare(tmp_path / "rows.jsonl", None, tmp_path / "out", "supervised", Options(), Means(masks))


def test_a_file_is_never_replaced_by_its_own_rows(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"\n".join(GOOD))

    with pytest.raises(RequestError, match="name another folder"):
        prepare(path, None, tmp_path, "supervised", Options(), Means(masks))

    assert path.read_bytes() == b"\n".join(GOOD)
    assert list(tmp_path.iterdir()) == [path]


def test_validation_rows_must_be_others(tmp_path: Path) -> None:
    raw = b"\n".join(GOOD)

    with pytest.raises(Unfit, match="The file for validation is the same"):
        run(tmp_path, raw, valid=raw)


def test_all_problems_of_a_file_come_at_once_and_none_quotes_a_row(tmp_path: Path) -> None:
    unfit = told(tmp_path, b"\n".join([b'{"messages": "private"}', *[b'{"prompt": "private"}'] * 50]))

    assert unfit.counts == {"messages_not_list": 1, "prompt_completion": 50}
    assert len(unfit.problems) == 1 + MOST_OF_A_KIND
    assert "private" not in "".join(one.said() for one in unfit.problems)
    assert "And 50 more problems." in str(unfit)


def test_calls_of_tools_and_their_results_are_fine(tmp_path: Path) -> None:
    calls = [
        row(user(f"How warm is it in town {at}?"), call(), RESULT, assistant(f"{at} °C."), tools=[TOOL])
        for at in range(6)
    ]
    ends = [row(user(f"Ask for the weather of place {at}."), call(), tools=[TOOL]) for at in range(6)]

    assert run(tmp_path, b"\n".join(calls + ends)).train.rows == 12


def test_rows_are_written_as_they_were_without_what_training_does_not_know(tmp_path: Path) -> None:
    first = row(user("Where is it warm?"), assistant("In Lima.", weight=1), metadata={"trace": "t1"}, x=1)

    done = run(tmp_path, b"\n".join([*GOOD, first]))

    written = (tmp_path / "out" / "train.jsonl").read_text().splitlines()
    assert json.loads(written[-1]) == {
        "messages": [user("Where is it warm?"), assistant("In Lima.", weight=1)]
    }
    lineage = (tmp_path / "out" / "train.lineage.jsonl").read_text().splitlines()
    assert json.loads(lineage[-1]) == {"row": 13, "line": 13, "trace": "t1"}
    assert done.train.path == str(tmp_path / "out" / "train.jsonl")


def test_a_large_file_is_read_line_by_line(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        for at in range(40):
            file.write(row(user(f"Case {at}: " + "warm " * 100_000), assistant()) + b"\n")
    tracemalloc.start()
    done = prepare(
        path, None, tmp_path / "out", "supervised", Options(mask=False, duplicates=False), Means(masks)
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert done.train.rows == 40
    assert path.stat().st_size > 20_000_000
    assert peak < 8_000_000
