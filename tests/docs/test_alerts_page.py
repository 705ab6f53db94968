"""The configurations, commands and program of docs/alerts.md and docs/keeping.md run as they stand."""

import re
import shlex
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from greenroom.config import Config
from greenroom.offline.alerts import messages
from greenroom.store.alerts import FILE, Alerts, Notice
from tests.cli.conftest import Run, folder, quiet, run

__all__ = ["folder", "quiet", "run"]

DOCS = Path(__file__).parent.parent.parent / "docs"
ALERTS, KEEPING = (DOCS.joinpath(f"{name}.md").read_text(encoding="utf-8") for name in ("alerts", "keeping"))
(PROGRAM,) = re.findall(r"^```python\n(.*?)^```", ALERTS, re.MULTILINE | re.DOTALL)
TABLES = re.findall(r"^```toml\n(.*?)^```", ALERTS + KEEPING, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("table", TABLES)
def test_every_configuration_of_the_pages_is_taken(table: str) -> None:
    assert msgspec.convert(tomllib.loads(table), Config) != Config()


def test_the_program_of_the_page_knows_what_is_ours() -> None:
    found: dict[str, Callable[..., bool]] = {}
    exec(compile(PROGRAM, "alerts.md", "exec"), found)  # our own page
    secret, body = b"0123456789abcdefghijklmnop", messages.webhook((), None, datetime.now(UTC))
    headers = messages.signed(body, "msg_1", 1_795_000_000, secret)

    assert found["is_ours"](headers, body, secret)
    assert not found["is_ours"](headers, body + b" ", secret)


def test_every_command_of_the_pages_runs(run: Run, folder: Path) -> None:
    (folder / "greenroom.toml").write_text(
        '[alerts.channels.chat]\nkind = "slack"\nurl = "https://127.0.0.1/"\n', encoding="utf-8"
    )
    run("keys", "create", "bot")
    alerts = Alerts(folder / "data" / FILE)
    for number in range(12):
        alerts.tell(Notice("failures", "threshold", "", f"app-{number}", "warning", "25 % failed."))
    alerts.close()
    commands = re.findall(r"^\$ greenroom (.+)$", ALERTS + KEEPING, re.MULTILINE)

    codes = {one: run(*shlex.split(one.replace("/backups", "backups"))).code for one in commands}

    assert {one.partition(" ")[0] for one in commands} == {"alerts", "trace", "db"}
    codes.pop("trace export --format parquet --to november.parquet")  # needs an extra
    assert {one: code for one, code in codes.items() if code} == {
        "alerts list": 1,  # twelve fire
        "alerts test chat": 1,  # a private address, which this channel may not call
    }
