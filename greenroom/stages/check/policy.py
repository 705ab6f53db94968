"""Policies: what is done about a finding, by who asks, where it stands and what it is.

Compiled once from `[policies.NAME]`; the first that fits decides. Knows findings and exchanges; no detector.
Without policies nobody asks, and without findings neither.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from greenroom.contracts import Decision, Finding
from greenroom.errors import ConfigError
from greenroom.exchange import Action, Exchange, Where
from greenroom.stages.check.linear import PatternError, whole_matcher

Names = str | tuple[str, ...]
DIRECTIONS = ("input", "output")
ORIGINS: Mapping[str, Where] = {"user": "input", "passage": "passage", "tool": "tool", "answer": "output"}
"""Where text comes from: "user" is all that the caller wrote, "passage" what grounding put in."""
_KNOWN_LIMIT = 4096
"""Selections that are remembered; they are few, but clients choose the names in them."""


class PolicyConfig(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[policies.NAME]: what is done about findings; the first policy of the file that fits decides."""

    action: Action
    """block refuses, redact removes, mask puts a stand-in that comes back in the answer, warn tells the
    caller, log only records, route sends the request to `route_to`."""
    app: Names = ()
    """Apps it holds for; one name or several, `*` at the end for any rest. Empty means all, as below."""
    project: Names = ()
    """Projects."""
    key: Names = ()
    """Keys, by id or name."""
    direction: Names = ()
    """input, output."""
    origin: Names = ()
    """user (all that the caller wrote), passage, tool, answer."""
    step: Names = ()
    """Steps that found it, such as pii, or guard for answers."""
    category: Names = ()
    """Categories of findings, such as personal_data."""
    rule: Names = ()
    """Rules, such as br.cpf or secret.*."""
    min_severity: Annotated[int, Meta(ge=0, le=10)] = 0
    max_severity: Annotated[int, Meta(ge=0, le=10)] = 10
    allow: tuple[str, ...] = ()
    """Patterns (re2, case ignored); a value that one of them matches as a whole is only recorded."""
    shadow: bool = False
    """Record what it would do, do nothing, and let the next policy decide."""
    route_to: str | None = None
    """For route: a configured model or `provider/model`, for instance one that runs on this machine."""


class _Policy(NamedTuple):
    name: str
    action: Action
    who: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    wheres: frozenset[Where]
    what: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    severities: range
    is_allowed: Callable[[str], object] | None
    is_shadow: bool
    route_to: str | None


class Policies:
    """`Decide` by policies. Raises: ConfigError for one that can never be meant."""

    def __init__(self, tables: Mapping[str, PolicyConfig], *, routes: bool = True) -> None:
        self._tables = tables
        self._policies = tuple(_compiled(name, table) for name, table in tables.items())
        self._known: dict[tuple[object, ...], tuple[_Policy, ...]] = {}
        self._routes = routes

    def __call__(
        self, exchange: Exchange, step: str, finding: Finding, where: Where, usual: Action, value: str = ""
    ) -> Decision:
        """The decision, and the model to go to noted in `exchange.route`. Cost: 2 to 3 µs."""
        shadow, would = "", None
        for policy in self._fitting(exchange, step, finding, where):
            is_allowed = policy.is_allowed is not None and policy.is_allowed(value)
            action: Action = "log" if is_allowed else policy.action
            if policy.is_shadow:
                if would is None:
                    shadow, would = policy.name, action
                continue
            if action == "route" and exchange.route is None and self._routes:
                exchange.route = policy.route_to
            return Decision(action, policy.name, shadow, would)
        return Decision(usual, "", shadow, would)

    def only_looking(self) -> "Policies":
        """The same decisions, for a step that records them and does nothing: no exchange is routed."""
        return Policies(self._tables, routes=False)

    def _fitting(self, exchange: Exchange, step: str, finding: Finding, where: Where) -> tuple[_Policy, ...]:
        caller = exchange.caller
        facts = (
            exchange.app, caller.project, caller.key_id, caller.name, where, step, finding.category,
            finding.rule, finding.severity,
        )  # fmt: skip
        found = self._known.get(facts)
        if found is None:
            found = tuple(one for one in self._policies if _fits(one, exchange, step, finding, where))
            if len(self._known) < _KNOWN_LIMIT:
                self._known[facts] = found
        return found


def _fits(policy: _Policy, exchange: Exchange, step: str, finding: Finding, where: Where) -> bool:
    caller = exchange.caller
    apps, projects, keys = policy.who
    steps, categories, rules = policy.what
    return (
        where in policy.wheres
        and finding.severity in policy.severities
        and _named(exchange.app, apps)
        and _named(caller.project, projects)
        and (_named(caller.key_id, keys) or _named(caller.name, keys))
        and _named(step, steps)
        and _named(finding.category, categories)
        and _named(finding.rule, rules)
    )


def _named(name: str, wanted: tuple[str, ...]) -> bool:
    return not wanted or any(
        name.startswith(one[:-1]) if one.endswith("*") else name == one for one in wanted
    )


def _compiled(name: str, table: PolicyConfig) -> _Policy:
    if table.action == "route" and table.route_to is None:
        raise ConfigError(f"Policy '{name}': action 'route' needs 'route_to', the model to send it to.")
    if table.action != "route" and table.route_to is not None:
        raise ConfigError(f"Policy '{name}': 'route_to' goes with action 'route' only.")
    if table.min_severity > table.max_severity:
        raise ConfigError(f"Policy '{name}': 'min_severity' is above 'max_severity'.")
    wheres = _wheres(table)
    if table.action == "route":
        wheres -= {"output"}  # the model has answered by then
    if not wheres:
        raise ConfigError(
            f"Policy '{name}' can never fit: nothing has this direction and this origin at once"
            + (", and an answer can't be routed." if table.action == "route" else ".")
        )
    is_allowed = None
    if table.allow:
        try:
            is_allowed = whole_matcher(f"(?i)(?:{'|'.join(table.allow)})")
        except PatternError as error:
            raise ConfigError(f"Policy '{name}', key 'allow': {error}.") from error
    return _Policy(
        name, table.action, (many(table.app), many(table.project), many(table.key)), wheres,
        (many(table.step), many(table.category), many(table.rule)),
        range(table.min_severity, table.max_severity + 1), is_allowed, table.shadow, table.route_to,
    )  # fmt: skip


def _wheres(table: PolicyConfig) -> frozenset[Where]:
    origins = many(table.origin) or tuple(ORIGINS)
    directions = many(table.direction) or DIRECTIONS
    found = [ORIGINS[one] for one in origins if one in ORIGINS]
    return frozenset(one for one in found if ("output" if one == "output" else "input") in directions)


def many(names: Names) -> tuple[str, ...]:
    """One name or several, as several."""
    return (names,) if isinstance(names, str) else names
