"""A server before a scripted provider, as the `openai` client's responses meet it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import openai
import pytest
import pytest_asyncio

from tests.faults.recipes import Recipe, openai_events, openai_reply, streamed, whole
from tests.faults.upstream import FaultUpstream
from tests.server_process import ADMIN, ServerProcess

CPF = "390.533.447-05"
QUESTION = f"Meu CPF é {CPF}. Qual é o prazo?"


class Stage:
    """A server, clients of it, and the provider behind."""

    def __init__(self, server: ServerProcess, upstream: FaultUpstream) -> None:
        self.server = server
        self.upstream = upstream
        self.client = openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.local_key, max_retries=0)
        self.admin = openai.AsyncOpenAI(base_url=f"{server.url}/api", api_key=ADMIN)

    async def key(self, **limits: Any) -> openai.AsyncOpenAI:
        """A client with a key of its own."""
        made: Any = await self.admin.post("/keys", body={"name": "k", **limits}, cast_to=dict[str, Any])
        client = self.client.with_options(api_key=made["key"])
        async with asyncio.timeout(20):
            while True:
                try:
                    await client.models.list()
                except openai.AuthenticationError:
                    await asyncio.sleep(0.05)
                else:
                    return client

    def stored(self, words: str) -> bool:
        """Whether a text lies in any table of the file of responses."""
        with closing(sqlite3.connect(self.server.data / "responses.db")) as db:
            found = [
                row
                for table in ("responses", "items", "conversations")
                for row in db.execute(f"SELECT * FROM {table}")
            ]
        return any(
            words in (one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one))
            for row in found
            for one in row
        )

    async def trace(self, id: str) -> Any:  # Any: JSON
        """The stored record, once it is there."""
        async with asyncio.timeout(20):
            while True:
                try:
                    return await self.admin.get(f"/traces/{id}", cast_to=dict[str, Any])
                except openai.NotFoundError:
                    await asyncio.sleep(0.02)

    def sent(self) -> Any:
        """The newest body that the provider got."""
        return self.upstream.requests[-1].json()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with FaultUpstream() as upstream:
        config = (
            f'[providers.up]\nkind = "openai_compatible"\nbase_url = "{upstream.base_url}"\n'
            '[models.main]\ntargets = ["up/scripted"]\n[apps.talk]\nground = ["history"]\n'
        )
        with ServerProcess(tmp_path_factory.mktemp("responses") / "data", config) as server:
            made = Stage(server, upstream)
            yield made
            await made.client.close()
            await made.admin.close()


def words(items: Any) -> list[str]:  # Any: items of any kind; those asked about are messages
    """The first text of each item."""
    return [item.content[0].text for item in items]


def says(text: str, *, stream: bool = False, **usage: Any) -> Recipe:
    return streamed(openai_events([*text])) if stream else whole(openai_reply(text))
