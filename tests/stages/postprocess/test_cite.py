from timeit import repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.contracts import TextFilter
from greenroom.exchange import Caller, ChatRequest, Exchange, Passage
from greenroom.stages.postprocess.cite import Cite, CiteConfig, quote


def exchange_with(count: int, response_format: str | None = None) -> Exchange:
    request = ChatRequest(b"{}", "m")
    request.response_format = response_format
    exchange = Exchange("x1", Caller(key_id="k"), request, "default")
    exchange.passages = [
        Passage(id=str(n), document=f"{n}.md", title="T", text="The sky is blue. Grass is green.", score=1.0)
        for n in range(1, count + 1)
    ]
    return exchange


def open_filter(exchange: Exchange, config: CiteConfig | None = None) -> TextFilter:
    opened = Cite(config or CiteConfig()).open(exchange, "content")
    assert opened is not None
    return opened


def run(pieces: list[str], count: int = 3) -> tuple[str, object, list[tuple[int, int, str]]]:
    one = open_filter(exchange_with(count))
    text = "".join([*(one.feed(piece) for piece in pieces), one.flush()])
    return text, one.notes["annotations"], [(edit.start, edit.end, edit.text) for edit in one.edits]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("Blue [1].", "Blue [1].", id="a real marker"),
        pytest.param("Blue [9].", "Blue.", id="no such passage"),
        pytest.param("Blue[9] sky", "Blue sky", id="without a space"),
        pytest.param("Blue [8] [9].", "Blue.", id="two in a row"),
        pytest.param("Blue [1, 9].", "Blue [1].", id="a group with one that is not there"),
        pytest.param("Blue [1][2, 3]", "Blue [1][2, 3]", id="groups"),
        pytest.param("From [0, 1] and [7, 8]", "From [0, 1] and [7, 8]", id="an interval"),
        pytest.param("In [2024] EWCA", "In [2024] EWCA", id="a year"),
        pytest.param("See [9](https://x.test)", "See [9](https://x.test)", id="a link"),
        pytest.param("Use `a[9]` now [9]", "Use `a[9]` now", id="inline code"),
        pytest.param("```\na[9]\n```\nEnd [9]", "```\na[9]\n```\nEnd", id="a fence"),
        pytest.param("A stray ` tick\nEnd [9]", "A stray ` tick\nEnd", id="a stray backtick"),
        pytest.param("- [ ] task [x]", "- [ ] task [x]", id="a task list"),
        pytest.param("Ends in [1", "Ends in [1", id="an unfinished marker"),
    ],
)
def test_only_markers_without_a_passage_are_taken_out(before: str, after: str) -> None:
    assert run([before])[0] == after


_answers = st.text(alphabet="[]1239, `\n a(é", max_size=40)


@settings(max_examples=300)
@given(_answers, st.lists(st.integers(1, 5), max_size=40))
def test_the_result_does_not_depend_on_how_the_answer_is_cut(text: str, cuts: list[int]) -> None:
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(text[at : at + cut])
        at += cut
    pieces.append(text[at:])

    assert run(pieces) == run([text])


@settings(max_examples=100)
@given(_answers)
def test_never_more_than_the_declared_tail_is_held_back(text: str) -> None:
    one = open_filter(exchange_with(1))
    out = 0
    for fed, letter in enumerate(text, 1):
        out += len(one.feed(letter))
        removed = sum(edit.end - edit.start - len(edit.text) for edit in one.edits)
        assert fed - out - removed <= one.lookback


@settings(max_examples=150)
@given(_answers)
def test_edits_lead_from_what_came_to_what_went(text: str) -> None:
    out, _, edits = run([text])
    pieces, at = [], 0
    for start, end, new in edits:
        pieces += [text[at:start], new]
        at = end

    assert "".join([*pieces, text[at:]]) == out


def test_annotations_point_into_the_text_that_went_out() -> None:
    exchange = exchange_with(2)
    one = open_filter(exchange)
    text = one.feed("Wrong [9]. Grass is gre") + one.feed("en [2") + one.feed("]. End") + one.flush()

    assert text == "Wrong. Grass is green [2]. End"
    assert one.notes["annotations"] == [
        {
            "type": "file_citation",
            "file_citation": {
                "file_id": "2.md", "filename": "2.md", "index": text.index("[2]"), "quote": "Grass is green.",
            },
        }
    ]  # fmt: skip
    assert [passage.cited for passage in exchange.passages] == [False, True]


def test_to_observe_is_to_leave_the_marker() -> None:
    one = open_filter(exchange_with(1), CiteConfig(mode="observe"))

    assert one.feed("Blue [9].") + one.flush() == "Blue [9]."
    assert [edit.applied for edit in one.edits] == [False]


def test_without_passages_or_in_tool_calls_there_is_nothing_to_do() -> None:
    assert Cite(CiteConfig()).open(exchange_with(0), "content") is None
    assert Cite(CiteConfig()).open(exchange_with(1), "arguments") is None


def test_json_answers_are_never_changed_and_cite_in_strings_only() -> None:
    exchange = exchange_with(3, "json_object")
    one = open_filter(exchange)
    answer = '{"rows": [2], "text": "Blue [1] and \\"[3]\\" [9]"}'

    assert one.feed(answer[:20]) + one.feed(answer[20:]) + one.flush() == answer
    assert [passage.cited for passage in exchange.passages] == [True, False, True]


def test_of_several_answers_the_first_is_annotated_and_all_are_read() -> None:
    exchange = exchange_with(2)
    step = Cite(CiteConfig())
    first, second = step.open(exchange, "content"), step.open(exchange, "content")
    assert first is not None
    assert second is not None
    for one, text in ((first, "A [1]"), (second, "B [2]")):
        one.feed(text)
        one.flush()

    assert "annotations" in first.notes
    assert "annotations" not in second.notes
    assert [passage.cited for passage in exchange.passages] == [True, True]


def test_a_piece_without_a_bracket_costs_next_to_nothing() -> None:
    one = open_filter(exchange_with(2))

    assert min(repeat(lambda: one.feed(" word"), number=5_000, repeat=5)) / 5_000 < 2e-6


def test_a_quotation_ends_where_its_sentence_does_not_inside_a_name() -> None:
    passage = "Write a `[providers.NAME]` table in `greenroom.toml`. It costs $3.50 a day! Nothing else."

    assert (
        quote("Write a table for providers. [1", passage)
        == "Write a `[providers.NAME]` table in `greenroom.toml`."
    )
    assert quote("What it costs a day [1", passage) == "It costs $3.50 a day!"
