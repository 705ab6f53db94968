"""A provider of scripted models on a real socket, sound or broken in one way, and clients that ask at a fixed rate.

Speaks chat completions, whole and as streams. Knows the dialect and nothing of Greenroom.
"""

import asyncio
import contextlib
import json
from collections import Counter
from random import Random
from types import TracebackType
from typing import Any, NamedTuple, Self

Json = dict[str, Any]  # Any: JSON
_SENTENCES = (
    "The parcel leaves our warehouse on the morning after the order was paid.",
    "You can change the address as long as the label has not been printed.",
    "Refunds arrive on the card that was used, usually within five working days.",
    "A signature is needed for everything that costs more than two hundred dollars.",
    "The tracking page shows the last place where somebody scanned the box.",
    "Our team answers letters on weekdays, and telephones until six in the evening.",
    "If something arrived broken, a photograph of the box is all that we need.",
    "The warranty covers two years, and begins on the day of the delivery.",
)
_FOREIGN = (
    "A encomenda sai do nosso armazém na manhã seguinte ao pagamento do pedido. "
    "Você pode mudar o endereço enquanto a etiqueta ainda não foi impressa."
)
QUESTION = "Please tell me when the order number {} will be delivered to my house, and who brings it."
MEDIAN_S = 0.02
BROKEN = ("errors", "slow", "empty", "cut", "loop", "foreign", "garbage")
"""Models with one fault each; by any other name a model is sound."""
_OFTEN = 0.3
"""The part of the answers that a fault is in; all of them are slow where that is the fault."""


class Scripted:
    """Serves while entered; `base_url` is what a provider's configuration wants."""

    def __init__(self, seed: int = 1) -> None:
        self._random = Random(seed)
        self.asked: Counter[str] = Counter()
        self.turned: set[str] = set()
        """Sound models that break from now on, as `NAME:FAULT`."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await asyncio.sleep(0)

    @property
    def base_url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Cancelled is what a connection is that waits when the loop ends: no error of this one.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line.partition(b":")[2])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                body = json.loads(await reader.readexactly(length))
                await self._answer(body, writer)
        writer.close()

    async def _answer(self, body: Json, writer: asyncio.StreamWriter) -> None:
        random, model = self._random, str(body["model"])
        self.asked[model] += 1
        fault = next((one.partition(":")[2] for one in self.turned if one.startswith(f"{model}:")), model)
        is_hit = random.random() < _OFTEN
        wait_s = MEDIAN_S * random.lognormvariate(0, 0.5)
        await asyncio.sleep(wait_s * 4 if fault == "slow" else wait_s)
        if fault == "errors" and is_hit:
            _send(writer, 500, b'{"error": {"message": "out of memory", "type": "server_error"}}')
            return
        text, reason = self._text(fault if is_hit else "sound")
        tokens = {"prompt_tokens": 40, "completion_tokens": max(1, len(text) // 4)}
        if body.get("stream"):
            _stream(writer, model, text, reason, tokens)
            return
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
        answer = {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}
        _send(writer, 200, json.dumps({**answer, "usage": tokens}).encode())

    def _text(self, fault: str) -> tuple[str, str]:
        random = self._random
        text = " ".join(random.sample(_SENTENCES, random.randint(2, 5)))
        if fault == "empty":
            return "", "stop"
        if fault == "cut":
            return text[: len(text) // 2], "length"
        if fault == "loop":
            return text + " and again and again, as I said before," * 40, "stop"
        if fault == "foreign":
            return _FOREIGN, "stop"
        if fault == "garbage":
            words = ("".join(random.choices("qxzjkwvprt", k=random.randint(3, 9))) for _ in range(30))
            return " ".join(words), "stop"
        return text, "stop"


def _send(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)


def _stream(writer: asyncio.StreamWriter, model: str, text: str, reason: str, tokens: Json) -> None:
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model}
    pieces: list[Json] = [{**base, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}]
    pieces += [
        {**base, "choices": [{"index": 0, "delta": {"content": text[at : at + 40]}}]}
        for at in range(0, len(text), 40)
    ]
    pieces.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    pieces.append({**base, "choices": [], "usage": tokens})
    events = b"".join(b"data: %b\n\n" % json.dumps(one).encode() for one in pieces) + b"data: [DONE]\n\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    writer.write(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(events), events))


class Failed(NamedTuple):
    """One request that a client would call failed, `at` in seconds of the loop's clock."""

    at: float
    why: str


class Load:
    """Clients of one app at a fixed rate, whether or not answers come: half want streams."""

    def __init__(
        self, port: int, key: str, app: str, rate: float = 100.0, users: int = 0, seed: int = 1
    ) -> None:
        """`users`: so many who come again; 0: nobody says who he is."""
        self.sent = self.answered = 0
        self.failed: list[Failed] = []
        self._port, self._key, self._app, self._rate, self._users = port, key, app, rate, users
        self._random = Random(seed)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        if self._task is not None:
            await self._task
        for _, writer in self._idle:
            writer.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        async with asyncio.TaskGroup() as group:
            while not self._ending.is_set():
                self.sent += 1
                group.create_task(self._ask(self.sent))
                due += 1 / self._rate
                await asyncio.sleep(max(0.0, due - loop.time()))

    async def _ask(self, number: int) -> None:
        is_stream = number % 2 == 0
        messages = [{"role": "user", "content": QUESTION.format(number)}]
        body = json.dumps({"model": self._app, "messages": messages, "stream": is_stream}).encode()
        user = f"x-greenroom-user: user-{self._random.randrange(self._users)}\r\n" if self._users else ""
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{self._port}\r\n{user}"
            f"authorization: Bearer {self._key}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        try:
            async with asyncio.timeout(30):
                status, answer = await self._sent(head.encode() + body)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
            self._fail(f"{type(error).__name__}: {error}")
            return
        if status != 200:
            self._fail(f"{status} {answer[:200]!r}")
        elif is_stream and (b"[DONE]" not in answer or b'"error"' in answer):
            self._fail(f"a broken stream: {answer[-200:]!r}")
        else:
            self.answered += 1

    async def _sent(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; once more where a kept connection was closed meanwhile, as HTTP clients do."""
        while True:
            kept = self._idle.pop() if self._idle else None
            reader, writer = kept or await asyncio.open_connection("127.0.0.1", self._port)
            try:
                writer.write(request)
                found = await _read(reader)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                writer.close()
                if kept is None or (isinstance(error, asyncio.IncompleteReadError) and error.partial):
                    raise
                continue
            self._idle.append((reader, writer))
            return found

    def _fail(self, why: str) -> None:
        self.failed.append(Failed(asyncio.get_running_loop().time(), why))


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head.split(b" ", 2)[1])
    if b"transfer-encoding: chunked" not in head:
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        return status, await reader.readexactly(length)
    pieces = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return status, b"".join(pieces)
