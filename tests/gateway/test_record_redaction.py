"""The record's shape, and the redactor's law: no value survives, every offset still fits."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from greenroom.exchange import Change, Edit, Entity, Exchange, Passage, StepRecord, Verdict
from greenroom.gateway.record import body_of, row_of, to_record
from greenroom.gateway.redact import Redactor, redact_parts
from greenroom.store.material import Record, decode_body, encode_body, pseudonym, record_of
from greenroom.wire.openai import encode
from tests.store.exchanges import CPF, make_exchange, make_masked


def strings(value: Any) -> list[str]:  # Any: JSON
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [*map(str, value), *(one for item in value.values() for one in strings(item))]
    if isinstance(value, list):
        return [one for item in value for one in strings(item)]
    return []


def test_the_record_has_the_promised_shape() -> None:
    record = to_record(make_exchange("a"), lambda _: ("en", 0.9))

    assert list(record)[:8] == ["id", "created_at", "project", "key", "app", "session", "user", "tags"]
    assert record["model"] == {
        "asked": "fast", "used": "openai/small", "why": "first of its route",
        "attempts": [{"target": "openai/small", "status": 200, "error": None, "ms": 4.0}],
    }  # fmt: skip
    assert record["language"] == {"code": "en", "confidence": 0.9}
    assert record["stages"] == [
        {
            "stage": "preprocess", "step": "clean", "ms": 0.0412, "outcome": "unchanged", "changes": [],
            "notes": {}, "verdicts": [],
        }
    ]  # fmt: skip
    assert record["usage"] == {
        "input_tokens": 9, "cached_tokens": 0, "output_tokens": 3, "reasoning_tokens": 0, "estimated": False,
    }  # fmt: skip
    assert record["cache"] == "miss"
    assert record["prompt"] == {"name": None, "version": None}
    assert record["scores"] == []
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record["created_at"])
    msgspec.json.encode(record)


def test_the_record_before_storing_equals_the_one_read_back() -> None:
    exchange = make_masked("a")

    stored = record_of(row_of(exchange), decode_body(encode_body(body_of(exchange))))

    assert stored == to_record(exchange)


def redacted(exchange: Exchange) -> Record:
    """The record as it is read back after its values were replaced."""
    stored = [
        redact_parts(row_of(exchange), body_of(exchange), exchange.redactions, texts)
        for texts in (None, exchange.request.texts)  # read from the body, or as the request brought them
    ]
    first, second = [record_of(row, decode_body(encode_body(body))) for row, body in stored]
    assert first == second
    return first


def test_offsets_count_in_the_redacted_text() -> None:
    exchange = make_masked("a")
    exchange.entities.append(Entity(text="thanks", type="MISC", start=29, end=35, index=0))

    record = redacted(exchange)

    text = record["request"]["messages"][0]["content"]
    edit = record["stages"][1]["changes"][0]["edits"][0]
    verdict, entity = record["verdicts"][0], record["entities"][0]
    assert text == "My number is <CPF_1>, thanks."
    assert text[edit["start"] : edit["end"]] == edit["before"] == "<CPF_1>"
    assert text[verdict["start"] : verdict["end"]] == "<CPF_1>"
    assert text[entity["start"] : entity["end"]] == "thanks"
    assert record["reply"] == {"raw": "Noted: <CPF_1>.", "text": "Noted: <CPF_1>."}
    assert exchange.steps[1].changes[0].edits[0].before == CPF


def test_a_value_disguised_in_the_original_goes_too() -> None:
    exchange = make_exchange("a", "My number is 123.456.\u200b789-09, thanks.")
    text = exchange.request.texts[0]
    clean = StepRecord("preprocess", "clean")
    clean.changes.append(text.edit([Edit(start=21, end=22, text="", reason="zero-width characters")]))
    pii = StepRecord("check", "pii")
    pii.changes.append(text.edit([Edit(start=13, end=27, text="<CPF_1>", reason="personal data")]))
    exchange.steps += [clean, pii]
    exchange.redactions[CPF] = "<CPF_1>"

    record = redacted(exchange)

    assert record["request"]["messages"][0]["content"] == "My number is <CPF_1>, thanks."


@pytest.mark.parametrize(
    "raw",
    [
        b'{"messages":[{"role":"user","content":"Jo\\u00e3o \\/ x"}]}',
        '{"messages":[{"role":"user","content":"João / x"}]}'.encode(),
        b'{"messages":[{"role":"user","content":[{"type":"text","text":"Jo\xc3\xa3o / x"}]}]}',
        b'{"messages":[{"role":"assistant","tool_calls":[{"function":{"arguments":"{\\"n\\":\\"Jo\\\\u00e3o / x\\"}"}}]}]}',
        b'{"messages":[],"metadata":{"Jo\\u00e3o / x":"Jo\\u00e3o / x"}}',
    ],
    ids=["escaped", "plain", "part", "arguments", "elsewhere"],
)
def test_every_spelling_of_a_value_in_json_is_found(raw: bytes) -> None:
    hidden = Redactor({"João / x": "<NAME_1>"}).body(raw)

    text = str(msgspec.json.decode(hidden))
    assert "<NAME_1>" in text
    assert "o / x" not in text


def test_a_value_that_stands_as_a_number_becomes_its_mask_and_the_body_stays_json() -> None:
    hidden = Redactor({"12345678909": "<CPF_1>"}).body(b'{"messages":[{"role":"user","n":12345678909}]}')

    assert msgspec.json.decode(hidden) == {"messages": [{"role": "user", "n": "<CPF_1>"}]}


def test_a_value_that_is_one_of_our_words_harms_no_structure() -> None:
    exchange = make_exchange("a", "the user pii said clean")
    exchange.redactions = {"user": "<X_1>", "pii": "<X_2>", "clean": "<X_3>"}

    record = redacted(exchange)

    assert record["request"] == {"messages": [{"role": "user", "content": "the <X_1> <X_2> said <X_3>"}]}
    assert record["stages"][0]["step"] == "clean"


def test_what_is_no_json_is_not_stored_when_there_is_something_to_hide() -> None:
    assert Redactor({"secret!": "<S_1>"}).body(b'{"broken": "secret!\\u00e3') == b""


def test_a_user_named_by_personal_data_gets_a_stable_stand_in() -> None:
    exchange = make_masked("a", "ana@example.com", "<EMAIL_1>")
    exchange.user, exchange.session = "ana@example.com", "plain"

    record = redacted(exchange)

    assert record["user"] == pseudonym("ana@example.com")
    assert record["session"] == "plain"


values = st.text(st.sampled_from('0123456789@.-ãé"\\/ \n'), min_size=4, max_size=12).filter(
    lambda t: t.strip()
)
prose = st.text(st.sampled_from("abc xyz ção\n\u200b\"'\\"), max_size=30)


@settings(max_examples=120, deadline=None)
@given(
    found=st.lists(values, min_size=1, max_size=4, unique=True),
    pieces=st.lists(prose, min_size=5, max_size=5),
    data=st.data(),
)
def test_no_value_survives_and_every_offset_fits(
    found: list[str], pieces: list[str], data: st.DataObject
) -> None:
    plain = list(strings(redacted(make_exchange("a", "x", "x"))))
    assume(not any(value in one for value in found for one in plain))  # a price, say
    masks = {value: f"<X{chr(97 + n)}>" for n, value in enumerate(found)}
    text = "".join(piece + data.draw(st.sampled_from(found)) for piece in pieces)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    exchange = make_exchange("a", text, text, tags={"t": text}, user=text)
    span: dict[str, Any] = {"start": start, "end": end}  # Any: keyword arguments
    change = Change(
        role="user", index=0, before=text, after=text,
        edits=[Edit(text=text, reason="r", before=text[start:end], **span)],
    )  # fmt: skip
    verdict: dict[str, Any] = {  # Any: keyword arguments
        "step": "pii", "rule": "r", "category": "c", "severity": 1, "score": 1.0, "action": "mask",
    }  # fmt: skip
    exchange.steps.append(
        StepRecord(
            "check", "pii", changes=[change], notes={text: [text, {"a": text}]},
            verdicts=[
                Verdict(where="input", index=0, **span, **verdict), Verdict(where="output", **span, **verdict),
                Verdict(where="passage", **span, **verdict),
            ],
        )
    )  # fmt: skip
    exchange.entities.append(Entity(text=text[start:end], type="X", index=0, **span))
    exchange.passages.append(Passage(id="p", document="d", title=text, text=text, score=0.5))
    exchange.recalled.append({"text": text})
    exchange.sent = encode({"messages": [{"role": "user", "content": text}]})
    exchange.error = exchange.why = text
    exchange.redactions = masks

    record = redacted(exchange)

    assert not [one for one in strings(record) for value in found if value in one]
    content = record["request"]["messages"][0]["content"]
    changed = record["stages"][1]["changes"][0]["edits"]
    for item in [*record["verdicts"], *record["entities"], *changed]:
        assert 0 <= item["start"] <= item["end"] <= len(content)
    kept = text[start:end]
    if len(kept) > 1 and not any(mask in content for mask in masks.values()):
        assert content[record["entities"][0]["start"] : record["entities"][0]["end"]] == kept


def test_another_way_of_writing_a_value_is_not_kept_beside_its_mask() -> None:
    exchange = make_masked("a")
    start = exchange.request.texts[0].original.index(CPF)
    end = start + len(CPF)
    digits = "".join(filter(str.isdigit, CPF))
    for first, last in ((start, end), (start, end - 3), (start - 3, start + 5)):
        text = exchange.request.texts[0].original[first:last]
        exchange.entities.append(
            Entity(text=text, type="ID", start=first, end=last, index=0, value=f"cpf:{digits}")
        )

    record = redacted(exchange)

    assert [one["text"] for one in record["entities"]] == ["<CPF_1>", "<CPF_1>", "is <CPF_1>"]
    assert digits not in str(record)
    assert {one["value"] for one in record["entities"]} == {""}


def test_judged_sentences_stay_where_they_are_in_the_redacted_answer() -> None:
    exchange = make_exchange("a")
    text = f"The CPF is {CPF}. It was given today."
    exchange.reply_raw, exchange.reply_text = [text], [text]
    exchange.redactions[CPF] = "<CPF_1>"
    start = text.index("It was")
    judged = {"start": start, "end": len(text), "label": "not"}
    exchange.steps.append(StepRecord("postprocess", "verify", notes={"sentences": [judged]}))

    row, body = redact_parts(row_of(exchange), body_of(exchange), exchange.redactions)
    assert body is not None
    record = record_of(row, body)

    one = record["stages"][-1]["notes"]["sentences"][0]
    stored = record["reply"]["text"] or record["reply"]["raw"]
    assert stored[one["start"] : one["end"]] == "It was given today."
    assert judged["start"] == start
