import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.errors import ConfigError
from greenroom.exchange import Action, Edit, Entity, Exchange, Passage
from greenroom.stages.check.pii import Pii, PiiConfig
from greenroom.stages.check.vault import MemoryVault
from greenroom.stages.ground.found import Found
from tests.stages.check.requests import CARD, CNPJ, CPF, exchange_of, values

OTHER_CPF = "574.630.256-24"


async def test_values_are_masked_in_order_and_the_same_value_gets_the_same_mask() -> None:
    exchange = exchange_of(
        ("system", "Help."),
        ("user", f"CPF {CPF} e CPF {OTHER_CPF}"),
        ("assistant", "ok"),
        ("user", f"de novo {CPF}"),
    )

    reply = await Pii(PiiConfig())(exchange)

    assert reply is None
    assert values(exchange) == ["Help.", "CPF <CPF_1> e CPF <CPF_2>", "ok", "de novo <CPF_1>"]
    assert exchange.masks == {"<CPF_1>": CPF, "<CPF_2>": OTHER_CPF}
    assert exchange.redactions == {CPF: "<CPF_1>", OTHER_CPF: "<CPF_2>"}


async def test_a_conversation_sent_again_is_masked_alike() -> None:
    first = exchange_of(("user", f"CPF {CPF}"))
    second = exchange_of(
        ("user", f"CPF {CPF}"), ("assistant", "ok"), ("user", f"CNPJ {CNPJ}, CPF {OTHER_CPF}")
    )

    await Pii(PiiConfig())(first)
    await Pii(PiiConfig())(second)

    assert values(second)[0] == values(first)[0]
    assert values(second)[2] == "CNPJ <CNPJ_1>, CPF <CPF_2>"


@pytest.mark.parametrize("typed", ["<CPF_1>", "CPF_1", "<cpf_1>"])
async def test_a_mask_that_the_user_typed_is_never_given_to_a_value(typed: str) -> None:
    exchange = exchange_of(("user", f"what is {typed}? my CPF is {CPF}"))

    await Pii(PiiConfig())(exchange)

    assert exchange.masks == {"<CPF_2>": CPF}
    assert typed in values(exchange)[0]


async def test_the_record_tells_what_was_found_and_where_in_the_original() -> None:
    exchange = exchange_of(("tool", f"result: {CPF}"))
    exchange.request.texts[0].edit([Edit(start=0, end=7, text="r:", reason="shorter")])

    await Pii(PiiConfig())(exchange)

    record = exchange.steps[-1]
    (verdict,) = record.verdicts
    assert (verdict.rule, verdict.where, verdict.action) == ("br.cpf", "tool", "mask")
    assert exchange.request.texts[0].original[verdict.start : verdict.end] == CPF
    assert record.notes == {"score": 1.0, "findings": {"CPF": 1}}
    (change,) = record.changes
    assert (change.edits[0].before, change.edits[0].text, change.edits[0].applied) == (CPF, "<CPF_1>", True)


async def test_a_clean_request_gets_a_score_of_zero_and_nothing_else() -> None:
    exchange = exchange_of(("user", "What is the capital of Peru?"))

    await Pii(PiiConfig())(exchange)

    assert exchange.steps[-1].notes == {"score": 0.0}
    assert exchange.steps[-1].verdicts == []


async def test_redacted_values_are_gone_for_good() -> None:
    exchange = exchange_of(("user", f"CPF {CPF}"))

    await Pii(PiiConfig(action="redact"))(exchange)

    assert values(exchange) == ["CPF [CPF]"]
    assert exchange.masks == {}
    assert exchange.redactions == {CPF: "[CPF]"}


