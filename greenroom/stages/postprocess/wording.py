"""What the model is told when it is asked again, in the language of the conversation."""

from collections.abc import Mapping, Sequence

from greenroom.exchange import Exchange
from greenroom.stages.language import detect
from greenroom.wire.openai import ToolCall

_MOST_SHOWN = 20_000
"""Characters of a rejected answer that the model is shown."""

_AGAIN = {
    "json": {
        "en": """\
That answer can't be used: {reason}. Answer again with the complete JSON alone: no fence, no words around \
it.""",
        "pt": """\
Essa resposta não pode ser usada: {reason}. Responda de novo apenas com o JSON completo: sem blocos de \
código nem texto em volta.""",
        "es": """\
Esa respuesta no se puede usar: {reason}. Responda de nuevo solo con el JSON completo: sin bloques de \
código ni texto alrededor.""",
    },
    "form": {
        "en": """\
That answer can't be used: {reason}. Answer again, in that form and with nothing around it.""",
        "pt": """\
Essa resposta não pode ser usada: {reason}. Responda de novo, nessa forma e sem nada em volta.""",
        "es": """\
Esa respuesta no se puede usar: {reason}. Responda de nuevo, en esa forma y sin nada alrededor.""",
    },
    "claims": {
        "en": """\
The passages do not bear these sentences out:
{reason}
Answer again. Say only what the passages say, with their numbers, dates and names; where they hold no \
answer, say so.""",
        "pt": """\
Os trechos não sustentam estas frases:
{reason}
Responda de novo. Diga apenas o que os trechos dizem, com os números, as datas e os nomes deles; quando não \
contiverem a resposta, diga isso.""",
        "es": """\
Los fragmentos no respaldan estas frases:
{reason}
Responda de nuevo. Diga solo lo que dicen los fragmentos, con sus números, fechas y nombres; cuando no \
contengan la respuesta, dígalo.""",
    },
}


def language(exchange: Exchange) -> str:
    """The language of the exchange among those we write in; English where it is not known."""
    newest = exchange.request.newest_user
    code, _ = exchange.language or detect(newest.value if newest is not None else "")
    return code[:2] if code[:2] in _AGAIN["json"] else "en"


def again_message(exchange: Exchange, kind: str, reason: str) -> str:
    """What the user says to a model whose answer is not taken; `kind` is json, form or claims."""
    return _AGAIN[kind][language(exchange)].format(reason=reason)


def tool_message(reason: str | None) -> str:
    """What a tool answers that was not run: its own arguments were wrong, or those of another call."""
    if reason is None:
        return "Not run: another call of this turn has wrong arguments. Send all calls again."
    return f"Not run: the arguments are wrong: {reason}. Send all calls again, with arguments that fit."


def listed(sentences: Sequence[str]) -> str:
    """Sentences as a list, each cut at 300 characters."""
    return "\n".join(f"- {one[:300]}" for one in sentences)


def content_messages(exchange: Exchange, content: str, reason: str, kind: str) -> list[dict[str, object]]:
    """The rejected answer, and what is to be said of it; `kind` as for `again_message`."""
    return [
        {"role": "assistant", "content": content[:_MOST_SHOWN]},
        {"role": "user", "content": again_message(exchange, kind, reason)},
    ]


def call_messages(calls: Sequence[ToolCall], wrong: Mapping[int, str]) -> list[dict[str, object]]:
    """The calls, and for each what a tool would say that was given wrong arguments."""
    said: list[dict[str, object]] = [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": one.id or f"call_{number}",
                    "type": "function",
                    "function": {"name": one.function.name, "arguments": one.function.arguments},
                }
                for number, one in enumerate(calls)
                if one.function is not None
            ],
        }
    ]
    for number, one in enumerate(calls):
        content = tool_message(wrong.get(number))
        said.append({"role": "tool", "tool_call_id": one.id or f"call_{number}", "content": content})
    return said
