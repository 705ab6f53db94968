"""Budgets, and what one request may take from them: reserved before a call, at what it can cost at most.

Knows the waist and what a budget's window is in the ledger's file; the ledger beside this keeps the balances.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, Protocol

from greenroom.errors import Overloaded, QuotaExceeded, RequestError
from greenroom.exchange import Attempt, Exchange
from greenroom.store.lines import Scope, Window
from greenroom.usage import Pricing

_DAY_S = 86_400
_THURSDAY = 3
"""1 January 1970, counted from Monday."""
_BYTES_A_TOKEN = 2
"""At least, in any language; a prompt is mostly twice that."""
_NANO = 1_000_000_000


class BudgetExceeded(QuotaExceeded):
    """A budget is used up, or all that is left of it is reserved; trying again at once does not help."""

    code = "insufficient_quota"
    type = "insufficient_quota"


class PriceUnknown(RequestError):
    """The model has no known price, and requests without one are refused."""

    code = "price_unknown"


class Policy(NamedTuple):
    """What is done where money can't be counted."""

    unknown_price: Literal["allow", "refuse_with_budget", "refuse"] = "refuse_with_budget"
    reserve_tokens: int = 32_768
    """Of an answer, where the request does not say how long it may be."""
    fails_open: bool = False
    """Whether requests go on while the ledger's file can't be read."""


USUAL = Policy()


class Rule(NamedTuple):
    """One budget of the configuration: whose requests it counts, and how much they may cost together.

    `*` for a project, user or tag's value is a budget of its own for each.
    """

    name: str
    limit_nano: int
    period: str = "total"
    project: str | None = None
    key: str | None = None
    user: str | None = None
    tag: str | None = None

    def scope(self, exchange: Exchange) -> Scope | None:
        """Where this exchange is counted; None when it is none of this budget's."""
        caller = exchange.caller
        project = key = user = tag = ""
        if self.project is not None:
            project = caller.project
            if self.project not in ("*", project):
                return None
        if self.key is not None:
            key = caller.key_id
            if self.key not in (key, caller.name):
                return None
        if self.user is not None:
            user = exchange.user or ""
            if not user or self.user not in ("*", user):
                return None
        if self.tag is not None:
            name, _, wanted = self.tag.partition("=")
            value = exchange.tags.get(name)
            if value is None or wanted not in ("*", value):
                return None
            tag = f"{name}={value}"
        return Scope(self.period, project, key, user, tag)


class Balance:
    """One window of a budget, as this process knows it; amounts in nano-dollars.

    `used` is reserved, or spent and not written yet; of `lease` it may be as much without asking.
    """

    __slots__ = (
        "is_busy", "largest", "lease", "limit", "name", "refused_until", "unwritten", "used", "window",
    )  # fmt: skip

    def __init__(self, window: Window, limit: int, name: str) -> None:
        self.window = window
        self.limit = limit
        self.name = name
        self.lease = 0
        self.used = 0
        self.unwritten = 0
        """Spent since the last batch."""
        self.largest = 0
        """The largest reservation so far: what the lease is kept above."""
        self.is_busy = False
        """Whether anything was reserved since somebody looked."""
        self.refused_until = 0.0
        """Monotonic seconds before which the file is not asked again, as there was nothing left."""

    def refusal(self) -> BudgetExceeded:
        """What is said when it is used up."""
        scope = self.window[0]
        often = "" if scope.period == "total" else f" a {scope.period}"
        ends = end_of(scope.period, self.window[1])
        renewed = "" if ends is None else f" It begins anew on {datetime.fromtimestamp(ends, UTC):%Y-%m-%d}."
        dollars = f"{self.limit / _NANO:.9f}".rstrip("0").rstrip(".")
        reserved = (
            " What is left of it is reserved for requests at work." if self.used > self.unwritten else ""
        )
        return BudgetExceeded(
            f"The {self.name}, {dollars} US dollars{often}, is used up.{reserved}{renewed}", 0.0
        )


class Keeper(Protocol):
    """Who keeps the balances: the ledger."""

    policy: Policy

    def take(self, purse: "Purse", amount: int) -> None: ...
    def free(self, purse: "Purse", amount: int) -> None: ...


