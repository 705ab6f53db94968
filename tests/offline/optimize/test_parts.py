"""The pieces of an optimisation: parts of the data, components, the front, reflections, the decision."""

import pytest
from msgspec.structs import replace

from greenroom.errors import RequestError
from greenroom.offline.bench import Trial
from greenroom.offline.evals.sample import Output, Sample, Score
from greenroom.offline.optimize import feedback, reflection
from greenroom.offline.optimize.candidate import digest_of
from greenroom.offline.optimize.components import faults, placeholders, texts_of, with_examples, with_texts
from greenroom.offline.optimize.decision import Pair, decide
from greenroom.offline.optimize.front import Standing, front
from greenroom.offline.optimize.split import input_digest, split
from greenroom.prompts.version import Example, Message, PromptVersion, Techniques
from tests.offline.optimize.scripted import prompt, samples


def test_the_parts_are_the_same_every_time_and_hold_every_sample_once() -> None:
    rows = samples(100)

    parts = split(rows)

    assert parts == split(tuple(reversed(rows)))
    assert sorted(one.id for part in parts for one in part) == sorted(one.id for one in rows)
    assert [len(part) for part in parts] == [30, 30, 40]
    assert split(rows, seed=1) != parts


def test_groups_and_equal_questions_stay_in_one_part() -> None:
    rows = [replace(one, group=f"g{place // 5}") for place, one in enumerate(samples(60))]
    rows += [replace(one, id=f"again-{one.id}", group="") for one in rows[:10]]

    parts = split(rows)

    places: dict[object, int] = {}
    for number, part in enumerate(parts):
        for one in part:
            assert places.setdefault(one.group or input_digest(one), number) == number
            assert places.setdefault(input_digest(one), number) == number


def test_of_a_large_set_no_more_is_taken_than_is_of_use() -> None:
    assert [len(part) for part in split(samples(5_000))] == [150, 150, 400]


def test_adding_rows_moves_few_others() -> None:
    before = {one.id: number for number, part in enumerate(split(samples(100))) for one in part}
    after = {one.id: number for number, part in enumerate(split(samples(103))) for one in part}

    assert sum(before[name] != after[name] for name in before) <= 6


def test_one_single_group_can_not_be_divided() -> None:
    with pytest.raises(RequestError, match="fall into 1 groups"):
        split([replace(one, group="all") for one in samples(40)])


def test_components_are_texts_with_words_of_their_own() -> None:
    version = replace(
        prompt("Be brief."),
        messages=(
            Message(role="system", text="Be brief."),
            Message(role="user", text="Ask me about {{topic}} now"),
            Message(role="assistant", text="What do you want to know?"),
            Message(role="user", text="{{question}}"),
        ),
        techniques=Techniques(role="You are a clerk."),
    )

    texts = texts_of(version)

    assert texts == {
        "role": "You are a clerk.",
        "system 1": "Be brief.",
        "user 2": "Ask me about {{topic}} now",
    }
    assert digest_of(with_texts(version, texts)) == digest_of(version)
    changed = with_texts(version, {**texts, "role": "You are a cook.", "user 2": "Say {{topic}}"})
    assert changed.techniques.role == "You are a cook."
    assert changed.messages[1].text == "Say {{topic}}"
    assert changed.messages[2:] == version.messages[2:]


def test_a_prompt_without_words_may_get_a_system_message() -> None:
    bare = replace(prompt(), messages=(Message(role="user", text="{{question}}"),))

    assert texts_of(bare) == {"system": ""}
    assert with_texts(bare, {"system": ""}).messages == bare.messages
    assert with_texts(bare, {"system": "Be kind."}).messages[0] == Message(role="system", text="Be kind.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("Talk about it.", "lost {{topic}}, {{> rules}}", id="lost"),
        pytest.param("{{topic}} {{> rules}} {{secret}}", "has {{secret}}, which nothing fills", id="gained"),
        pytest.param("{{topic}} {{> rules}}" + "x" * 5_000, "4000 are allowed", id="too long"),
        pytest.param(
            "{{topic}} {{> rules}} Responda sempre em uma frase curta e clara, com educação, e diga de onde "
            "vem cada informação que você der ao cliente.",
            "is in 'pt', but the prompt is in 'en'",
            id="another language",
        ),
        pytest.param("{{ topic }} and {{>rules}} with \\{{braces}}", "", id="fine"),
    ],
)
def test_a_rewrite_keeps_placeholders_language_and_length(text: str, said: str) -> None:
    old = (
        "Write about {{topic}} by {{> rules}}: always in one short and clear sentence, politely, and say where "
        "everything you tell the customer comes from."
    )
    version = replace(prompt(old), partials={"rules": "rules@1"})

    found = faults({"system 1": text}, version, lambda _: [])

    assert said in " ".join(found)
    assert bool(found) == bool(said)


def test_only_new_errors_of_lint_count() -> None:
    def lint(version: PromptVersion) -> list[str]:
        return ["Old."] + ["New."] * version.messages[0].text.count("!")

    assert faults({"system 1": "Go."}, prompt(), lint) == []
    assert faults({"system 1": "Go!"}, prompt(), lint) == ["New."]


def test_placeholders_are_read_as_templates_write_them() -> None:
    assert placeholders("{{a}} {{ a }} {{> b}} \\{{c}} {d}") == {"{{a}}": 2, "{{> b}}": 1}


