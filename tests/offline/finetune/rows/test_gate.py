"""The gate: personal data masked, repeats and evaluation rows kept out, consent kept to."""

import json
from pathlib import Path
from typing import Any

import pytest

from evals.finetune_gate import measure, plant, through
from greenroom.assembly import House
from greenroom.assembly.training_rows import masks, means_of
from greenroom.offline.evals.data import DataSet, to_sample
from greenroom.offline.evals.kept import keep_data
from greenroom.offline.finetune.rows.options import Asked, Held, Means, Options, has_consent
from greenroom.offline.finetune.rows.prepare import prepare
from greenroom.offline.finetune.rows.prepared import Prepared
from greenroom.store.evals import RunRow
from greenroom.store.openai_evals import EvalRow, HostedRun, OpenAIEvals, new_id

Row = dict[str, Any]


def row(question: str, answer: str, **metadata: str) -> Row:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages, "metadata": metadata} if metadata else {"messages": messages}


FILLERS = [
    row(question, answer)
    for question, answer in (
        ("Which bus goes to the harbour?", "Line seven does."), ("Who wrote the opening hymn?", "Nobody knows."),
        ("Why is the museum closed?", "It is being painted."), ("When does spring begin there?", "In September."),
        ("What do otters eat?", "Mostly fish."), ("Is the bakery open late?", "Until midnight."),
        ("How deep is the quarry?", "Forty metres."), ("Where can I park a van?", "Behind the mill."),
        ("Can dogs swim in the lake?", "Yes, on leads."), ("Who repairs clocks?", "The old watchmaker."),
    )
]  # fmt: skip


def run(folder: Path, rows: list[Row], *, valid: list[Row] | None = None, means: Means | None = None,
        **options: Any) -> tuple[Prepared, list[Row]]:  # fmt: skip
    method = options.pop("method", "supervised")
    files = []
    for name, content in (("rows", rows), ("other", valid)):
        path = folder / f"{name}.jsonl"
        if content is not None:
            path.write_text("".join(json.dumps(one) + "\n" for one in content))
        files.append(None if content is None else path)
    assert files[0] is not None
    done = prepare(files[0], files[1], folder / "out", method, Options(**options), means or Means(masks))
    return done, [json.loads(one) for one in (folder / "out" / "train.jsonl").read_text().splitlines()]


def removed(done: Prepared) -> list[tuple[int, str, str]]:
    return [(one.line, one.why, one.like) for one in done.samples]


@pytest.mark.slow
def test_the_bar_is_met_in_three_languages() -> None:
    rows = list(measure(Path()))

    assert [(one.figure, one.language, one.value) for one in rows if not one.is_met] == []
    assert sum(one.n for one in rows if one.figure == "personal data masked") >= 800


def test_the_same_rows_come_through_in_the_same_way_every_time() -> None:
    given = plant("twice", 1, 0.1)

    assert through(given) == through(given)


def test_a_value_has_one_mask_throughout_a_row_and_none_outside(tmp_path: Path) -> None:
    told = row("I am joana@example.com, CPF 529.982.247-25.", "Noted, joana@example.com (529.982.247-25).")

    done, rows = run(tmp_path, [told, *FILLERS])

    assert rows[0]["messages"][1]["content"] == "Noted, <EMAIL_1> (<CPF_1>)."
    assert rows[0]["messages"][0]["content"] == "I am <EMAIL_1>, CPF <CPF_1>."
    assert (done.masked, done.masked_rows) == ({"EMAIL": 1, "CPF": 1}, 1)
    assert "joana" not in repr(done)


def test_a_mask_of_a_recorded_exchange_is_not_given_to_another_value(tmp_path: Path) -> None:
    told = row("Write to <EMAIL_1> and to joana@example.com.", "I wrote to <EMAIL_1>.")

    _, rows = run(tmp_path, [told, *FILLERS])

    assert rows[0]["messages"][0]["content"] == "Write to <EMAIL_1> and to <EMAIL_2>."


