"""The end of an embedded engine's process, at any moment of a request's life."""

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from greenroom.models.dispatch import Patience
from greenroom.models.engine import Engine, EngineSettings, is_installed
from greenroom.models.engine_process import EngineProcess
from greenroom.models.llama import Llama
from greenroom.models.pool import Pool
from tests.faults.rawclient import Answer, request_bytes
from tests.faults.room import KEY, Room
from tests.models import tiny_gguf
from tests.models.test_engine import kill_and_wait

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_installed(), reason="xllamacpp, the extra 'local', is not installed"),
]


class EngineRoom(Room):
    """A room whose one model is an embedded engine."""

    def __init__(self, folder: Path) -> None:
        model = tiny_gguf.write(folder / "tiny.gguf")
        self.engine = Engine(EngineSettings(model_path=model, model="m", threads=1), os.environ)

        def provider(name: str, _url: str, _key: str, pool: Pool, _headers: Mapping[str, str]) -> Llama:
            return Llama(name, self.engine, pool)

        super().__init__(
            [""], provider=provider, patience=Patience(retries=1), total_s=30.0, first_token_s=20.0
        )
        self._call = self._call._replace(first_byte_s=20.0, idle_s=20.0)

    async def say(self, tokens: int, *, stream: bool) -> Answer:
        body: dict[str, object] = {
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "max_tokens": tokens,
            "stream": stream,
        }
        async with self.client(timeout_s=30) as client:
            await client.send(request_bytes(body, key=KEY))
            return await client.answer()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_request_that_came_too_late_for_a_process_goes_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    is_over = vars(EngineProcess)["is_over"]
    async with EngineRoom(tmp_path) as room:
        await room.say(1, stream=stream)
        assert room.engine.pid is not None
        seen = iter([False])  # its port is closed, and it has not ended yet
        monkeypatch.setattr(
            EngineProcess, "is_over", property(lambda process: next(seen, is_over.fget(process)))
        )
        kill_and_wait(room.engine.pid)
        answer = await room.say(1, stream=stream)
        exchange = await room.kept.next(2)
        room.engine.stop()

    assert answer.status == 200
    assert [one.error for one in exchange.attempts] == [None]
    assert room.engine.starts == 2


@pytest.mark.parametrize("after_s", [0.0, 0.003, 0.01, 0.03])
async def test_whatever_was_asked_is_answered_or_said_to_be_cut(tmp_path: Path, after_s: float) -> None:
    async with EngineRoom(tmp_path) as room:
        await room.say(1, stream=False)
        asking = [asyncio.ensure_future(room.say(300, stream=stream)) for stream in (False, True)]
        await asyncio.sleep(after_s)
        assert room.engine.pid is not None
        os.kill(room.engine.pid, signal.SIGKILL)
        whole, streamed = await asyncio.gather(*asking)
        left = room.engine.at_work, dict(room.engine._inside)
        room.engine.stop()

    assert (whole.status, streamed.status) == (200, 200)
    assert streamed.events()[-1] == b"[DONE]" or b'"error"' in streamed.events()[-1]
    assert left == (0, {})
