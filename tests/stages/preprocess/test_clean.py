"""What `clean` takes out, what it leaves, and that it says so."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.contracts import Mode
from greenroom.exchange import Caller, ChatRequest, Exchange, StepRecord, Text
from greenroom.stages.preprocess.clean import Clean, CleanConfig


def an_exchange(*texts: Text) -> Exchange:
    values = [text.value for text in texts]
    request = ChatRequest(json.dumps(values, ensure_ascii=False).encode(errors="surrogatepass"), "model")
    request.texts = list(texts)
    request.roles = [text.role for text in texts]
    exchange = Exchange("x", Caller(key_id="k"), request, "default")
    exchange.steps.append(StepRecord("preprocess", "clean"))
    return exchange


async def cleaned(value: str, *, white_space: Mode = "off", mode: Mode = "apply") -> tuple[str, Exchange]:
    exchange = an_exchange(Text(0, "user", value))
    assert await Clean(CleanConfig(mode=mode, white_space=white_space))(exchange) is None
    return exchange.request.texts[0].value, exchange


@pytest.mark.parametrize(
    ("dirty", "gold", "rule"),
    [
        pytest.param("pa\u200bss", "pass", "clean.zero_width", id="zero width"),
        pytest.param("\ufeffHi", "Hi", "clean.zero_width", id="byte order mark"),
        pytest.param("Olá\u202e mundo", "Olá mundo", "clean.bidi", id="right-to-left override"),
        pytest.param("ok\U000e0069\U000e0067", "ok", "clean.tag", id="tag characters"),
        pytest.param("cora\xadção", "coração", "clean.soft_hyphen", id="soft hyphen"),
        pytest.param("a\x00b\x1bc\x7f", "abc", "clean.control", id="controls"),
        pytest.param("\x1b[31mred\x1b[0m", "red", "clean.escape_code", id="terminal colours"),
        pytest.param("a\r\nb\rc", "a\nb\nc", "clean.line_end", id="line ends"),
        pytest.param("a\xa0b\u2009c", "a b c", "clean.space", id="odd spaces"),
        pytest.param("na\u0303o", "não", "clean.nfc", id="decomposed"),
        pytest.param("mañana serÃ¡ otro dÃ\xada", "mañana será otro día", "clean.mojibake", id="mojibake"),
        pytest.param("Itâ€™s", "It’s", "clean.mojibake", id="quote in mojibake"),
        pytest.param("x\ufe0fy\U000e0101", "xy", "clean.variation", id="stray selectors"),
        pytest.param("a\ud800b", "a\ufffdb", "clean.broken", id="half a character"),
    ],
)
async def test_dirt_is_removed_and_the_edit_says_why(dirty: str, gold: str, rule: str) -> None:
    text, exchange = await cleaned(dirty)

    assert text == gold
    edits = [edit for change in exchange.steps[0].changes for edit in change.edits]
    assert {edit.rule for edit in edits} == {rule}
    assert all(edit.reason and edit.applied for edit in edits)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("می\u200cخواهم کتاب\u200cها", id="Persian with ZWNJ"),
        pytest.param("क्\u200dष and श्\u200cव", id="Hindi with joiners"),
        pytest.param("👨\u200d👩\u200d👧\u200d👦 and 🏳️\u200d🌈 and ❤️\u200d🔥", id="emoji families"),
        pytest.param("1️⃣ #️⃣ ☎️ ✌🏽", id="keycaps and tones"),
        pytest.param("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", id="flag of England"),
        pytest.param("ภาษา\u200bไทย", id="Thai word ends"),
        pytest.param("שלום \u200eABC\u200f עולם", id="marks in Hebrew"),
        pytest.param("x² ½ ™ ﬁ ①  ﷺ １", id="compatibility characters"),
        pytest.param("日本語　テキスト", id="wide space"),
        pytest.param("10\xa0000 e 1\u202f234", id="numbers with hard spaces"),
        pytest.param("NÃO, MANHÃ… «IRMû É”", id="capital Portuguese"),
        pytest.param("# Head\n\n- a\n    - b\n\n| a | b |\n|---|---|\n", id="Markdown"),
    ],
)
async def test_what_people_need_stays(text: str) -> None:
    assert (await cleaned(text))[0] == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("run `a\xa0b\u200b` now", "run `a\xa0b` now", id="inline code"),
        pytest.param("```\na\xa0b  c\u200b\n```", "```\na\xa0b  c\n```", id="fence"),
        pytest.param("https://a.b/na\u0303o\u200b", "https://a.b/na\u0303o", id="URL"),
        pytest.param('{"a": "x\xa0y  z\u2060"}', '{"a": "x\xa0y  z"}', id="JSON"),
        pytest.param("a | b  c\n--|--\n1 | 2\u200b", "a | b  c\n--|--\n1 | 2", id="table"),
    ],
)
async def test_code_links_and_data_lose_only_what_nobody_sees(before: str, after: str) -> None:
    assert (await cleaned(before, white_space="apply"))[0] == after


async def test_white_space_is_only_recorded_unless_asked() -> None:
    text, exchange = await cleaned("two  spaces\n\n\n\nhere", white_space="observe")

    assert text == "two  spaces\n\n\n\nhere"
    assert [
        (edit.start, edit.end, edit.text, edit.applied) for edit in exchange.steps[0].changes[0].edits
    ] == [
        (3, 5, " ", False),
        (11, 15, "\n\n", False),
    ]


async def test_white_space_is_made_one_when_asked_but_indentation_and_lists_stay() -> None:
    text, _ = await cleaned("two  spaces \n  - a\n-  b\n\n\n\nend. ", white_space="apply")

    assert text == "two spaces \n  - a\n-  b\n\nend."


async def test_observe_changes_nothing_and_records_all() -> None:
    text, exchange = await cleaned("a\u200bb", mode="observe")

    assert text == "a\u200bb"
    assert not exchange.steps[0].changes[0].edits[0].applied


async def test_arguments_of_tool_calls_are_left_alone() -> None:
    exchange = an_exchange(Text(0, "assistant", '{"a":\u200b1}', 0, "arguments"), Text(1, "tool", "a\u200bb"))

    await Clean(CleanConfig())(exchange)

    assert [text.value for text in exchange.request.texts] == ['{"a":\u200b1}', "ab"]
    assert [change.role for change in exchange.steps[0].changes] == ["tool"]


async def test_edits_of_several_passes_count_in_the_text_as_it_came() -> None:
    original = "Ã© na\u0303o\u200b!"
    _, exchange = await cleaned(original)

    assert [original[edit.start : edit.end] for edit in exchange.steps[0].changes[0].edits] == [
        "Ã©", "a\u0303", "\u200b",
    ]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    texts=st.lists(
        st.text(
            alphabet=st.one_of(
                st.sampled_from('ab Ãéßãº»«\n\t"\\/u\x7f\x01\x85\xa0\xad'), st.characters(max_codepoint=255)
            )
        ),
        max_size=3,
    ),
    white_space=st.sampled_from(("off", "apply")),
)
async def test_one_look_at_all_texts_finds_what_a_look_at_each_does(
    texts: list[str], white_space: Mode
) -> None:
    clean = Clean(CleanConfig(white_space=white_space))
    # a last one beyond Latin-1 and full of dirt has every text read by itself
    own, beside = (
        an_exchange(*(Text(index, "user", text) for index, text in enumerate(some)))
        for some in (texts, [*texts, "漢\u200bx  y"])
    )

    for exchange in (own, beside):
        await clean(exchange)

    assert [text.value for text in own.request.texts] == [text.value for text in beside.request.texts][:-1]


dirt = st.text(
    alphabet=st.one_of(
        st.sampled_from(
            "ab é ã\n\r\t\u200b\u200d\u200c\u202e\xa0\xad\x00\x1b[m\ufe0f\U000e0061\U0001f3f4Ã©â€™\u0303\u0301"
        ),
        st.characters(),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(text=dirt)
async def test_cleaning_twice_is_cleaning_once_but_for_new_neighbours(text: str) -> None:
    once, _ = await cleaned(text)
    thrice = once
    for _ in range(4):
        thrice, _ = await cleaned(thrice)

    assert (await cleaned(thrice))[0] == thrice
    assert len(once) <= len(text)


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.just("\n"), max_size=200))
async def test_plain_text_passes_as_the_same_object(text: str) -> None:
    exchange = an_exchange(Text(0, "user", text))

    await Clean(CleanConfig(white_space="off"))(exchange)

    assert exchange.request.texts[0].value is text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("👨\u200d" * 100_000, id="ZWJ chain"),
        pytest.param("a" + "\u0315\u0300" * 500_000, id="a million marks"),
        pytest.param("\u202ea" * 200_000, id="overrides"),
        pytest.param("\ufdfa" * 200_000, id="ligature bomb"),
        pytest.param("\U000e0061" * 200_000, id="tags"),
        pytest.param("x" + " " * 1_000_000 + "\ny", id="spaces"),
        pytest.param("nÃ£o " * 39_000, id="mojibake"),
    ],
)
async def test_hostile_unicode_costs_linear_time_and_never_grows(text: str) -> None:
    began = time.process_time()

    after, exchange = await cleaned(text, white_space="apply")

    assert time.process_time() - began < 5
    assert len(after) <= len(text)
    assert sum(len(change.edits) for change in exchange.steps[0].changes) <= 1024