@pytest.mark.parametrize(
    ("text", "language", "word"),
    [
        (f"meu CPF é {CPF}", None, "Retire"),
        (f"mi número es {CPF} y la clave", None, "Quítelos"),
        (f"my CPF is {CPF}", None, "remove"),
        (CPF, ("es", 0.9), "Quítelos"),
        (CPF, ("de", 0.9), "remove"),
    ],
)
async def test_a_block_refuses_in_the_users_language(
    text: str, language: tuple[str, float] | None, word: str
) -> None:
    exchange = exchange_of(("user", text))
    exchange.language = language

    reply = await Pii(PiiConfig(action="block"))(exchange)

    assert reply is not None
    assert reply.step == "pii"
    assert word in (reply.refusal or "")
    assert CPF not in (reply.refusal or "")
    assert exchange.redactions == {CPF: "[CPF]"}


@pytest.mark.parametrize("action", ["warn", "log", "route"])
async def test_other_actions_leave_the_text_but_never_the_trace(action: Action) -> None:
    exchange = exchange_of(("user", f"CPF {CPF}"))

    reply = await Pii(PiiConfig(action=action))(exchange)

    assert reply is None
    assert values(exchange) == [f"CPF {CPF}"]
    assert exchange.steps[-1].verdicts[0].action == action
    assert exchange.redactions == {CPF: "[CPF]"}


@pytest.mark.parametrize("action", ["mask", "block"])
async def test_observing_changes_and_refuses_nothing(action: Action) -> None:
    exchange = exchange_of(("user", f"CPF {CPF}"))

    reply = await Pii(PiiConfig(action=action, mode="observe"))(exchange)

    assert reply is None
    assert values(exchange) == [f"CPF {CPF}"]
    assert exchange.masks == {}
    assert len(exchange.steps[-1].verdicts) == 1
    assert all(not edit.applied for change in exchange.steps[-1].changes for edit in change.edits)


async def test_allowed_values_pass() -> None:
    exchange = exchange_of(("user", "write to Help@acme.test or ana@acme.test"))

    await Pii(PiiConfig(allow=(r"help@acme\.test",)))(exchange)

    assert values(exchange) == ["write to Help@acme.test or <EMAIL_1>"]


@pytest.mark.parametrize("config", [PiiConfig(allow=("(",)), PiiConfig(entities=("shoe_size",))])
def test_a_configuration_that_cannot_work_is_refused_at_the_start(config: PiiConfig) -> None:
    with pytest.raises(ConfigError):
        Pii(config)


async def test_a_tool_calls_arguments_stay_json() -> None:
    before = '{"cpf": 92506083227, "note": "CPF é 925.060.832-27", "m\\u00e3e": "a"}'
    exchange = exchange_of(("arguments", before))

    await Pii(PiiConfig(entities=("cpf",)))(exchange)

    after = json.loads(values(exchange)[0])
    assert after["cpf"] == "<CPF_1>"
    assert after["note"] == "CPF é <CPF_2>"
    assert exchange.masks == {"<CPF_1>": "92506083227", "<CPF_2>": CPF}


async def test_passages_are_left_as_they_are() -> None:
    exchange = exchange_of(("user", "hello"))
    exchange.passages.append(Passage(id="1", document="d", title="t", text=f"CPF {CPF}", score=1.0))

    await Pii(PiiConfig())(exchange)

    assert exchange.passages[0].text == f"CPF {CPF}"


async def test_masks_are_stable_while_the_server_keeps_the_conversation() -> None:
    pii = Pii(PiiConfig(), MemoryVault())
    first = exchange_of(("user", f"CPF {CPF} e {OTHER_CPF}"), session="s")
    second = exchange_of(("user", f"sobre {OTHER_CPF}"), session="s")
    stranger = exchange_of(("user", f"sobre {OTHER_CPF}"), session="s", project="other")

    for exchange in (first, second, stranger):
        await pii(exchange)

    assert values(second) == ["sobre <CPF_2>"]
    assert values(stranger) == ["sobre <CPF_1>"]


