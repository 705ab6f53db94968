"""Pages packed for the way: zstd where the browser takes it, else gzip.

What is packed with a secret can be guessed by who may add to it and watch the size. Nobody else can here: the
session's cookie is strict, so another site's requests get no page that holds a token.
"""

import gzip
from functools import lru_cache

import zstandard
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

LEAST_BYTES = 1_000
"""Below this the head outweighs what is saved."""
_IN_PLACE_BYTES = 64_000
"""Above this a thread packs, so that nobody waits for it on the event loop."""


def coding(request: Request) -> str:
    """Return the coding the browser takes: "zstd", "gzip" or ""."""
    taken: dict[str, bool] = {}
    for part in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, settings = part.partition(";")
        taken[name.strip()] = settings.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return next((name for name in ("zstd", "gzip") if taken.get(name)), "")


def packed(body: bytes, how: str, *, is_kept: bool = False) -> bytes:
    """Return `body` in a coding; what is kept for long is packed harder."""
    if how == "zstd":
        return zstandard.ZstdCompressor(level=15 if is_kept else 3).compress(body)
    return gzip.compress(body, 9 if is_kept else 5, mtime=0)


@lru_cache(maxsize=128)
def packed_once(body: bytes, how: str) -> bytes:
    """Return a file of ours in a coding; packed at the first request."""
    return packed(body, how, is_kept=True)


async def squeeze(request: Request, answer: Response) -> Response:
    """Pack an answer's body in place, where that pays and the browser takes it; not of streams and files."""
    if isinstance(answer, StreamingResponse | FileResponse) or len(answer.body) < LEAST_BYTES:
        return answer
    if "content-encoding" in answer.headers:
        return answer
    answer.headers.add_vary_header("accept-encoding")
    how = coding(request)
    if not how:
        return answer
    body = bytes(answer.body)
    if len(body) < _IN_PLACE_BYTES:
        answer.body = packed(body, how)
    else:
        answer.body = await run_in_threadpool(packed, body, how)
    answer.headers["content-encoding"] = how
    answer.headers["content-length"] = str(len(answer.body))
    return answer
