"""Exchanges made by hand, and numbers that are valid but nobody's."""

from random import Random

from greenroom.exchange import Caller, ChatRequest, Exchange, StepRecord, Text

CPF = "925.060.832-27"
CNPJ = "58.474.844/0001-54"
CARD = "4237 8565 3357 7492"


def exchange_of(*texts: tuple[str, str], session: str | None = None, project: str = "default") -> Exchange:
    """An exchange with one message for each (role, text); role "arguments" is a tool call's JSON."""
    request = ChatRequest(b"{}", "default")
    for index, (role, value) in enumerate(texts):
        is_call = role == "arguments"
        request.roles.append("assistant" if is_call else role)
        request.texts.append(
            Text(index, "assistant", value, kind="arguments") if is_call else Text(index, role, value)
        )
    exchange = Exchange("x", Caller(key_id="k", project=project), request, "default")
    exchange.session = session
    exchange.steps.append(StepRecord("check", "step"))
    return exchange


def values(exchange: Exchange) -> list[str]:
    """What the texts say now."""
    return [text.value for text in exchange.request.texts]


def made_up(seed: int, length: int, alphabet: str = "") -> str:
    """Characters that look like a key."""
    letters = alphabet or "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    random = Random(seed)
    return "".join(random.choice(letters) for _ in range(length))
