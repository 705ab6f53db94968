import pytest

from greenroom.exchange import Passage
from greenroom.stages.check.pii import Pii, PiiConfig
from greenroom.stages.check.secrets import Secrets, SecretsConfig
from tests.stages.check.requests import CPF, exchange_of, made_up, values

TOKEN = "ghp_" + made_up(1, 36)
LONG = "sk-proj-" + made_up(2, 150)


async def test_a_long_secret_gets_one_mask() -> None:
    exchange = exchange_of(("user", f"use {LONG} and {TOKEN}, then {LONG}"))

    await Secrets(SecretsConfig())(exchange)

    assert values(exchange) == ["use <OPENAI_KEY_1> and <GITHUB_TOKEN_1>, then <OPENAI_KEY_1>"]
    assert exchange.masks == {"<OPENAI_KEY_1>": LONG, "<GITHUB_TOKEN_1>": TOKEN}
    assert exchange.steps[-1].notes["findings"] == {"OPENAI_KEY": 2, "GITHUB_TOKEN": 1}


async def test_a_block_refuses_without_saying_the_secret() -> None:
    exchange = exchange_of(("user", f"minha chave é {TOKEN}, o que você acha?"))

    reply = await Secrets(SecretsConfig(action="block"))(exchange)

    assert reply is not None
    assert reply.step == "secrets"
    assert "senha" in (reply.refusal or "")
    assert TOKEN not in (reply.refusal or "")


async def test_a_secret_in_a_passage_is_taken_out_and_never_put_back() -> None:
    exchange = exchange_of(("user", "hello"))
    exchange.passages.append(Passage(id="1", document="d", title="t", text=f"key {TOKEN}.", score=1.0))
    exchange.request.added.append((0, {"role": "system", "content": f"<passage>key {TOKEN}.</passage>"}))

    reply = await Secrets(SecretsConfig(action="block"))(exchange)

    assert reply is None
    assert exchange.passages[0].text == "key [GITHUB_TOKEN]."
    assert exchange.request.added[0][1]["content"] == "<passage>key [GITHUB_TOKEN].</passage>"
    assert exchange.masks == {}
    assert exchange.redactions == {TOKEN: "[GITHUB_TOKEN]"}
    assert [(one.where, one.index) for one in exchange.steps[-1].verdicts] == [("passage", 0)]


async def test_added_messages_with_parts_are_cleared_too() -> None:
    exchange = exchange_of(("user", "hello"))
    part = {"type": "text", "text": f"key {TOKEN}"}
    exchange.request.added.append((0, {"role": "user", "content": [part, {"type": "image_url"}]}))

    await Secrets(SecretsConfig())(exchange)

    assert part["text"] == "key [GITHUB_TOKEN]"


@pytest.mark.parametrize("mode", ["observe", "suggest"])
async def test_observing_leaves_passages_alone(mode: str) -> None:
    exchange = exchange_of(("user", "hello"))
    exchange.passages.append(Passage(id="1", document="d", title="t", text=f"key {TOKEN}.", score=1.0))

    await Secrets(SecretsConfig(mode="observe" if mode == "observe" else "suggest"))(exchange)

    assert exchange.passages[0].text == f"key {TOKEN}."
    assert len(exchange.steps[-1].verdicts) == 1


async def test_pii_and_secrets_share_the_masks_of_an_exchange() -> None:
    exchange = exchange_of(("user", f"CPF {CPF}, senha: Xk9#mP2q!, token {TOKEN}"))

    await Pii(PiiConfig())(exchange)
    await Secrets(SecretsConfig())(exchange)

    assert values(exchange) == ["CPF <CPF_1>, senha: <PASSWORD_1>, token <GITHUB_TOKEN_1>"]
    assert set(exchange.masks.values()) == {CPF, "Xk9#mP2q!", TOKEN}


async def test_a_mask_is_no_secret() -> None:
    exchange = exchange_of(("user", "password: <PASSWORD_1>, api_key = <SECRET_12>"))

    await Secrets(SecretsConfig())(exchange)

    assert values(exchange) == ["password: <PASSWORD_1>, api_key = <SECRET_12>"]