def test_examples_are_added_once() -> None:
    one = Example(output="x", variables={"question": "a"})
    shown = with_examples(prompt(), [one])

    again = with_examples(shown, [one, Example(output="y", input="b")], similar=1)

    assert again.examples is not None
    assert [example.output for example in again.examples.items] == ["x", "y"]
    assert (again.examples.choose, again.examples.k) == ("similar", 1)


def test_the_front_holds_what_nothing_beats() -> None:
    standings = [
        Standing(0.5, 10.0, 100.0),
        Standing(0.9, 30.0, 300.0),
        Standing(0.8, 40.0, 400.0),
        Standing(0.5, 10.0, 100.0),
        Standing(0.7, None, 200.0),
    ]

    assert front(standings) == [0, 1, 4]


@pytest.mark.parametrize(
    ("language", "first", "last"),
    [("en", "You improve a prompt.", "<new_text>"), ("pt", "Você melhora um prompt.", "</new_text>"),
     ("es", "Usted mejora un prompt.", "</new_text>"), ("fr", "You improve a prompt.", "</new_text>")],
)  # fmt: skip
def test_a_reflection_tells_the_text_the_cases_and_what_must_stay(
    language: str, first: str, last: str
) -> None:
    case = reflection.Case(asked="When?", answered="Now", expected="Later", score="0", notes=("exact: no",))

    said = reflection.ask(
        "system 1", "Be {{tone}}.", ["{{tone}}"], [case], [reflection.Tried("Go", "0.1")], language
    )

    assert said.startswith(first)
    assert last in said
    for piece in ("Be {{tone}}.", "When?", "Later", "- exact: no", "<tried>\nGo\n(0.1)", ": {{tone}}"):
        assert piece in said


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("I see <new_text>\nBe brief.\n</new_text>", "Be brief."),
        ("<new_text>a</new_text> no, rather <new_text>```\nb\n```</new_text>", "```\nb\n```"),
        ("Be brief.", None), ("<new_text>  </new_text>", None), ("", None), ("<new_text>cut off", None),
    ],
)  # fmt: skip
def test_the_new_text_is_the_last_one_between_marks(answer: str, text: str | None) -> None:
    assert reflection.new_text(answer) == text


def test_feedback_tells_what_steps_changed_found_and_refused() -> None:
    record = {
        "stages": [
            {"step": "clean", "outcome": "changed", "changes": [
                {"role": "user", "edits": [{"reason": "zero-width characters removed"}]}]},
            {"step": "conform", "outcome": "unchanged", "notes": {"form": "invalid", "reason": "no 'amount'"}},
            {"step": "verify", "outcome": "changed", "notes": {"sentences": [
                {"start": 0, "end": 8, "label": "not"}, {"start": 9, "end": 14, "label": "supported"}]}},
            {"step": "pii", "outcome": "changed", "verdicts": [
                {"rule": "br.cpf", "where": "input", "action": "mask"}]},
        ],
        "finish_reason": "length",
        "reply": {"text": "It is 5. Yes."},
    }  # fmt: skip
    trial = Trial(
        sample=Sample(id="a", messages=({"role": "user", "content": "How much?"},), expected={"amount": 3}),
        output=Output(text="It is 5. Yes.", record=record),
        scores=(Score(name="json", value=0.0, reason="amount is missing"),),
    )

    assert feedback.asked(trial) == "How much?"
    assert feedback.expected(trial) == '{"amount":3}'
    assert feedback.notes(trial) == [
        "json: amount is missing",
        "clean changed the user text: zero-width characters removed",
        "conform: invalid: no 'amount'",
        "verify: no passage supports: It is 5.",
        "pii found br.cpf in the input (mask)",
        "the answer was cut off: it was too long",
    ]


def test_long_texts_keep_their_two_ends() -> None:
    text = "a" * 5_000 + "b" * 5_000

    cut = feedback.shorten(text, 300)

    assert cut.startswith("a" * 200)
    assert cut.endswith("b" * 100)
    assert "9700 characters left out" in cut


def test_the_decision_needs_a_difference_beyond_chance() -> None:
    better = decide([Pair(0.0, 1.0, "")] * 12 + [Pair(1.0, 1.0, "")] * 20, "exact", wanted=32)
    alike = decide([Pair(0.0, 1.0, ""), Pair(1.0, 0.0, "")] * 10 + [Pair(0.0, 1.0, "")], "exact", wanted=21)
    worse = decide([Pair(1.0, 0.0, "")] * 12, "exact", wanted=12)
    few = decide([Pair(0.0, 1.0, "")] * 5 + [Pair(None, 1.0, "")] * 9, "exact", wanted=14)

    assert better.verdict == "better"
    assert "0.375 → 0.375" not in better.sentence
    assert alike.verdict == worse.verdict == "no better"
    assert alike.needed is not None
    assert alike.needed > 100
    assert worse.needed is None
    assert (few.verdict, few.dropped) == ("undecided", 9)


def test_one_group_that_wins_as_a_whole_decides_nothing() -> None:
    pairs = [Pair(0.0, 1.0, "one conversation")] * 30 + [Pair(1.0, 1.0, f"g{place}") for place in range(10)]

    assert decide(pairs, "exact", wanted=40).verdict == "no better"
