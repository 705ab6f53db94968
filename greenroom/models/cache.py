"""Answers given before, for prompts that are equal, or that ask the same.

`Cached` stands before a model's dispatch, behind the checks: keys are made of texts with their masks, and
what is kept is the model's own answer, which every exchange looks over and unmasks for itself. Nothing is
shared between projects. Answers of requests with tools, of several choices, or cut short are never kept.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import blake2b
from time import monotonic
from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder

from greenroom.contracts import NewestVector
from greenroom.exchange import Exchange, Reply
from greenroom.models.likeness import LONGEST, Likeness, likeness
from greenroom.models.prices import FREE
from greenroom.usage import Usage
from greenroom.wire import openai
from greenroom.wire.openai_request import render_chat

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

CONTEXT = "cache"
"""Where an exchange's context says that its answer was kept: "hit" or "semantic"."""
PENDING = "cache.pending"
"""Where an exchange's context holds what its answer will be kept under."""
CONTROL = "cache.control"
"""Where an exchange's context holds what the client wants: "no-cache" asks anew, "no-store" keeps nothing."""
Kind = Literal["exact", "semantic"]
_SAYS_NOTHING = frozenset(
    {
        "stream",
        "stream_options",
        "user",
        "metadata",
        "safety_identifier",
        "store",
        "prompt_cache_key",
        "model",
    }
)
"""Fields that change nothing about what is answered."""
_PIECE = 24
"""Characters of a piece when a kept answer is streamed."""
_AT_ONCE = 2_000
"""Bytes hashed at once: for 2,048 and more hashlib lets other threads run, and waits for them to be done."""
_MOST_ALIKE = 64
"""Prompts of one context that are compared."""
_OVERHEAD_BYTES = 600
"""What an entry takes besides its texts."""
_fields: Decoder[dict[str, Raw]] = Decoder(dict[str, Raw])


class Policy(NamedTuple):
    """How an app caches."""

    kind: Kind
    ttl_s: float
    threshold: float
    """The least cosine of two prompts that may ask the same."""


class Kept(Struct, eq=False):
    """One answer and what it was an answer to."""

    key: bytes
    project: str
    user: str | None
    text: str
    usage: Usage
    target: str | None
    until: float
    size: int
    context: bytes | None = None
    likeness: Likeness | None = None
    vector: "NDArray[float32] | None" = None


class AnswerCache:
    """All kept answers of one process; the least recently used go when `size_bytes` are full."""

    def __init__(self, size_bytes: int, now: Callable[[], float] = monotonic) -> None:
        self.size_bytes = size_bytes
        self.held_bytes = 0
        self.now = now
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._alike: dict[bytes, list[Kept]] = {}
        """Those that may be found by meaning, by their context."""

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes) -> Kept | None:
        """The answer to an equal request."""
        found = self._kept.get(key)
        if found is None:
            return None
        if found.until <= self.now():
            self._drop(found)
            return None
        self._kept.move_to_end(key)
        return found

    def near(
        self, context: bytes, like: Likeness, vector: "NDArray[float32]", threshold: float
    ) -> tuple[Kept, float] | None:
        """The answer to the nearest request that asks the same, and the cosine."""
        best: tuple[Kept, float] | None = None
        now = self.now()
        for one in list(self._alike.get(context, ())):
            if one.until <= now:
                self._drop(one)
            elif one.vector is not None and one.likeness is not None and one.likeness.agrees(like):
                cosine = float(one.vector @ vector)
                if cosine >= threshold and (best is None or cosine > best[1]):
                    best = one, cosine
        if best is not None:
            self._kept.move_to_end(best[0].key)
        return best

    def put(self, kept: Kept) -> None:
        """Keep an answer, in the place of an earlier one under the same key."""
        if kept.size > self.size_bytes:
            return
        before = self._kept.get(kept.key)
        if before is not None:
            self._drop(before)
        self._kept[kept.key] = kept
        self.held_bytes += kept.size
        if kept.context is not None:
            alike = self._alike.setdefault(kept.context, [])
            alike.append(kept)
            if len(alike) > _MOST_ALIKE:
                self._drop(alike[0])
        while self.held_bytes > self.size_bytes:
            self._drop(next(iter(self._kept.values())))

    def forget(self, project: str | None, user: str | None = None) -> int:
        """Drop the answers of a project, or of one of its users; None is every project. How many."""
        gone = [
            one
            for one in self._kept.values()
            if (project is None or one.project == project) and (user is None or one.user == user)
        ]
        for one in gone:
            self._drop(one)
        return len(gone)

    def _drop(self, kept: Kept) -> None:
        del self._kept[kept.key]
        self.held_bytes -= kept.size
        if kept.context is not None:
            alike = self._alike[kept.context]
            alike.remove(kept)
            if not alike:
                del self._alike[kept.context]


class _Pending(NamedTuple):
    """What an answer will be kept under, once it is there."""

    key: bytes
    ttl_s: float
    context: bytes | None
    likeness: Likeness | None
    vector: "NDArray[float32] | None"


