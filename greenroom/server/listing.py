"""`/v1/models`: what a key may ask for, in one shape that satisfies OpenAI's clients and Anthropic's.

Knows names; nothing of apps or targets.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote

from greenroom.errors import MalformedRequest, ModelNotFound
from greenroom.gateway.rooms import Private
from greenroom.wire import openai
from greenroom.wire.digits import number_in

_MOST = 1000


class Listing:
    """Writes models; all but trained ones are as old as the process."""

    def __init__(self, started_at: int) -> None:
        self._started_at = started_at
        self._created_at = _day(started_at)

    def page(self, names: Sequence[str], query: bytes, private: Private | None = None) -> bytes:
        """A list: all of it, or what `limit`, `after_id` and `before_id` ask for. Raises MalformedRequest.

        A page beside a model that there is no more has nothing on it: that ends the list.
        """
        asked = dict(parse_qsl(query.decode("latin-1")))
        chosen = list(names)
        if "after_id" in asked:
            after = asked["after_id"]
            chosen = chosen[chosen.index(after) + 1 :] if after in chosen else []
        if "before_id" in asked:
            before = asked["before_id"]
            chosen = chosen[: chosen.index(before)] if before in chosen else []
        has_more = False
        if "limit" in asked:
            limit = number_in(asked["limit"], 1, _MOST)
            if limit is None:
                raise MalformedRequest(f"'limit' must be a number from 1 to {_MOST}.", "limit")
            has_more = len(chosen) > limit
            going_back = "before_id" in asked and "after_id" not in asked
            chosen = chosen[-limit:] if going_back else chosen[:limit]
        return openai.encode(
            {
                "object": "list",
                "data": [self._model(name, private) for name in chosen],
                "has_more": has_more,
                "first_id": chosen[0] if chosen else None,
                "last_id": chosen[-1] if chosen else None,
            }
        )

    def one(self, names: Sequence[str], path: bytes, private: Private | None = None) -> bytes:
        """The model that the rest of a path names. Raises ModelNotFound."""
        name = unquote(path.decode("latin-1"))
        if name not in names:
            raise ModelNotFound(f"No app or model goes by '{name[:100]}'.", "model")
        return openai.encode(self._model(name, private))

    def _model(self, name: str, private: Private | None) -> dict[str, object]:
        trained = None if private is None else private.about(name)
        return {
            "id": name,
            "object": "model",
            "created": self._started_at,
            "owned_by": "greenroom",
            "type": "model",
            "display_name": name,
            "created_at": self._created_at if trained is None else _day(trained["created"]),
            "lifecycle": "active",
            "max_input_tokens": None,
            "max_tokens": None,
            **(trained or {}),
        }


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
