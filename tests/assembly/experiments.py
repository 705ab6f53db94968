"""An app with an experiment before scripted models, in this process."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Protocol, TypeVar

from greenroom.assembly.house import House
from greenroom.errors import GreenroomError
from greenroom.exchange import Exchange

T = TypeVar("T")


class Upstream(Protocol):
    """A provider on a socket."""

    @property
    def base_url(self) -> str: ...


BASE = """
[providers.box]
kind = "openai_compatible"
base_url = "{base_url}"
[models.sound]
targets = ["box/sound"]
retries = 0
[models.other]
targets = ["box/other"]
retries = 0
[apps.support]
model = "sound"
[prices."box/*"]
input_per_mtok_usd = 1
output_per_mtok_usd = 1
"""
HALF = """
[experiments.cheaper]
app = "support"
metric = "helpful"
[experiments.cheaper.arms.other]
model = "other"
share = 0.5
"""


def house_of(folder: Path, text: str, upstream: Upstream | None = None) -> House:
    """A house of this configuration; nothing answers where there is no upstream."""
    base_url = "http://127.0.0.1:9/v1" if upstream is None else upstream.base_url
    path = folder / "greenroom.toml"
    path.write_text(BASE.replace("{base_url}", base_url) + text, encoding="utf-8")
    return House.open(path, folder / "data", {})


@asynccontextmanager
async def running(folder: Path, text: str, upstream: Upstream | None = None) -> AsyncIterator[House]:
    """The same, at work."""
    house = house_of(folder, text, upstream)
    async with house.running():
        yield house


async def ask(
    house: House, user: str | None = "ana", text: str = "Hello.", app: str = "support", **headers: str
) -> Exchange:
    """One question of a user; the exchange, however it ended."""
    named = {f"x-greenroom-{name}".encode(): value.encode() for name, value in headers.items()}
    body: dict[str, object] = {"model": app, "messages": [{"role": "user", "content": text}]}
    if user is not None:
        named[b"x-greenroom-user"] = user.encode()
    exchange, room, grant = house.begin(json.dumps(body).encode(), named)
    try:
        await house.gateway.whole(exchange, room, grant, perf_counter_ns())
    except GreenroomError:
        assert exchange.outcome in ("failed", "refused")
    return exchange


def arm_of(exchange: Exchange) -> str | None:
    """The arm that an exchange was drawn for."""
    tag = exchange.tags.get("experiment")
    return None if tag is None else tag.partition("/")[2]


async def stored(house: House, exchange: Exchange) -> dict[str, Any]:  # Any: JSON
    """Its record, once it is stored."""
    return await until(lambda: house.traces.get(None, exchange.id))


async def until(look: Callable[[], T | None]) -> T:
    """What a look gives, once it gives something."""
    for _ in range(500):
        found = look()
        if found:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come in ten seconds")