class Cached:
    """An app's model behind the cache."""

    def __init__(
        self, call: Callable[[Exchange], Awaitable[Reply]], cache: AnswerCache, policy: Policy, app: str
    ) -> None:
        self.call = call
        self._cache = cache
        self._policy = policy
        self._app = app

    def before(self, call: Callable[[Exchange], Awaitable[Reply]]) -> "Cached":
        """The same cache before another model."""
        return Cached(call, self._cache, self._policy, self._app)

    async def __call__(self, exchange: Exchange) -> Reply:
        """An answer kept before, or the model's. Raises what the model's call raises."""
        context = exchange.context
        context.pop(PENDING, None)
        control = context.get(CONTROL)
        request = exchange.request
        if request.has_tools or request.n != 1 or "tool" in request.roles or control == "no-store":
            return await self.call(exchange)
        key = self._key(exchange)
        if key is None:
            return await self.call(exchange)
        kept = None if control == "no-cache" else self._cache.get(key)
        if kept is not None:
            return self._replay(exchange, kept, "hit", "an equal request was answered before")
        pending = _Pending(key, self._policy.ttl_s, None, None, None)
        if self._policy.kind == "semantic":
            pending, found = await self._alike(exchange, pending)
            if found is not None and control != "no-cache":
                kept, cosine = found
                return self._replay(
                    exchange, kept, "semantic", f"a like request was answered before ({cosine:.3f})"
                )
        context[PENDING] = pending
        return await self.call(exchange)

    def keep(self, exchange: Exchange) -> None:
        """Keep the answer of an exchange that was answered whole."""
        pending = exchange.context.pop(PENDING, None)
        if not isinstance(pending, _Pending) or exchange.finish_reason != "stop" or exchange.usage is None:
            return
        if len(exchange.reply_raw) != 1 or not exchange.reply_raw[0]:
            return
        text = exchange.reply_raw[0]
        size = len(text.encode("utf-8", "replace")) + _OVERHEAD_BYTES
        if pending.vector is not None:
            size += pending.vector.nbytes + LONGEST
        self._cache.put(
            Kept(
                pending.key, exchange.caller.project, exchange.user, text, exchange.usage, exchange.target,
                self._cache.now() + pending.ttl_s, size, pending.context, pending.likeness, pending.vector,
            )
        )  # fmt: skip

    def _key(self, exchange: Exchange) -> bytes | None:
        """What equal requests have in common; None for a body that can't be read as fields."""
        dropped = exchange.context.get("fit.dropped", ())
        assert isinstance(dropped, frozenset | set | tuple)
        try:
            fields = _fields.decode(render_chat(exchange.request, dropped=dropped))
        except (DecodeError, ValidationError, KeyError, IndexError):
            return None
        digest = self._digest(exchange)
        for name in sorted(fields.keys() - _SAYS_NOTHING):
            value = b"%b\0%b\0" % (name.encode(), bytes(fields[name]))
            for at in range(0, len(value), _AT_ONCE):
                digest.update(value[at : at + _AT_ONCE])
        return digest.digest()

    def _digest(self, exchange: Exchange) -> blake2b:
        where = (exchange.caller.project, self._app, exchange.request.model)
        return blake2b("\0".join(where).encode(), digest_size=32)

    async def _alike(
        self, exchange: Exchange, pending: _Pending
    ) -> tuple[_Pending, tuple[Kept, float] | None]:
        """What this request can be found by in meaning, and the answer to one like it."""
        newest, vector_of = exchange.request.newest_user, exchange.context.get("embed")
        if newest is None or vector_of is None or len(newest.value) > LONGEST:
            return pending, None
        request = exchange.request
        if exchange.masks or exchange.redactions or len(request.texts) != len(request.roles):
            return pending, None
        if any(text.part is not None or text.kind != "content" for text in request.texts):
            return pending, None  # beside the text of a part there may be an image
        source: NewestVector = vector_of  # type: ignore[assignment]  # what `embed` leaves there
        language = exchange.language[0] if exchange.language is not None else ""
        if language[:2] not in source.encoder.languages:
            return pending, None
        context = self._context(exchange, newest.index)
        like, vector = likeness(newest.value), await source.vector()
        found = self._cache.near(context, like, vector, self._policy.threshold)
        return pending._replace(context=context, likeness=like, vector=vector), found

    def _context(self, exchange: Exchange, newest: int) -> bytes:
        """All of a request but its newest prompt: only requests that agree in this may share an answer."""
        request = exchange.request
        digest = self._digest(exchange)
        rest = _fields.decode(request.before + b"[]" + request.behind)
        for name in sorted(rest.keys() - _SAYS_NOTHING - {"messages"}):
            digest.update(b"%b\0%b\0" % (name.encode(), bytes(rest[name])))
        for text in request.texts:
            said = "" if text.index == newest else text.value
            digest.update(f"{text.index}\0{text.role}\0{said}\0".encode())
        digest.update(openai.encode([request.filled, request.added]))
        return digest.digest()

    def _replay(self, exchange: Exchange, kept: Kept, how: str, why: str) -> Reply:
        """A kept answer as if the model gave it now. It costs nothing."""
        exchange.context[CONTEXT] = how
        exchange.context["price"] = FREE
        exchange.target = kept.target
        exchange.why = why
        created = exchange.created_ns // 1_000_000_000
        if exchange.request.stream:
            return Reply(chunks=_pieces(exchange.id, created, exchange.asked, kept))
        body = openai.completion(
            id=exchange.id, created=created, model=exchange.asked, content=kept.text, finish_reason="stop",
            usage=kept.usage,
        )  # fmt: skip
        return Reply(body=body, view=openai.decode_completion(body))


async def _pieces(id: str, created: int, model: str, kept: Kept) -> AsyncIterator[list[bytes]]:
    writer = openai.ChunkWriter(f"chatcmpl-{id}", created, model)
    text = kept.text
    yield [
        writer.delta(0, {"role": "assistant", "content": ""}),
        *(writer.content(0, text[at : at + _PIECE]) for at in range(0, len(text), _PIECE)),
        writer.delta(0, {}, "stop"),
        writer.usage(kept.usage),
        b"[DONE]",
    ]
