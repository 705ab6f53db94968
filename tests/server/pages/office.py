"""The pages of a real house, in this process: signed in with real keys, over ASGI."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, Self

from httpx2 import ASGITransport, AsyncClient, Response
from starlette.applications import Starlette

from greenroom.assembly.administration import PagesDesk
from greenroom.assembly.house import House
from greenroom.server.pages.doors import Room
from greenroom.server.pages.site import pages
from greenroom.store.keys import Limits
from tests.assembly.experiments import running
from tests.faults.upstream import FaultUpstream
from tests.server.pages.visitor import Seen

ORIGIN = "http://testserver"


class Office:
    """A browser without scripts at the pages of a house."""

    def __init__(self, house: House, rooms: Callable[[House], Sequence[Room]]) -> None:
        self.house = house
        self.app = Starlette(routes=pages(PagesDesk(house), more=rooms(house)))
        self.client = self._client()
        self.key_id = ""

    def _client(self) -> AsyncClient:
        return AsyncClient(transport=ASGITransport(self.app), base_url=ORIGIN)

    async def sign_in(
        self,
        role: Literal["admin", "operator", "viewer"],
        project: str = "default",
        limits: Limits | None = None,
    ) -> Self:
        """Sign in anew, with a fresh key of this role."""
        row, secret = self.house.keys.create(project, role, role=role, limits=limits or Limits(), who="test")
        self.house.refresh_keys()
        self.key_id = row.id
        self.client = self._client()
        answer = await self.post("/login", {"key": secret}, at="/login")
        assert answer.status_code == 303, answer.text
        return self

    async def get(self, path: str) -> Response:
        return await self.client.get(path)

    async def json(self, path: str) -> Any:
        return (await self.get(path)).json()

    async def see(self, path: str) -> Seen:
        return Seen((await self.get(path)).text)

    async def token(self, path: str) -> str:
        return (await self.see(path)).all("input", name="csrf")[0]["value"]

    async def post(self, path: str, fields: dict[str, str], at: str = "/", origin: str = ORIGIN) -> Response:
        sent = {"csrf": await self.token(at), **fields}
        return await self.client.post(path, data=sent, headers={"origin": origin})

    def changes(self) -> list[tuple[str, str]]:
        """Who did what, newest first."""
        return [(one.who, one.what) for one in self.house.keys.audit_log(50)]


@asynccontextmanager
async def office(
    folder: Path, text: str, rooms: Callable[[House], Sequence[Room]], upstream: FaultUpstream | None = None
) -> AsyncIterator[Office]:
    """One over a house at work, signed in as admin."""
    async with running(folder, text, upstream) as house:
        yield await Office(house, rooms).sign_in("admin")
