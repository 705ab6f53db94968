"""Moderation: the checks of an app over texts by themselves, one exchange and one record for each.

The verdicts are those of the chat surface, since the same steps give them.
"""

import asyncio
from collections.abc import Mapping

from msgspec.structs import replace

from greenroom.errors import MalformedRequest
from greenroom.exchange import Caller
from greenroom.gateway.gateway import Gateway
from greenroom.wire import openai
from greenroom.wire.moderation import OWN, Asked, result

_HEADERS = (b"x-greenroom-app", b"x-greenroom-user", b"x-greenroom-tags")


async def moderate(
    gateway: Gateway, id: str, caller: Caller, asked: Asked, headers: Mapping[bytes, bytes]
) -> dict[str, object]:
    """The answer of `/v1/moderations`. Raises: RequestError; StepFailed where a check that must not broke."""
    wanted = asked.app or _first_app(gateway, caller)
    judged = replace(caller, pipeline_off=False)  # the checks are what is asked for
    named = {name: headers[name] for name in _HEADERS if name in headers}
    results: list[object] = []
    name = wanted
    for number, texts in enumerate(asked.inputs):
        exchange, app = gateway.open(
            id if number == 0 else gateway.new_id(), judged, _chat(wanted, texts), named
        )
        if not app.checks:
            raise MalformedRequest(f"The app '{app.name}' has no checks to run.", "model")
        exchange.surface = "moderations"
        exchange.why = "asked to be judged, not answered"
        name = app.name
        refusal = await gateway.check(exchange, app)
        verdicts = [one for record in exchange.steps for one in record.verdicts]
        sentence = None if refusal is None else refusal.refusal or ""
        results.append(result(verdicts, sentence, {"id": exchange.id}))
        await asyncio.sleep(0)  # others are not to wait for all of a long list
    return {"id": f"modr-{id}", "model": OWN + name, "results": results}


def _first_app(gateway: Gateway, caller: Caller) -> str:
    """The default app, or the first that the key may ask for."""
    if not caller.apps or "default" in caller.apps:
        return "default"
    return next((name for name in caller.apps if name in gateway.rooms.apps), "default")


def _chat(app: str, texts: list[str]) -> bytes:
    content: object = texts[0]
    if len(texts) > 1:
        content = [{"type": "text", "text": text} for text in texts]
    return openai.encode({"model": app, "messages": [{"role": "user", "content": content}]})