class Purse:
    """What one exchange has reserved, in all budgets that count it."""

    __slots__ = ("_attempts", "_keeper", "amount", "balances", "exchange", "is_closed", "is_written")

    def __init__(self, keeper: Keeper, exchange: Exchange, balances: Sequence[Balance]) -> None:
        self.exchange = exchange
        self.balances = balances
        self.amount = 0
        """Reserved now."""
        self.is_written = False
        """Whether the reservation stands in the file; only the ledger's writer looks and sets."""
        self.is_closed = False
        self._keeper = keeper
        self._attempts: list[tuple[Attempt, int]] = []

    def reserve(self, attempt: Attempt, price: Pricing | None, input_tokens: int | None = None) -> None:
        """Reserve what a call can cost at most, before it is made.

        What was reserved for attempts that failed and need not be paid for is used again.
        Raises: BudgetExceeded, PriceUnknown, Overloaded.
        """
        try:
            self._reserve(attempt, price, input_tokens)
        except (QuotaExceeded, PriceUnknown, Overloaded) as error:
            attempt.error = error.code
            raise

    def _reserve(self, attempt: Attempt, price: Pricing | None, input_tokens: int | None) -> None:
        keeper = self._keeper
        if price is None:
            if keeper.policy.unknown_price != "allow":
                raise PriceUnknown(
                    f"The price of '{attempt.target}' is not known, so requests to it are refused. "
                    f'Set it in the configuration under [prices."{attempt.target}"].',
                    "model",
                )
            return
        if not self.balances:
            return
        if input_tokens is None:
            amount = worst_cost(self.exchange, price, keeper.policy.reserve_tokens)
        else:
            amount = price.worst_nano(input_tokens, 0)
        attempts = self._attempts
        if not attempts:
            keeper.take(self, amount)
            attempts.append((attempt, amount))
            return
        failed = [one for one in attempts if one[0].error is not None and one[0].usage is None]
        spare = sum([reserved for _, reserved in failed])
        if amount > spare:
            keeper.take(self, amount - spare)
        elif amount < spare:
            keeper.free(self, spare - amount)
        self._attempts = [one for one in attempts if one not in failed]
        self._attempts.append((attempt, amount))


def worst_cost(exchange: Exchange, price: Pricing, reserve_tokens: int) -> int:
    """What one call can cost at most, in nano-dollars.

    A token for every two bytes of the prompt; for the answer what the request allows, else `reserve_tokens`;
    neither more than the model's window. Every token at the dearest rate.
    """
    request = exchange.request
    raw = request.raw
    asked = len(raw) // _BYTES_A_TOKEN + 1
    if request.added:
        asked += sum(len(str(message.get("content"))) for _, message in request.added) // _BYTES_A_TOKEN
    if request.filled:
        asked += sum(len(str(message.get("content"))) for message in request.filled) // _BYTES_A_TOKEN
    answered = request.max_tokens
    if answered is None:
        answered = reserve_tokens
    window = price.context_window
    if window is not None:
        asked, answered = min(asked, window), min(answered, window)
    if request.n > 1:
        answered *= request.n
    return price.worst_nano(asked, answered, any_tier=b'"service_tier"' in raw)


def start_of(period: str, at_s: float) -> int:
    """When the window began in which a moment lies: Unix seconds, at midnight in UTC; 0 for `total`."""
    day = int(at_s // _DAY_S)
    if period == "day":
        return day * _DAY_S
    if period == "week":
        return (day - (day + _THURSDAY) % 7) * _DAY_S
    if period == "month":
        return day * _DAY_S - (datetime.fromtimestamp(at_s, UTC).day - 1) * _DAY_S
    return 0


def end_of(period: str, since: int) -> int | None:
    """When a window ends; None for `total`."""
    if period == "total":
        return None
    if period == "month":
        inside = datetime.fromtimestamp(since, UTC) + timedelta(days=31)
        return int(inside.replace(day=1).timestamp())
    return since + (_DAY_S if period == "day" else 7 * _DAY_S)


class Calendar:
    """The windows that are open now; none begins before one that was seen, even when the clock goes back."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[int, float]] = {"total": (0, float("inf"))}

    def since(self, period: str, at_s: float) -> int:
        """When the window began that is open at this moment."""
        since, until = self._open.get(period, (0, 0.0))
        if at_s < until:
            return since
        since = start_of(period, at_s)
        ends = end_of(period, since)
        assert ends is not None
        self._open[period] = since, ends
        return since
