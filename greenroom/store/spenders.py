"""Which users cost most, from the ledger: sums by account first, as those are far fewer than days."""

from datetime import date
from typing import Any

from greenroom.store.ledger import LedgerStore
from greenroom.store.material import dollars

MOST = 500
_EPOCH = date(1970, 1, 1).toordinal()
_DEAREST = """
SELECT a.project, a.user, sum(s.requests), sum(s.cost_nano), sum(s.tokens) FROM (
    SELECT account, sum(requests) AS requests, sum(cost_nano) AS cost_nano, sum(input) + sum(output) AS tokens
    FROM days WHERE day >= :since GROUP BY account
) s JOIN accounts a ON a.number = s.account
WHERE a.user <> '' AND (:project IS NULL OR a.project = :project)
GROUP BY a.project, a.user ORDER BY sum(s.cost_nano) DESC, sum(s.requests) DESC LIMIT :most"""


def spenders(books: LedgerStore, project: str | None, since: date, most: int = MOST) -> list[dict[str, Any]]:
    """Users with `project`, `user`, `requests`, `cost_usd` and `tokens`, the dearest first.

    Cost: 20 ms where 3,000 accounts have 50,000 days. Raises: StoreError.
    """
    values = {"since": since.toordinal() - _EPOCH, "project": project, "most": most}
    rows: list[Any] = books.query(_DEAREST, values)  # Any: columns, as SQLite gives them
    return [
        {
            "project": project,
            "user": user,
            "requests": requests,
            "cost_usd": dollars(nano),
            "tokens": tokens,
        }
        for project, user, requests, nano, tokens in rows
    ]
