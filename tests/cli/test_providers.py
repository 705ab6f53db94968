"""`greenroom providers`: keys sealed from the command line, and taken by a server that runs."""

import asyncio
import io
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.faults.upstream import FaultUpstream
from tests.patience import within
from tests.server_process import ServerProcess, greenroom

KEY = "sk-canary-5Qn2vT8xWzLp"
FILE = '[providers.near]\nkind = "openai_compatible"\nbase_url = "http://127.0.0.1:9/v1"\n'


def test_a_key_is_sealed_listed_without_itself_and_removed(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "greenroom.toml").write_text(FILE, encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.StringIO(KEY + "\n"))
    assert run("providers", "set-key", "near").code == 0

    listed = run("providers", "list")
    assert "near\topenai_compatible\tyes\tsealed since" in listed.out
    assert KEY not in listed.out + run("audit", "list").out
    assert "provider.set_key" in run("audit", "list").out

    assert run("providers", "remove-key", "near").code == 0
    assert run("providers", "list", "--json").json == [
        {"name": "near", "kind": "openai_compatible", "configured": True, "key": None}
    ]
    assert run("providers", "remove-key", "near").code == 1


def test_an_unknown_provider_and_an_empty_key_are_told(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))

    assert "There is no provider 'opanai'" in run("providers", "set-key", "opanai").err
    assert run("providers", "set-key", "openai").code == 64


def test_a_copy_of_the_stores_holds_no_master_key(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(KEY + "\n"))
    run("providers", "set-key", "openai")

    assert run("db", "backup", "copy").code == 0
    assert (folder / "data" / "master.key").exists()
    assert (folder / "copy" / "sealed.db").exists()
    assert not (folder / "copy" / "master.key").exists()


@pytest.mark.slow
async def test_a_running_server_calls_with_the_newest_key(tmp_path: Path) -> None:
    async with FaultUpstream() as upstream:
        unkeyed, later, log = await _taken(upstream, tmp_path)

    assert unkeyed is None
    assert later
    assert KEY not in log


async def _taken(upstream: FaultUpstream, tmp_path: Path) -> tuple[str | None, bool, str]:
    """What is sent without a key, whether a key that is set then is sent soon, and the server's log."""
    config = f'[providers.p]\nkind = "openai_compatible"\nbase_url = "{upstream.base_url}"\n'

    def sent() -> str | None:
        server.ask(model="p/m")
        return dict(upstream.asked("m")[-1].headers).get("Authorization")

    with ServerProcess(tmp_path / "data", config) as server:
        unkeyed = await asyncio.to_thread(sent)
        done = await asyncio.to_thread(
            greenroom, tmp_path / "data", "--config", str(server.config_path), "providers", "set-key", "p",
            entered=KEY,
        )  # fmt: skip

        assert done.returncode == 0
        later = await asyncio.to_thread(within, 2.0, lambda: sent() == f"Bearer {KEY}")
        return unkeyed, later, server.log()
