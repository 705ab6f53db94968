"""A configuration changed under a running server: taken when it is right, left when it is wrong (FAULTS C11)."""

import asyncio
import json
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from tests.faults.rawclient import RawClient, chat_bytes
from tests.faults.recipes import openai_events, streamed
from tests.faults.upstream import FaultUpstream
from tests.patience import within
from tests.server.test_process import config_for
from tests.server_process import ServerProcess, greenroom

pytestmark = pytest.mark.slow  # each starts processes of its own

FIRST = '[apps.aaa]\nmodel = "greenroom/reader"\n'
SECOND = '[apps.bbb]\nmodel = "greenroom/reader"\n'


def knows(server: ServerProcess, app: str) -> bool:
    status, body = server.ask(model=app)
    assert status == 200 or body["error"]["code"] == "model_not_found"
    return status == 200


def is_refused(server: ServerProcess, times: int) -> bool:
    return server.log().count("configuration not taken") == times


def test_a_changed_file_is_taken_without_a_signal(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", FIRST) as server:
        assert knows(server, "aaa")
        assert not knows(server, "bbb")
        server.config_path.write_text(SECOND + "# changed\n", encoding="utf-8")

        assert within(2.0, lambda: knows(server, "bbb"))
        assert not knows(server, "aaa")
        assert "configuration taken" in server.log()


def test_c2_a_hangup_signal_reads_the_file_even_when_it_looks_unchanged(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", FIRST) as server:
        before = server.config_path.stat()
        server.config_path.write_text(SECOND, encoding="utf-8")
        os.utime(server.config_path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert not within(1.2, lambda: knows(server, "bbb"))
        server.process.send_signal(signal.SIGHUP)

        assert within(2.0, lambda: knows(server, "bbb"))
        assert server.process.poll() is None


WRONG = {
    "unknown key": (FIRST.replace("model", "modle").encode(), "modle"),
    "unknown model": (FIRST.replace("greenroom/reader", "nobody/knows").encode(), "apps.aaa.model"),
    "half written": (b"[apps.aaa]\nmodel = ", ""),
    "not UTF-8": (b"[apps.aaa]\nmodel = '\xff'", ""),
    "wrong type": (b"[server]\nport = 'x'\n", "server.port"),
    "gone": (None, ""),
}


def test_a_wrong_file_leaves_the_old_one_and_says_file_and_key(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data", FIRST) as server:
        for number, (content, named) in enumerate(WRONG.values(), 1):
            if content is None:
                server.config_path.unlink()
            else:
                server.config_path.write_bytes(content)

            assert within(2.0, partial(is_refused, server, number)), named
            last = json.loads(server.log().splitlines()[-1])
            assert last["level"] == "error"
            assert "greenroom.toml" in last["reason"]
            assert named in last["reason"]
            assert knows(server, "aaa")

            right = f"[apps.right{number}]\nmodel = 'greenroom/reader'\n"
            server.config_path.write_text(FIRST + right, encoding="utf-8")
            assert within(2.0, partial(knows, server, f"right{number}"))
        assert server.stop() == 0


async def test_a_stream_keeps_the_app_it_began_with(tmp_path: Path) -> None:
    async with FaultUpstream() as upstream:
        words = [f"word{number} " for number in range(30)]
        upstream.script("scripted", streamed(openai_events(words), pace_s=0.06))
        config = config_for(upstream, "[apps.aaa]", 'model = "main"')
        with ServerProcess(tmp_path / "data", config, environment={"UP_SECRET": "sk-x"}) as server:
            async with RawClient(server.port) as client:
                await client.send(chat_bytes("aaa", stream=True, key=server.local_key))
                await upstream.log.wait("sent", count=3)
                server.config_path.write_text(SECOND, encoding="utf-8")
                assert await asyncio.to_thread(within, 1.5, lambda: knows(server, "bbb"))
                assert not upstream.log.of("finished")
                answer = await client.answer()

    assert answer.whole
    assert answer.events()[-1] == b"[DONE]"


def test_policies_are_taken_from_a_changed_file_and_the_reload_is_audited(tmp_path: Path) -> None:
    refuse = '[policies.strict]\naction = "block"\ncategory = "personal_data"\n'

    def is_refused(server: ServerProcess) -> bool:
        _, body = server.ask("CPF 390.533.447-05")
        return bool(body["choices"][0]["finish_reason"] == "content_filter")

    with ServerProcess(tmp_path / "data", FIRST) as server:
        assert not is_refused(server)
        server.config_path.write_text(FIRST + refuse, encoding="utf-8")
        assert within(2.0, lambda: is_refused(server))
        server.config_path.write_text(
            FIRST + refuse.replace("personal_data", "personal_dat"), encoding="utf-8"
        )

        assert within(2.0, lambda: "did you mean 'personal_data'" in server.log())
        assert is_refused(server)
        server.config_path.write_text(FIRST, encoding="utf-8")
        assert within(2.0, lambda: not is_refused(server))
    listed = greenroom(tmp_path / "data", "audit", "list", "--kind", "change", "--json")
    assert [one["what"] for one in json.loads(listed.stdout)][:3] == [
        "config.reload", "config.refused", "config.reload",
    ]  # fmt: skip
