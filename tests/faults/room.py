"""A gateway on a real socket in front of scripted providers: our protocol class under uvicorn's server."""

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from types import MappingProxyType, TracebackType
from typing import Any, Self

import uvicorn

from greenroom.exchange import Caller, Exchange
from greenroom.gateway.access import Access
from greenroom.gateway.chain import PostEntry
from greenroom.gateway.gateway import Gateway
from greenroom.gateway.keys import Key
from greenroom.gateway.ledger import Ledger
from greenroom.gateway.pipeline import App, StepEntry
from greenroom.gateway.rooms import Rooms
from greenroom.models.attempt import Target
from greenroom.models.dispatch import Dispatch, Patience
from greenroom.models.health import Healths
from greenroom.models.pool import Pool
from greenroom.models.prices import Price
from greenroom.models.providers import OpenAICompatible, Provider
from greenroom.models.response import Limits as CallLimits
from greenroom.server.fronts import Front
from greenroom.server.head import Limits
from greenroom.server.protocol import HttpProtocol
from greenroom.server.shared import Shared
from greenroom.server.v1 import V1
from tests.faults.oracle import hold
from tests.faults.rawclient import Answer, RawClient, chat_bytes

KEY = "gr-canary-1f6a"
QUICK = Limits(body_bytes=100_000, header_s=0.5, body_s=0.6, idle_s=0.8, write_s=1.0)
HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
    + KEY.encode()
    + b"\r\n"
)
HELLO = chat_bytes("m", key=KEY)
CALL = CallLimits(connect_s=0.5, first_byte_s=1.0, idle_s=0.7, total_s=5.0)


MakeProvider = Callable[[str, str, str, Pool, Mapping[str, str]], Provider]
"""Name, base URL, key, pool and headers to a provider: a class of one."""

NO_RETRY = Patience(retries=0)


class Kept:
    """A sink that keeps finished exchanges."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def put(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)

    async def next(self, count: int = 1) -> Exchange:
        """The newest, once there are `count`."""
        async with asyncio.timeout(20):
            while len(self.exchanges) < count:  # noqa: ASYNC110  # keeps `put` plain
                await asyncio.sleep(0.01)
        return self.exchanges[-1]


class _Server(uvicorn.Server):
    """Uvicorn's, but it sees the wish to end at once, not ten times a second: there are hundreds of rooms."""

    async def main_loop(self) -> None:
        while not self.should_exit:  # noqa: ASYNC110  # a plain flag, as uvicorn has it
            await asyncio.sleep(0.002)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for one in sockets or ():
            one.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.002)


async def _empty(scope: Any, receive: Any, send: Any) -> None:  # Any: ASGI
    await send({"type": "http.response.start", "status": 404, "headers": [(b"x-request-id", b"none")]})
    await send({"type": "http.response.body", "body": b"none"})


class Room:
    """Serves while entered, and asserts on leaving what must hold after every case (`oracle.py`).

    Every model leads to `base_urls` in order; `models` are those that are listed.
    """

    def __init__(
        self,
        base_urls: Sequence[str],
        *,
        limits: Limits | None = None,
        steps: Sequence[StepEntry] = (),
        post: Sequence[PostEntry] = (),
        key: Key | None = None,
        provider: MakeProvider = OpenAICompatible,
        in_flight: int = 64,
        models: tuple[str, ...] = ("m",),
        patience: Patience = NO_RETRY,
        parallel: int | None = None,
        total_s: float = CALL.total_s,
        first_token_s: float = 1.0,
        fronts: Mapping[bytes, Front] = MappingProxyType({}),
        ledger: Ledger | None = None,
        price: Price | None = None,
        withheld: Sequence[str] = (),
        pool: Pool | None = None,
        app: Any = _empty,  # Any: an ASGI application
    ) -> None:
        self.withheld = withheld
        """Texts that checks reject: none of them may reach a client."""
        self.answers: list[Answer] = []
        """What its clients read."""
        self._asgi = app
        self._parallel = parallel
        self._call = CALL._replace(total_s=total_s)
        self._first_token_s = first_token_s
        self.healths = Healths()
        self._patience = patience
        self.kept = Kept()
        self.pool = pool or Pool()
        self._base_urls = base_urls
        self._steps, self._post = tuple(steps), tuple(post)
        self._key = key or Key(caller=Caller(key_id="k"))
        self._limits = limits or Limits()
        self._provider = provider
        self._in_flight = in_flight
        self._models = models
        self._fronts = fronts
        self._ledger = ledger
        self._price = price

    def build(self) -> None:
        """Everything but the port."""
        self.pool.start()
        providers: list[Provider] = [
            self._provider(f"p{number}", url, "sk-secret-canary", self.pool, {})
            for number, url in enumerate(self._base_urls)
        ]
        rooms = Rooms({}, self._models, lambda name: self._app(name, providers))
        access = Access({sha256(KEY.encode()).digest(): self._key}, self._ledger)
        self.gateway = Gateway(access, rooms, self.kept, self._in_flight)
        self.shared = Shared(
            V1(self.gateway, lambda _: {}, 1, self._fronts), self._limits, frozenset({b"127.0.0.1"})
        )

    async def __aenter__(self) -> Self:
        self.build()
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._asgi,
            http=partial(HttpProtocol, self.shared),  # type: ignore[arg-type]  # a factory, called like the class it wants
            lifespan="off",
            log_config=None,
            ws="none",
        )
        self.server = _Server(config)
        self._task = asyncio.ensure_future(self.server._serve([listener]))
        while not self.server.started:  # noqa: ASYNC110  # uvicorn sets a flag, no event
            await asyncio.sleep(0.001)
        return self

    def _app(self, name: str, providers: Sequence[Provider]) -> App | None:
        targets = [
            Target(
                f"{one.name}/{name}",
                one,
                name,
                self._price,
                self.healths.of(f"{one.name}/{name}", self._parallel),
            )
            for one in providers
        ]
        return App(
            name,
            name,
            self._steps,
            self._post,
            Dispatch(targets, self._call, self._first_token_s, self._patience),
            "a test",
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                await hold(self)
        finally:
            self.server.should_exit = True
            async with asyncio.timeout(10):
                await self._task
            self.pool.stop()

    def client(self, **options: Any) -> RawClient:  # Any: RawClient's own options
        """A raw client of this server."""
        return RawClient(self.port, answers=self.answers, **options)

    async def ask(self, model: str = "m", *, stream: bool = False) -> Answer:
        """One chat request, answered."""
        async with self.client(timeout_s=8.0) as client:
            await client.send(chat_bytes(model=model, stream=stream, key=KEY))
            return await client.answer()


def code_of(answer: Answer) -> object:
    envelope = answer.json()["error"]
    assert isinstance(envelope, dict)
    assert set(envelope) == {"message", "type", "param", "code"}
    return envelope["code"]


async def works(room: Room) -> bool:
    """Whether a healthy request is answered (I7)."""
    answer = await room.ask()
    return answer.status == 200
