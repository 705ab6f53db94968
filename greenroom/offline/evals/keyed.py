"""Asking through the pipeline as a key does: its project, limits and budgets, and a record for each call.

The key is looked up anew for every call, so that one which is revoked asks nothing more.
"""

import asyncio
from collections.abc import Callable, Mapping
from hashlib import sha256
from time import perf_counter_ns
from typing import Any

from msgspec import Struct
from msgspec.json import Decoder, Encoder, decode

from greenroom.errors import (
    Forbidden,
    GreenroomError,
    InfrastructureError,
    ModelNotFound,
    Overloaded,
    QuotaExceeded,
    RequestError,
    StoreError,
    Unauthorized,
    UpstreamAuth,
)
from greenroom.exchange import Exchange
from greenroom.gateway.gateway import Gateway
from greenroom.gateway.keys import Key
from greenroom.gateway.purse import BudgetExceeded, PriceUnknown
from greenroom.offline.evals.asking import Asked, Json
from greenroom.offline.evals.sample import Output
from greenroom.store.evals import EvalStore
from greenroom.store.openai_evals import JUDGED

LONGEST_WAIT_S = 120.0
"""How long a call waits for its turn under a key's limits; a limit that lasts longer ends the run."""
_HOPELESS = (BudgetExceeded, PriceUnknown, ModelNotFound, Forbidden, Unauthorized, UpstreamAuth, StoreError)
_encode = Encoder(order="deterministic").encode
_HEADERS = {b"cache-control": b"no-store"}
"""An answer of an app's own cache is nobody's answer to this question."""
FindKey = Callable[[], Key | None]


class KeyedAsker:
    """Sends chat bodies as one key. `tags` are kept in the records."""

    def __init__(self, gateway: Gateway, find_key: FindKey, tags: Mapping[str, str]) -> None:
        self._gateway = gateway
        self._find_key = find_key
        self._tags = dict(tags)
        self.ended = asyncio.Event()
        """Set once going on is of no use."""
        self.why: GreenroomError | None = None
        """What says so."""

    async def answer(self, body: Json) -> Output:
        """One call. A refusal of a check is an `Output` with outcome "refused", a failure one with "failed".

        Where the key, its budget or the model's name make going on useless, `ended` is set as well: calls on
        their way end in order, and what they gave is kept.
        """
        raw = _encode(body)
        while True:
            try:
                exchange, app, grant = self._admitted(raw)
            except _HOPELESS as error:
                return self._end(error)
            except (QuotaExceeded, Overloaded) as error:
                if error.retry_after_s > LONGEST_WAIT_S:
                    return self._end(error)
                await asyncio.sleep(min(error.retry_after_s + 0.05, LONGEST_WAIT_S))
                continue
            except RequestError as error:
                return Output(outcome="failed", error=str(error))
            break
        began_ns = perf_counter_ns()
        try:
            answered = await self._gateway.whole(exchange, app, grant, began_ns)
        except _HOPELESS as error:
            return self._end(error)
        except GreenroomError as error:
            return _output(exchange, b"", str(error))
        return _output(exchange, answered, None)

    def _end(self, error: GreenroomError) -> Output:
        self.why = self.why or error
        self.ended.set()
        return Output(outcome="failed", error=str(error))

    def _admitted(self, raw: bytes) -> Any:  # Any: what `Gateway.whole` takes: exchange, app, grant
        key = self._find_key()
        if key is None:
            raise Unauthorized("The key that this was asked with is revoked or has expired.")
        gateway = self._gateway
        exchange, app = gateway.open(gateway.new_id(), key.caller, raw, _HEADERS)
        exchange.tags.update(self._tags)
        return exchange, app, gateway.access.admit(key)


class _Message(Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[Json] | None = None


class _Choice(Struct):
    message: _Message
    finish_reason: str | None = None


class _Completion(Struct):
    choices: list[_Choice]
    model: str = ""


_completion = Decoder(_Completion).decode


def _output(exchange: Exchange, answered: bytes, error: str | None) -> Output:
    usage = exchange.usage
    output = Output(
        outcome="refused" if exchange.outcome == "refused" else "failed" if error is not None else "answered",
        error=error,
        model=exchange.target,
        input_tokens=0 if usage is None else usage.input_tokens,
        output_tokens=0 if usage is None else usage.output_tokens,
        cost_nano_usd=exchange.cost_nano_usd if exchange.attempts else exchange.cost_nano_usd or 0,
        latency_ms=exchange.total_ns / 1e6,
        trace_id=exchange.id,
    )
    if answered:
        read = _completion(answered)
        first = read.choices[0] if read.choices else _Choice(_Message())
        message = first.message
        output.text = message.content or message.refusal or ""
        calls = message.tool_calls
        output.body = {
            "model": read.model,
            "choices": [
                {
                    "finish_reason": first.finish_reason,
                    "message": {"role": "assistant", "content": message.content} | _calls(calls),
                }
            ],
            "cached_tokens": 0 if usage is None else usage.cached_tokens,
        }
    return output


def _calls(calls: list[Json] | None) -> Json:
    return {"tool_calls": calls} if calls else {}


def _asked(output: Output) -> Asked:
    error = output.error
    if output.outcome == "refused" and error is None:
        error = f"A check refused the judge's question: {output.text}"
    return Asked(
        text=output.text, error=error, model=output.model or "", input_tokens=output.input_tokens,
        cached_tokens=output.body.get("cached_tokens", 0), output_tokens=output.output_tokens,
        cost_nano_usd=output.cost_nano_usd,
    )  # fmt: skip


class Asking:
    """An `Ask` that keeps nothing but the records of its exchanges, and ends where going on is of no use."""

    def __init__(self, asker: KeyedAsker) -> None:
        self._asker = asker

    async def __call__(self, body: Json, attempt: int = 0) -> Asked:
        """Raises: InfrastructureError."""
        asked = _asked(await self._asker.answer(body))
        if self._asker.why is not None:
            raise InfrastructureError(str(self._asker.why))
        return asked


class PaidOnce:
    """An `Ask` of a run's graders whose answers are kept: a run that goes on asks no question twice."""

    def __init__(self, asker: KeyedAsker, store: EvalStore, run: str) -> None:
        self._asker = asker
        self._store = store
        self._run = run + JUDGED
        self._asking: dict[bytes, asyncio.Lock] = {}
        """By question. Whoever asks the same meanwhile waits for the answer."""
        self._counted: set[bytes] = set()
        """Questions whose cost a row bears."""

    async def __call__(self, body: Json, attempt: int = 0) -> Asked:
        """Raises: StoreError."""
        digest = sha256(b"%d " % attempt + _encode(body)).digest()
        async with self._asking.setdefault(digest, asyncio.Lock()):
            key = f"{self._run}:{digest.hex()}"
            kept = await asyncio.to_thread(self._store.newest, key, self._run)
            asked = await self._ask(body, key) if kept is None else decode(kept.output, type=Asked)
            if digest in self._counted:
                asked.cost_nano_usd = 0
            self._counted.add(digest)
            return asked

    async def _ask(self, body: Json, key: str) -> Asked:
        call = await asyncio.to_thread(self._store.ask, self._run, key)
        output = await self._asker.answer(body)
        asked = _asked(output)
        await asyncio.to_thread(
            self._store.answered, call, output.outcome, output.cost_nano_usd, _encode(asked)
        )
        return asked