def test_arguments_of_calls_are_masked_and_stay_json(tmp_path: Path) -> None:
    arguments = json.dumps({"cpf": 52998224725, "to": 'say "hi" to joana@example.com'})
    call = {"id": "c", "type": "function", "function": {"name": "send", "arguments": arguments}}
    told = {"messages": [
        {"role": "user", "content": "My CPF is 52998224725, send it."}, {"role": "assistant", "tool_calls": [call]},
    ]}  # fmt: skip

    _, rows = run(tmp_path, [told, *FILLERS])

    kept = rows[0]["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(kept) == {"cpf": "<CPF_1>", "to": 'say "hi" to <EMAIL_1>'}


def test_the_id_of_a_call_and_fields_beside_a_text_are_masked(tmp_path: Path) -> None:
    call = {"id": "joana@example.com", "type": "function", "function": {"name": "send", "arguments": "{}"}}
    told = {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Send it.", "id": "joana@example.com"}]},
            {"role": "assistant", "tool_calls": [call]},
            {
                "role": "tool",
                "tool_call_id": "joana@example.com",
                "content": '{"to": "joana\\u0040example.com"}',
            },
            {"role": "assistant", "content": "Done."},
        ],
        "metadata": {"trace": "joana@example.com"},
    }

    _, rows = run(tmp_path, [told, *FILLERS])

    assert "joana" not in json.dumps(rows) + (tmp_path / "out" / "train.lineage.jsonl").read_text()
    assert (
        rows[0]["messages"][2]["tool_call_id"] == rows[0]["messages"][1]["tool_calls"][0]["id"] == "<EMAIL_1>"
    )
    assert rows[0]["messages"][2]["content"] == '{"to": "<EMAIL_1>"}'


def test_what_a_tool_describes_is_masked_whatever_its_fields_are_called(tmp_path: Path) -> None:
    properties = {
        "id": {"type": "string", "default": "joana@example.com"},
        "type": {"enum": [{"id": "joana@example.com"}]},
    }
    tools = [{"type": "function", "function": {"name": "send", "parameters": {"properties": properties}}}]

    _, rows = run(tmp_path, [{**row("I am joana@example.com.", "Noted."), "tools": tools}, *FILLERS])

    assert "joana" not in json.dumps(rows)
    assert rows[0]["tools"][0]["function"]["parameters"]["properties"]["id"]["default"] == "<EMAIL_1>"


def test_masks_can_be_left_off_and_then_nothing_is_changed(tmp_path: Path) -> None:
    told = row("I am joana@example.com.", "Noted.")

    done, rows = run(tmp_path, [told, *FILLERS], mask=False)

    assert rows[0] == told
    assert done.masked == {}


ASKED = "How do I cancel the yearly subscription of my account?"
TOLD = "Open the settings, choose the subscription and press cancel; it ends with the paid year."


@pytest.mark.parametrize(
    ("question", "answer", "why"),
    [
        (ASKED, TOLD, "duplicate"),
        (ASKED.upper(), TOLD, "near_duplicate"),
        ("hi, how do i cancel the yearly subscripton of my account", TOLD, "near_duplicate"),
        (ASKED, TOLD.replace("settings", "menu"), "near_duplicate"),
        (ASKED.replace("yearly", "monthly"), TOLD.replace("year", "month"), None),
        (ASKED.replace("account", "account 12"), TOLD, None),
        (ASKED.replace("the yearly", "the Premium"), TOLD, None),
        (ASKED, TOLD.replace("press", "do not press"), None),
        (ASKED, "You can't: it is not possible before the paid year is over.", None),
    ],
)
def test_what_says_the_same_again_goes_and_what_says_something_else_stays(
    question: str, answer: str, why: str | None, tmp_path: Path
) -> None:
    done, _ = run(tmp_path, [*FILLERS, row(ASKED, TOLD), row(question, answer)])

    assert removed(done) == ([] if why is None else [(12, why, "rows.jsonl, line 11")])


def test_the_order_of_figures_and_the_sign_between_tell_sums_apart(tmp_path: Path) -> None:
    sums = [row(f"What is {sum}?", f"It is {value}.") for sum, value in
            (("17 + 25", 42), ("25 + 17", 42), ("17 - 25", -8), ("17 * 25", 425), ("17+25", 42))]  # fmt: skip

    done, _ = run(tmp_path, [*FILLERS, *sums])

    assert removed(done) == [(15, "near_duplicate", "rows.jsonl, line 11")]


