"""Prices and budgets of the configuration as the price book and the ledger want them."""

from collections.abc import Mapping
from contextlib import ExitStack
from decimal import Decimal
from typing import TYPE_CHECKING

from greenroom.config import BudgetConfig, Config, PriceConfig
from greenroom.errors import ConfigError
from greenroom.gateway.day_counts import DayCounts
from greenroom.gateway.ledger import Ledger
from greenroom.gateway.meters import LocalMeters, Meters
from greenroom.gateway.purse import Policy, Rule
from greenroom.models.prices import Period, Price, Rates
from greenroom.store.ledger import LedgerStore

if TYPE_CHECKING:
    from greenroom.assembly.house import House

_NANO = 1_000_000_000
_PICO_A_TOKEN = 1_000_000
"""Pico-dollars a token for a dollar a million."""


def open_ledger(house: "House") -> Ledger:
    """The ledger of this process, not yet started, with the budgets configured. Raises: StoreError."""
    money = house.config.money
    books = house.books
    if books.is_new:
        projects = {row.id: row.project for row in house.keys.list()}
        spent = house.traces.spent()
        books.carry({(projects.get(key, "default"), key): amount for key, amount in spent.items()})
    store = LedgerStore(house.folder() / "ledger.db", durable=money.durability == "sync")
    ledger = Ledger(store, is_sync=money.durability == "sync")
    take_rules(ledger, house.config)
    return ledger


def open_meters(house: "House", ending: ExitStack, *, keeps_days: bool) -> Meters:
    """What keys use of their limits. Of several processes the parent keeps the days, else this one may."""
    if house.worker is not None:
        shared = house.worker.meters()
        ending.callback(shared.close)
        return shared
    meters = LocalMeters()
    if keeps_days:
        days = DayCounts(meters, house.folder())
        days.start()
        ending.callback(days.stop)
    return meters


def take_rules(ledger: Ledger, config: Config) -> None:
    """Give the ledger the budgets and the policy of a configuration."""
    money = config.money
    policy = Policy(money.unknown_price, money.reserve_tokens, money.on_error == "allow")
    ledger.set_rules(rules_of(config), policy)


def rules_of(config: Config) -> list[Rule]:
    """The budgets of a configuration."""
    return [_rule(name, one) for name, one in config.budgets.items()]


def check_money(config: Config, source: str) -> None:
    """Refuse budgets and prices that mean nothing. Raises: ConfigError naming the key."""
    for name, budget in config.budgets.items():
        if budget.tag is not None and not all(budget.tag.partition("=")):
            raise ConfigError(
                f"{source}: budgets.{name}.tag is '{budget.tag}'; write it like 'team=search' or 'team=*'."
            )
    for target in config.prices:
        provider, slash, model = target.partition("/")
        if not (provider and slash and model):
            raise ConfigError(
                f"{source}: prices.\"{target}\" must be named 'provider/model' or 'provider/*'."
            )


def prices_of(config: Config) -> Mapping[str, Price]:
    """The operator's own prices, by target."""
    return {target: _price(target, one) for target, one in config.prices.items()}


def _rule(name: str, one: BudgetConfig) -> Rule:
    limit = int(Decimal(str(one.usd)) * _NANO)
    return Rule(name, limit, one.period, one.project, one.key, one.user, one.tag)


def _price(target: str, one: PriceConfig) -> Price:
    def pico(usd: float | None, otherwise: int) -> int:
        return otherwise if usd is None else int(Decimal(str(usd)) * _PICO_A_TOKEN)

    usual, made = pico(one.input_per_mtok_usd, 0), pico(one.output_per_mtok_usd, 0)
    cached = pico(one.cached_per_mtok_usd, usual)
    written = pico(one.cache_write_per_mtok_usd, usual)
    audio = pico(one.input_audio_per_mtok_usd, usual)
    rates = Rates(
        input=usual,
        cached=cached,
        written=written,
        written_1h=pico(one.cache_write_1h_per_mtok_usd, written),
        output=made,
        reasoning=pico(one.reasoning_per_mtok_usd, made),
        input_audio=audio,
        cached_audio=cached if one.input_audio_per_mtok_usd is None else audio,
        output_audio=pico(one.output_audio_per_mtok_usd, made),
        request=int(Decimal(str(one.per_request_usd)) * _NANO * 1000),
    )
    return Price(target, [Period(rates)])
