"""Whatever bytes a training file holds, it is fit or its faults are told; nothing else happens."""

import json
from itertools import islice, product
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenroom.assembly.training_rows import masks
from greenroom.offline.finetune.plan import Method
from greenroom.offline.finetune.rows.held_out import held_out
from greenroom.offline.finetune.rows.options import Asked, Held, Means, Options
from greenroom.offline.finetune.rows.prepare import prepare
from greenroom.offline.finetune.rows.problems import Problem, Unfit
from greenroom.offline.finetune.rows.wording import is_exchanged, wording

WORDS = st.sampled_from(
    (
        "messages", "input", "preferred_output", "non_preferred_output", "role", "content", "user", "assistant",
        "tool", "system", "text", "type", "weight", "tool_calls", "tool_call_id", "id", "function", "name",
        "arguments", "{}", '{"a": 1}', "tools", "metadata", "consent", "prompt", "function_call", "é", "\ud800",
        "ana@example.com", "<EMAIL_1>", "52998224725", "",
    )
)  # fmt: skip
SCALARS = st.one_of(WORDS, st.integers(-2, 2), st.integers(), st.none(), st.booleans(), st.floats())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=12,
)
CALL: dict[str, Any] = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
GOOD: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "Write to ana@example.com."}, {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c", "content": "done"}, {"role": "assistant", "content": "Done.", "weight": 1},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
}  # fmt: skip
PAIR: dict[str, Any] = {
    "input": {"messages": [{"role": "user", "content": "How warm is it?"}]},
    "preferred_output": [{"role": "assistant", "content": "Quite."}],
    "non_preferred_output": [{"role": "assistant", "content": "Dunno."}],
}
MEANS = Means(
    masks,
    (Held("kept", [Asked(("How warm is it in here now?", "And out there in the cold?"), "Quite warm.")]),),
)


def told(raw: bytes, method: Method) -> None:
    """Either rows come out, without what was personal, or each fault is told and nothing is left behind."""
    problems: tuple[Problem, ...] = ()
    with TemporaryDirectory() as folder:
        path, out = Path(folder, "rows.jsonl"), Path(folder, "out")
        path.write_bytes(raw)
        try:
            prepare(path, None, out, method, Options(least_rows=0), MEANS)
        except Unfit as error:
            problems = error.problems
        written = {one.name: one.read_bytes() for one in out.iterdir()}

    assert set(written) == (set() if problems else {"train.jsonl", "train.lineage.jsonl"})
    assert all(one.remedy and one.message.endswith(".") for one in problems)
    assert b"ana@example.com" not in b"".join(written.values())
    for line in written.get("train.jsonl", b"").splitlines():
        json.loads(line)


def test_many_values_and_many_slips_take_time_by_length_and_not_by_its_square() -> None:
    values = " ".join(f"u{number}@example.com" for number in range(20_000))
    words = ["".join(letters) for letters in islice(product("abcdefghij", repeat=6), 0, 800_000, 20)]
    slips = [word[:3] + "x" + word[4:] if place % 50 == 0 else word for place, word in enumerate(words)]
    one, other = wording(" ".join(words)), wording(" ".join(slips))
    hide = masks(values)
    hide(values)
    began = process_time()

    hidden = hide.known(values)
    exchanged = is_exchanged(one.words, one, other)

    assert process_time() - began < 3.0  # by its square: minutes
    assert "@" not in hidden
    assert not exchanged, "each word that differs is a slip"


def test_a_row_of_many_turns_is_looked_up_in_time_by_their_number_and_not_by_its_square() -> None:
    asked = "How warm is it in the garden of the old house now?"
    held = held_out([("kept", [Asked((asked,), "Quite warm, it is twenty degrees there.")])])
    turn = [
        {"role": "user", "content": asked.replace("garden", "cellar")},
        {"role": "assistant", "content": "Cold in the cellar."},
    ]
    row = {"messages": turn * 3_000}
    began = process_time()

    found = held.find(row)

    assert (found, process_time() - began < 5.0) == (None, True)  # by its square: 20 s


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(raw=st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    told(raw, "supervised")


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=VALUES, method=st.sampled_from(("supervised", "dpo")))
def test_any_json(value: Any, method: Method) -> None:
    told(json.dumps(value).encode(), method)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), base=st.sampled_from((GOOD, PAIR)))
def test_a_good_row_with_one_thing_changed(data: st.DataObject, base: dict[str, Any]) -> None:
    row = json.loads(json.dumps(base))
    place = row
    while True:
        key = data.draw(
            st.sampled_from(sorted(place) if isinstance(place, dict) else list(range(len(place))))
        )
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    if data.draw(st.booleans()):
        place[key] = data.draw(VALUES)
    else:
        del place[key]

    told(json.dumps(row).encode(), "dpo" if base is PAIR else "supervised")