@pytest.mark.parametrize(
    ("question", "is_out"),
    [
        (ASKED, True),
        (ASKED.lower().replace("?", ""), True),
        (f"Hello! {ASKED} Thanks.", True),
        ("How can I cancel the yearly subscription of my acount?", True),
        (
            f"I have had trouble with my orders since last spring, and nobody answers my letters. {ASKED}",
            True,
        ),
        ("How do I cancel the 2 yearly subscriptions of my account?", True),
        ("How do I change the address of my account?", False),
        ("Is the bakery in the north open late?", False),
    ],
)
def test_a_row_of_an_evaluation_is_kept_out_of_training(question: str, is_out: bool, tmp_path: Path) -> None:
    means = Means(masks, (Held("faq@1", [Asked((ASKED,))]),))

    done, _ = run(tmp_path, [*FILLERS, row(question, "By post, please.")], means=means)

    assert removed(done) == ([(11, "evaluation", "faq@1")] if is_out else [])


def test_short_turns_count_only_with_the_turns_before(tmp_path: Path) -> None:
    means = Means(masks, (Held("talks@1", [Asked(("How deep is the well?", "And wide?"))]),))
    talk: Row = {"messages": [
        *row("How deep is the well?", "Nine metres.")["messages"], *row("And wide?", "Two.")["messages"],
    ]}  # fmt: skip

    done, _ = run(tmp_path, [*FILLERS, talk, row("And wide?", "What do you mean?")], means=means)

    assert removed(done) == [(11, "evaluation", "talks@1")]


def test_evaluation_and_training_are_compared_as_masked(tmp_path: Path) -> None:
    means = Means(masks, (Held("faq@1", [Asked(("Please send the bill to <EMAIL_1> soon.",))]),))

    done, _ = run(
        tmp_path, [*FILLERS, row("Please send the bill to j@example.com soon.", "Ok.")], means=means
    )

    assert removed(done) == [(11, "evaluation", "faq@1")]


def test_what_validation_says_is_not_trained_on(tmp_path: Path) -> None:
    done, rows = run(
        tmp_path, [*FILLERS, row(ASKED, TOLD), row(ASKED.lower(), TOLD)], valid=[row(ASKED, TOLD)]
    )

    assert done.removed == {"validation": 2}
    assert len(rows) == 10
    assert done.valid is not None
    assert done.valid.rows == 1


@pytest.mark.parametrize(
    ("consent", "stay"), [("not_refused", ["yes", "sim", "none"]), ("stated", ["yes", "sim"]), ("any", None)]
)
def test_consent_is_kept_to(consent: str, stay: list[str] | None, tmp_path: Path) -> None:
    said = {"yes": "true", "sim": "Sim", "no": "False", "não": "não", "odd": "perhaps"}
    asked = [
        row("Which bird is this one? " * 3 + name, f"It is {name}.", consent=word)
        for name, word in said.items()
    ]
    asked.append(row("What is a bird that says none called?", "It is none."))

    done, rows = run(tmp_path, [*FILLERS, *asked], consent=consent, least_rows=1, duplicates=False)

    answers = [one["messages"][-1]["content"] for one in rows]
    kept = [name for name in (*said, "none") if f"It is {name}." in answers]
    assert kept == sorted(stay or [*said, "none"], key=[*said, "none"].index)
    assert done.removed.get("no_consent", 0) == len(FILLERS) * (consent == "stated") + 6 - len(kept)


@pytest.mark.parametrize(
    ("said", "is_stated", "is_not_refused"),
    [
        (True, True, True), ("Sí", True, True), ("SIM", True, True), (None, False, True), ("", False, True),
        (False, False, False), ("Não", False, False), ("não ", False, False), ("Rechazado", False, False),
        ("revoked", False, False), ("n\u0061\u0303o", False, False),
    ],
)  # fmt: skip
def test_consent_is_read_in_three_languages(said: object, is_stated: bool, is_not_refused: bool) -> None:
    assert has_consent(said, "stated") is is_stated
    assert has_consent(said, "not_refused") is is_not_refused


