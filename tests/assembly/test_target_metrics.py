"""What `/metrics` says of targets: names from the configuration or of those that answered, never a client's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from greenroom.assembly.house import House
from greenroom.assembly.serving import model_metrics
from greenroom.exchange import Attempt
from greenroom.models.health import MOST_TARGETS, Healths
from tests.store.exchanges import make_exchange

CONFIG = """
[providers.there]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
[models.good]
targets = ["there/configured"]
"""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    (tmp_path / "greenroom.toml").write_text(CONFIG, encoding="utf-8")
    async with House.open(tmp_path / "greenroom.toml", tmp_path / "data", {}).running() as found:
        yield found


def called(house: House, target: str, error: str | None) -> None:
    exchange = make_exchange("a")
    exchange.target = target
    exchange.attempts[:] = [Attempt(target=target, status=None if error else 200, error=error, ns=1)]
    house.gateway.figures.took(exchange)


async def test_no_client_writes_a_name_into_the_metrics(house: House) -> None:
    for name in ("sk-secret-of-somebody", "ana@example.com", "configured"):
        assert house.models.target(f"there/{name}") is not None
        called(house, f"there/{name}", "upstream_error")
    called(house, "there/real", None)
    assert house.models.target("there/real") is not None

    lines = model_metrics(house)

    text = "\n".join(lines)
    assert "sk-secret" not in text
    assert "ana@" not in text
    assert 'greenroom_model_calls_total{target="others",result="upstream_error"} 2' in lines
    assert 'greenroom_model_calls_total{target="there/configured",result="upstream_error"} 1' in lines
    assert 'greenroom_model_calls_total{target="there/real",result="answered"} 1' in lines
    assert 'greenroom_model_at_work{target="there/real"} 0' in lines


def test_names_that_clients_choose_fill_no_memory() -> None:
    healths = Healths()
    busy = healths.of("there/busy")
    busy.begin(0.0)
    kept = healths.of("there/asked-often")
    for number in range(3 * MOST_TARGETS):
        healths.of(f"there/{number}")
        assert healths.of("there/asked-often") is kept

    assert len(healths.all()) == MOST_TARGETS
    assert healths.of("there/busy") is busy