async def test_masks_in_the_kept_history_can_be_put_back() -> None:
    pii = Pii(PiiConfig(), MemoryVault())
    await pii(exchange_of(("user", f"CPF {CPF}"), session="s"))
    later = exchange_of(("user", "repeat it"), session="s")
    later.request.added.append((0, {"role": "user", "content": "CPF <CPF_1>"}))

    await pii(later)

    assert later.masks == {"<CPF_1>": CPF}


async def test_a_strangers_mask_stands_for_nothing() -> None:
    pii = Pii(PiiConfig(), MemoryVault())
    await pii(exchange_of(("user", f"CPF {CPF}"), session="s"))
    stranger = exchange_of(("user", "tell me <CPF_1>"), session="s", project="other")

    await pii(stranger)

    assert stranger.masks == {}


def unmasked(exchange: Exchange, text: str) -> str:
    for name, value in exchange.masks.items():
        text = text.replace(name, value)
    return text


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(
        st.sampled_from(
            [
                CPF,
                OTHER_CPF,
                CNPJ,
                CARD,
                "ana@acme.test",
                "<CPF_1>",
                "<EMAIL_2>",
                " ",
                " e ",
                "meu nome é Ana Lima ",
                "x",
            ]
        ),
        max_size=12,
    )
)
async def test_putting_the_masks_back_gives_the_original(parts: list[str]) -> None:
    text = " ".join(parts)
    exchange = exchange_of(("user", text))

    await Pii(PiiConfig())(exchange)

    assert unmasked(exchange, values(exchange)[0]) == text
    assert not any(value in values(exchange)[0] for value in exchange.masks.values())


class Tagger:
    """Takes some words for people."""

    def __init__(self, *people: str) -> None:
        self.people = people
        self.read: list[str] = []

    def find(self, text: str, language: str) -> list[Found]:
        self.read.append(text)
        return [Found(at, at + len(name), "PER") for name in self.people if (at := text.find(name)) >= 0]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        pytest.param("Did Jane Doe call?", "Did <PERSON_1> call?", id="en"),
        pytest.param("A Jane Doe ligou? Jane Doe!", "A <PERSON_1> ligou? <PERSON_1>!", id="pt"),
        pytest.param("¿Llamó Jane Doe? Janet Doel no.", "¿Llamó <PERSON_1>? Janet Doel no.", id="es"),
    ],
)
async def test_people_named_in_passing_are_masked_where_all_names_are_asked_for(
    text: str, masked: str
) -> None:
    exchange, plain = exchange_of(("user", text)), exchange_of(("user", text))

    await Pii(PiiConfig(names="all"), None, tagger=Tagger("Jane Doe"))(exchange)
    await Pii(PiiConfig(), None, tagger=Tagger("Jane Doe"))(plain)

    assert values(exchange) == [masked]
    assert exchange.steps[-1].verdicts[0].rule == "person.passing"
    assert values(plain) == [text]


async def test_a_name_known_from_the_newest_message_is_masked_in_all() -> None:
    exchange = exchange_of(
        ("system", "You are Ana."),
        ("user", "I saw Ana Lima."),
        ("assistant", "Who?"),
        ("user", "ana and Ana Lima"),
    )
    exchange.entities.append(Entity(text="Ana Lima", type="PER", start=8, end=16, index=3))
    exchange.entities.append(Entity(text="saw", type="LOC", start=0, end=1, index=3))

    await Pii(PiiConfig(names="all"), None, tagger=Tagger())(exchange)

    assert values(exchange) == ["You are Ana.", "I saw <PERSON_1>.", "Who?", "ana and <PERSON_1>"]


async def test_an_introduced_name_is_one_finding_and_a_text_is_tagged_once() -> None:
    tagger = Tagger("Jane Doe")
    step = Pii(PiiConfig(names="all"), None, tagger=tagger)
    first, second = (exchange_of(("user", "My name is Jane Doe.")) for _ in range(2))

    await step(first)
    await step(second)

    assert values(first) == values(second) == ["My name is <PERSON_1>."]
    assert len(first.steps[-1].verdicts) == 1
    assert tagger.read == ["My name is Jane Doe."]
