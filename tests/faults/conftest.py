from collections.abc import AsyncIterator

import pytest_asyncio

from tests.faults.upstream import FaultUpstream


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[FaultUpstream]:
    """A scripted provider on a free port."""
    async with FaultUpstream() as server:
        yield server
