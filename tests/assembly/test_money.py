"""Prices and budgets of the configuration, and what they do to requests."""

from pathlib import Path

import pytest

from greenroom.assembly.house import House
from greenroom.errors import ConfigError
from greenroom.store.lines import Scope
from greenroom.usage import Usage

USAGE = Usage(input_tokens=1_000, cached_tokens=400, output_tokens=10, reasoning_tokens=4)


def house_of(folder: Path, text: str, **environment: str) -> House:
    path = folder / "greenroom.toml"
    path.write_text(text, encoding="utf-8")
    return House.open(path, folder / "data", environment)


async def test_own_prices_go_before_the_book_and_a_star_stands_for_the_rest(tmp_path: Path) -> None:
    house = house_of(
        tmp_path,
        """
        [providers.box]
        kind = "openai_compatible"
        base_url = "http://127.0.0.1:9/v1"
        [prices."box/*"]
        input_per_mtok_usd = 0
        per_request_usd = 0.000001
        [prices."box/big"]
        input_per_mtok_usd = 0.3
        cached_per_mtok_usd = 0.03
        output_per_mtok_usd = 1.1
        reasoning_per_mtok_usd = 2.2
        [prices."openai/gpt-5"]
        input_per_mtok_usd = 1
        """,
        OPENAI_API_KEY="sk-none",
    )
    async with house.running():
        costs = {}
        for name in ("box/big", "box/any", "openai/gpt-5", "openai/gpt-5-mini", "openai/none"):
            target = house.models.target(name)
            assert target is not None
            costs[name] = target.price.cost_nano(USAGE) if target.price is not None else None

    assert costs == {
        "box/big": 600 * 300 + 400 * 30 + 6 * 1_100 + 4 * 2_200,
        "box/any": 1_000,
        "openai/gpt-5": 1_000 * 1_000,
        "openai/gpt-5-mini": 600 * 250 + 400 * 25 + 10 * 2_000,
        "openai/none": None,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[prices."gpt-5"]\ninput_per_mtok_usd = 1', "provider/model"),
        ('[prices."openai/gpt-5"]\noutput_per_mtok_usd = 1', "input_per_mtok_usd"),
        ("[budgets.a]\nusd = -1", "budgets.a.usd"),
        ("[budgets.a]\nusd = 1\ntag = 'team'", "budgets.a.tag"),
        ("[budgets.a]\nusd = 1\nteam = 'x'", "unknown key 'team'"),
        ("[money]\nunknown_price = 'free'", "money.unknown_price"),
    ],
)
def test_what_means_nothing_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        house_of(tmp_path, text)


async def test_budgets_hold_for_what_they_name_and_survive_a_reload(tmp_path: Path) -> None:
    text = '[apps.default]\nmodel = "greenroom/reader"\n[prices."greenroom/reader"]\ninput_per_mtok_usd = 1000000\n'
    house = house_of(tmp_path, text + '[budgets.house]\nusd = 0.000001\nperiod = "month"\nproject = "*"\n')
    async with house.running():
        first = await house.ask("How do I add a provider?")
        second = await house.ask("How do I add a provider?")
        (tmp_path / "greenroom.toml").write_text(text, encoding="utf-8")
        await house.reload()
        third = await house.ask("How do I add a provider?")

    assert first["outcome"] == "answered"
    assert float(first["cost_usd"]) > 1
    assert (second["outcome"], second["status"]) == ("refused", 429)
    assert "budget 'house'" in second["error"]
    assert third["outcome"] == "answered"


async def test_what_keys_had_spent_before_there_was_a_ledger_is_carried_over(tmp_path: Path) -> None:
    text = '[apps.default]\nmodel = "greenroom/reader"\n[prices."greenroom/reader"]\ninput_per_mtok_usd = 1000000\n'
    house = house_of(tmp_path, text)
    async with house.running():
        record = await house.ask("How do I add a provider?")
    for path in (tmp_path / "data").glob("ledger.db*"):
        path.unlink()

    async with house_of(tmp_path, text).running() as again:
        assert again.books.totals().lines == round(float(record["cost_usd"]) * 1e9)
        assert not again.books.is_new
        window = (Scope("total", key="local"), 0)
        assert again.ledger._books.grant(window, 1, 1, 0) == 0  # all of a smaller budget is spent


async def test_with_sync_the_cost_is_in_the_file_when_the_answer_is_given(tmp_path: Path) -> None:
    text = (
        '[money]\ndurability = "sync"\n[apps.default]\nmodel = "greenroom/reader"\n'
        '[prices."greenroom/reader"]\ninput_per_mtok_usd = 1000000\n[budgets.all]\nusd = 1000000\n'
    )
    async with house_of(tmp_path, text).running() as house:
        record = await house.ask("How do I add a provider?")
        written = house.books.totals()

    assert written.lines == round(float(record["cost_usd"]) * 1e9) > 0
    assert written.held == 0
