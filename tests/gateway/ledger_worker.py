"""One process that spends: a ledger of its own over a shared file, driven by lines of JSON on stdin."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from greenroom.exchange import Attempt, Caller, ChatRequest, Exchange
from greenroom.gateway.keys import Key
from greenroom.gateway.ledger import Ledger
from greenroom.gateway.purse import BudgetExceeded
from greenroom.store.ledger import LedgerStore
from greenroom.usage import Usage

CALLER = Caller(key_id="key_1", project="p")


class Flat:
    """A price at which every call costs at most so much."""

    context_window = None

    def __init__(self, most: int) -> None:
        self.most = most

    def cost_nano(self, usage: Usage, at_s: float | None = None) -> int:
        """What every call costs."""
        return self.most

    def worst_nano(self, input_tokens: int, output_tokens: int, *, any_tier: bool = False) -> int:
        """The same."""
        return self.most


def exchange_of(id: str, user: str | None = None) -> Exchange:
    """A request that has come."""
    return Exchange(id, CALLER, ChatRequest(b"{}", "m"), "default", user=user)


def reserve(ledger: Ledger, key: Key, exchange: Exchange, amount: int) -> bool:
    """Take a request's money; False when there is none."""
    try:
        exchange.purse = ledger.purse(key, exchange)
        assert exchange.purse is not None
        attempt = Attempt(target="p/m")
        exchange.attempts.append(attempt)
        exchange.purse.reserve(attempt, Flat(amount))
    except BudgetExceeded:
        ledger.close(exchange)
        return False
    return True


def close(ledger: Ledger, exchange: Exchange, cost: int | None) -> None:
    """End a request that cost so much; None for one that failed and is not paid for."""
    if cost is not None:
        exchange.target, exchange.cost_nano_usd = "p/m", cost
        exchange.usage = Usage(input_tokens=10, output_tokens=5)
        exchange.attempts[-1].status = 200
    ledger.close(exchange)


class Worker:
    """What the lines mean."""

    def __init__(self) -> None:
        self.ledger: Ledger
        self.key: Key
        self.open: dict[str, Exchange] = {}

    def do(self, what: str, **told: Any) -> object:  # Any: JSON
        """Obey one line; the answer to it."""
        match what:
            case "start":
                self.key = Key(caller=CALLER, budget_nano_usd=told["limit"])
                self.ledger = Ledger(LedgerStore(Path(told["path"])), is_sync=told.get("sync", False))
                self.open = {}
                return self.ledger.start()
            case "reserve":
                exchange = exchange_of(told["id"])
                if not reserve(self.ledger, self.key, exchange, told["amount"]):
                    return False
                self.open[exchange.id] = exchange
                return True
            case "close":
                close(self.ledger, self.open.pop(told["id"]), told["cost"])
            case "flush":
                self.flush()
            case "stop":
                self.ledger.stop()
        return None

    def flush(self) -> None:
        """Wait until everything is in the file."""
        deadline = time.monotonic() + 10
        while self.ledger.has_work:
            assert time.monotonic() < deadline, self.ledger.last_error
            time.sleep(0.002)


if __name__ == "__main__":
    worker = Worker()
    for line in sys.stdin:
        print(json.dumps(worker.do(**json.loads(line))), flush=True)
