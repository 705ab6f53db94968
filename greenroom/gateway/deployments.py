"""Which side of a deployment answers: a keyed hash of who asks, and whether what is deployed is ready.

Nothing is kept of any unit: the same one meets the same side in every process and after every start, and with
a larger share whoever had the canary keeps it. Knows apps; what the sides show is others' business.
"""

from collections.abc import Callable

from greenroom.exchange import Exchange, Reply
from greenroom.gateway.experiments import draw
from greenroom.gateway.flaws import Flaws
from greenroom.gateway.pipeline import App
from greenroom.gateway.shadows import Call
from greenroom.store.compared import FLAW, tag_of
from greenroom.store.observations import TAG
from greenroom.wire import openai

_WHOLE = 1 << 64


class Canary:
    """One open deployment as the requests of its app meet it; `App.trial` of that app."""

    __slots__ = ("_app", "_below", "_is_ready", "_key", "_prefix", "_tags", "_why")

    def __init__(
        self, id: int, name: str, share: float, key: bytes, app: App | None, is_ready: Callable[[], bool]
    ) -> None:
        """`app`: the app with what is deployed; None for a shadow, whose copies answer nobody.

        Until `is_ready` (its engine has loaded, say) nobody is sent there, and nothing counts.
        """
        self._app = app
        self._below = round(share * _WHOLE) if app is not None else 0
        self._key = key
        self._prefix = f"deploy {id}\0".encode()
        self._tags = tag_of(id, "current"), tag_of(id, "canary")
        self._why = f"the canary {id}, '{name}', was drawn; " + ("" if app is None else app.why)
        self._is_ready = is_ready

    def __call__(self, exchange: Exchange) -> App | None:
        """The app with what is deployed, where this exchange is drawn for it; None: the app as it is."""
        exchange.tags.pop(TAG, None)  # a client's own would count as ours
        exchange.tags.pop(FLAW, None)
        if not self._is_ready():
            return None
        named = exchange.user or exchange.session
        unit = exchange.id if named is None else f"{exchange.caller.project}\0{named}"
        if draw(self._key, self._prefix, unit) >= self._below:
            exchange.tags[TAG] = self._tags[0]
            return None
        exchange.tags[TAG] = self._tags[1]
        exchange.why = self._why
        return self._app


def watched(app: App, flaws: Flaws) -> App:
    """The app, each of whose answers is looked over."""
    remember = app.remember
    if remember is None:
        return app._replace(remember=flaws.note)

    def both(exchange: Exchange) -> None:
        flaws.note(exchange)
        remember(exchange)

    return app._replace(remember=both)


def shadow_call(call: Call, flaws: Flaws, tag: str) -> Call:
    """A model's call for a shadow, whose answer is looked over as it comes: no step does."""

    async def called(exchange: Exchange) -> Reply:
        reply = await call(exchange)
        view = reply.view
        if isinstance(view, openai.Completion) and view.choices:
            choice = view.choices[0]
            exchange.reply_raw = [choice.message.content or ""]
            exchange.finish_reason = choice.finish_reason
            found = flaws.of(exchange)
            exchange.reply_raw = []
            if found is not None:
                exchange.tags[FLAW] = f"{tag}/{found}"
        return reply

    return called
