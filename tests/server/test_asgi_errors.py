"""What an ASGI app answers for its own error reaches the client whole, and the connection goes on."""

import asyncio
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.faults.room import Room

PAGE = "Something went wrong here, said at length. " * 2_000


async def _breaks(request: Request) -> Response:
    raise OverflowError("too large for the store")


async def _breaks_off(request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"the beginning"
        raise OverflowError("no more")

    return StreamingResponse(pieces())


async def _fine(request: Request) -> Response:
    return PlainTextResponse("fine")


async def _said(request: Request, error: Exception) -> Response:
    return PlainTextResponse(PAGE, 500)


APP = Starlette(
    routes=[Route("/breaks", _breaks), Route("/off", _breaks_off), Route("/fine", _fine)],
    exception_handlers={Exception: _said},
)


async def _read(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(one[15:]) for one in head.lower().split(b"\r\n") if one.startswith(b"content-length"))
    return head, await reader.readexactly(length)


async def test_the_page_on_an_error_arrives_and_the_connection_goes_on() -> None:
    async with Room(["http://127.0.0.1:9"], app=APP) as room:
        reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
        async with asyncio.timeout(10):
            for path, status, body in (("/breaks", b" 500 ", PAGE), ("/fine", b" 200 ", "fine")) * 20:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
                head, told = await _read(reader)
                assert status in head
                assert told.decode() == body
        writer.close()


async def test_an_answer_that_breaks_off_is_seen_as_cut() -> None:
    async with Room(["http://127.0.0.1:9"], app=APP) as room:
        reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
        writer.write(b"GET /off HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        async with asyncio.timeout(10):
            try:
                told = await reader.read()
            except ConnectionError:
                told = b""
        assert not told.endswith(b"0\r\n\r\n")
        writer.close()