def test_preferences_pass_the_same_gate(tmp_path: Path) -> None:
    def pair(question: str, good: str, bad: str) -> Row:
        return {
            "input": {"messages": [{"role": "user", "content": question}]},
            "preferred_output": [{"role": "assistant", "content": good}],
            "non_preferred_output": [{"role": "assistant", "content": bad}],
        }

    texts = [(made["messages"][0]["content"], made["messages"][1]["content"]) for made in FILLERS]
    pairs = [pair(question, good, f"No idea {at}") for at, (question, good) in enumerate(texts)]
    doubled = pair(ASKED, TOLD, "Write to me at joana@example.com.")
    means = Means(masks, (Held("faq@1", [Asked(("Which bus goes to the harbour?",))]),))

    done, rows = run(tmp_path, [*pairs, doubled, doubled], means=means, method="dpo")

    assert done.removed == {"evaluation": 1, "duplicate": 1}
    assert rows[-1]["non_preferred_output"][0]["content"] == "Write to me at <EMAIL_1>."


def test_all_kept_data_sets_are_kept_out_but_for_parts_to_learn_from(tmp_path: Path) -> None:
    house = House.open(None, tmp_path / "data", {})
    asked = [ASKED, "Which colours does the coat come in?", "Where do the parcels from abroad arrive?"]
    whole = [to_sample({"id": str(at), "input": one, "expected": TOLD}) for at, one in enumerate(asked)]
    keep_data(house.evals, "faq", DataSet.of(whole, "own"))
    keep_data(house.evals, "faq-train", DataSet.of(whole[:1], "own"))
    keep_data(house.evals, "faq-test", DataSet.of(whole[1:2], "own"))
    try:
        done, rows = run(
            tmp_path, [*FILLERS, *(row(one, "As I said.") for one in asked)], means=means_of(house)
        )
    finally:
        house.stop()

    assert {(line, why) for line, why, _ in removed(done)} == {(12, "evaluation"), (13, "evaluation")}
    assert rows[-1]["messages"][0]["content"] == ASKED


def test_rows_that_clients_sent_to_be_evaluated_are_kept_out(tmp_path: Path) -> None:
    house = House.open(None, tmp_path / "data", {})
    template = [{"role": "user", "content": "{{item.question}}"}]
    asked, judged = (
        "Which colours does the coat come in?",
        "The parcels from abroad arrive at the north gate.",
    )
    content = [{"item": {"question": asked}}, {"item": {"kind": "yes", "text": judged}}]
    sources = (
        {"type": "completions", "source": {"type": "file_content", "content": content[:1]}, "model": "m",
         "input_messages": {"type": "template", "template": template}},
        {"type": "jsonl", "source": {"type": "file_content", "content": content[1:]}},
        {"type": "completions", "source": {"type": "stored_completions"}},
    )  # fmt: skip
    traffic = [{"item": {"text": "What do otters eat, and where do they live?"}}]
    try:
        for source, rows in zip(sources, (content[:1], content[1:], traffic), strict=True):
            _hosted_run(house, source, rows)
        wanted = [*FILLERS, row(asked, "Red."), row(judged, "Yes."), row(traffic[0]["item"]["text"], "Fish.")]
        done, _ = run(tmp_path, [*wanted, row("yes", "Fine.")], means=means_of(house))
    finally:
        house.stop()

    assert {(line, why) for line, why, _ in removed(done)} == {(11, "evaluation"), (12, "evaluation")}


def _hosted_run(house: House, source: Row, rows: list[Row]) -> None:
    kept = OpenAIEvals(house.evals)
    eval = EvalRow(
        id=new_id("eval"), project="default", key="k", name="e", metadata=b"{}", config=b"{}", criteria=b"[]"
    )
    kept.add(eval)
    one = HostedRun(
        id=new_id("evalrun"), eval=eval.id, project="default", key="k", name="", metadata=b"{}", model="m",
        source=json.dumps(source).encode(),
    )  # fmt: skip
    work = RunRow(
        id=one.id,
        project="default",
        name="",
        subject="m",
        fingerprint="f",
        data="d",
        total=len(rows),
        settings=b"{}",
    )
    kept.add_run(one, work, [json.dumps(row).encode() for row in rows])
