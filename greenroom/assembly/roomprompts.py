"""`room.prompts`: the prompts of a `Greenroom` inside a Python program."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from greenroom.assembly.house import House
from greenroom.assembly.promptdesk import PromptDesk
from greenroom.prompts.version import PRODUCTION, Compiled, PromptVersion

Json = dict[str, Any]  # Any: JSON
T = TypeVar("T")
_WHO = "python"


class RoomPrompts:
    """Prompts in the data folder of a room.

    The room's answers see at once what is changed here; what another process changed, with the next call.
    """

    def __init__(self, opened: Callable[[], Awaitable[House]]) -> None:
        self._opened = opened

    async def list(self) -> Sequence[Json]:
        """Every prompt with its labels, by name."""
        return await self._do(PromptDesk.prompts)

    async def get(self, prompt: str) -> PromptVersion:
        """The version that `name`, `name@3` or `name@label` means. Raises: PromptNotFound."""
        return await self._do(lambda desk: desk.registry.find(prompt))

    async def compile(
        self, prompt: str, variables: Mapping[str, object] | None = None, *, model: str | None = None
    ) -> Compiled:
        """A version filled: `messages` to send, `fields` beside them, `parts` with their cost in tokens.

        Raises: PromptNotFound; PromptInvalid for a variable that is unknown, missing or of the wrong type.
        """
        return await self._do(lambda desk: desk.filled(prompt, variables or {}, model))

    async def add(self, version: PromptVersion, *, label: str | None = None, force: bool = False) -> Json:
        """Store a version as the next of its name; its number and what the lint found.

        Raises: PromptInvalid for errors of the lint, unless it is forced.
        """
        return await self._do(lambda desk: desk.add(version, force=force, by=_WHO, label=label))

    async def promote(self, prompt: str, number: int, label: str = PRODUCTION, *, note: str = "") -> Json:
        """Let a label stand for a version. Raises: PromptNotFound, PromptInvalid."""
        return await self._do(lambda desk: desk.promote(prompt, number, label, by=_WHO, note=note))

    async def rollback(self, prompt: str, label: str = PRODUCTION, *, note: str = "") -> Json:
        """Let a label stand for what it stood for before. Raises: PromptNotFound, Conflict."""
        return await self._do(lambda desk: desk.rollback(prompt, label, by=_WHO, note=note))

    async def _do(self, deed: Callable[[PromptDesk], T]) -> T:
        house = await self._opened()
        found = await asyncio.to_thread(deed, PromptDesk(house))
        house.refresh_prompts()
        return found
