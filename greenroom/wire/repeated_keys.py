"""Keys that stand twice in one object of a JSON text: two readers may then see two different things."""

import json
from hashlib import blake2b

from greenroom.errors import MalformedRequest

_sound: dict[bytes, None] = {}
"""Digests of values in which no key stands twice, the oldest first."""
_MOST_SOUND = 4_096
_AT_ONCE = 2_000
"""Bytes hashed at once: for 2,048 and more hashlib lets other threads run, and waits for them to be done."""


def refuse_repeated_within(value: bytes) -> None:
    """The same of a value that may come again, as tools do: what was found sound is known by its digest."""
    if value.count(b":") < 2:
        return
    hashed = blake2b(digest_size=16)
    for at in range(0, len(value), _AT_ONCE):
        hashed.update(value[at : at + _AT_ONCE])
    digest = hashed.digest()
    if digest in _sound:
        return
    refuse_repeated_keys(value)
    if len(_sound) >= _MOST_SOUND:
        del _sound[next(iter(_sound))]
    _sound[digest] = None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise MalformedRequest(f"The key '{repeated}' stands twice in one object.", repeated)
    return found


def refuse_repeated_keys(raw: bytes) -> None:
    """Raise MalformedRequest where a key stands twice in one object of a JSON text."""
    try:
        json.loads(raw, object_pairs_hook=_unique)
    except RecursionError:
        raise MalformedRequest("The body is nested too deeply.") from None
    except ValueError as error:
        raise MalformedRequest(f"The body is not valid JSON: {error}.") from None
