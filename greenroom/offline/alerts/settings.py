"""`[alerts]`: what is watched, and who is told."""

from typing import Annotated, Literal

from msgspec import NODEFAULT, Meta, Struct, field
from msgspec.structs import fields

from greenroom.store.alerts import Severity

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")]
Text = Annotated[str, Meta(min_length=1, max_length=1_000)]
Seconds = Annotated[float, Meta(ge=0, le=31_536_000)]
Kind = Literal["threshold", "burn_rate", "absence", "anomaly"]
Metric = Literal[
    "requests", "answered", "failed", "refused", "cancelled", "cached", "failed_share", "refused_share",
    "cached_share", "cost_usd", "cost_per_request_usd", "input_tokens", "output_tokens", "total_p50_ms",
    "total_p95_ms", "total_p99_ms", "first_token_p95_ms", "overhead_p99_ms", "error",
]  # fmt: skip
By = Literal["app", "model", "project"]
ChannelKind = Literal["webhook", "slack", "email"]
Mail = Annotated[str, Meta(pattern=r"^[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,190}\Z")]
"""An address as mail servers take it, without a name."""


class _Table(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    pass


def _refuse_unused(table: _Table, kind: str, used: frozenset[str]) -> None:
    """Raises: ValueError that names a key which this kind has no use for."""
    for one in fields(type(table)):
        default = one.default if one.default_factory is NODEFAULT else one.default_factory()
        if one.name not in used and getattr(table, one.name) != default:
            known = ", ".join(sorted(used - {"kind"}))
            raise ValueError(f"the kind '{kind}' does not use '{one.name}', only {known}")


_WATCHED = frozenset({"kind", "app", "model", "project", "by", "severity", "for_s", "least"})
_USED: dict[Kind, frozenset[str]] = {
    "threshold": _WATCHED | {"metric", "error", "above", "below", "over_s"},
    "burn_rate": _WATCHED | {"objective", "bad"},
    "absence": _WATCHED | {"over_s"},
    "anomaly": _WATCHED | {"metric", "error", "over_s", "times", "least_change"},
}
"""Keys that each kind of rule uses."""


class RuleConfig(_Table, kw_only=True, frozen=True):
    """[alerts.rules.NAME]: a rule over what was counted. One alert for each app, model or project of `by`."""

    kind: Kind
    """A figure above or below a bound; an error budget that is spent too fast; requests that no longer come;
    a figure that is far from what it was at this time on the days before.
    """
    metric: Metric = "failed_share"
    """What is looked at, for threshold and anomaly. Shares are 0 to 1."""
    error: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    """For the metric error: which one is counted, as upstream_auth."""
    above: Annotated[float, Meta(ge=0)] | None = None
    """For threshold: it fires while the figure is above."""
    below: Annotated[float, Meta(ge=0)] | None = None
    """For threshold: it fires while the figure is below."""
    objective: Annotated[float, Meta(ge=0.5, le=0.99999)] = 0.99
    """For burn_rate: the share of requests that must go well, over 30 days."""
    bad: Literal["failed", "refused"] = "failed"
    """For burn_rate: which requests did not."""
    times: Annotated[float, Meta(gt=1, le=1_000)] = 2.0
    """For anomaly: how many times the usual figure is too much."""
    least_change: Annotated[float, Meta(ge=0)] = 0.0
    """For anomaly: how much more than usual it must be at least, in the metric's unit."""
    over_s: Annotated[float, Meta(ge=60, le=604_800)] = 600.0
    """The window that is looked at, in seconds; whole minutes."""
    for_s: Seconds = 0.0
    """So long it must hold before the alert opens, and be over before it ends."""
    least: Annotated[int, Meta(ge=1)] = 20
    """So many requests the window must hold before shares, times and anomalies are judged."""
    by: By | None = None
    """An alert for each of these; without it one for all."""
    app: Text | None = None
    """Only requests of this app, model or project."""
    model: Text | None = None
    project: Text | None = None
    severity: Severity = "warning"

    @property
    def said(self) -> dict[str, object]:
        """What this kind of rule uses and what is set of it, by key."""
        values = {name: getattr(self, name) for name in self.__struct_fields__ if name in _USED[self.kind]}
        return {name: value for name, value in values.items() if value is not None}

    def __post_init__(self) -> None:
        _refuse_unused(self, self.kind, _USED[self.kind])
        if self.kind == "threshold" and (self.above is None) == (self.below is None):
            raise ValueError("a threshold needs one of 'above' and 'below'")
        if self.kind in ("threshold", "anomaly") and (self.metric == "error") != (self.error is not None):
            raise ValueError("the metric 'error' and the key 'error', which names one, go together")


_SENT = frozenset({"kind", "least", "rules", "projects", "wait_s", "repeat_s"})
_POSTED = _SENT | {"url", "url_env", "url_file", "private"}
_CHANNEL: dict[ChannelKind, frozenset[str]] = {
    "webhook": _POSTED | {"secret_env", "secret_file"},
    "slack": _POSTED,
    "email": _SENT | {"host", "port", "tls", "user", "password_env", "password_file", "sender", "to"},
}
"""Keys that each kind of channel uses."""


class ChannelConfig(_Table, kw_only=True, frozen=True):
    """[alerts.channels.NAME]: where alerts are sent to."""

    kind: ChannelKind
    """A webhook of your own; one that takes Slack's form, as Slack, Mattermost and many others do; e-mail."""
    least: Severity = "warning"
    """What is less grave is not sent here."""
    rules: tuple[Text, ...] = ()
    """Only of these rules; "drift.*" is all that begin so. Without it all."""
    projects: tuple[Text, ...] = ()
    """Only of these projects, and what concerns all; without it all."""
    wait_s: Seconds = 30.0
    """Between two messages: what comes meanwhile goes into one."""
    repeat_s: Seconds = 14_400.0
    """An alert that nobody acknowledged is sent again after so long; 0 for never."""
    url: Text | None = None
    """The address. One that must stay secret, as Slack's, is better named by `url_env` or `url_file`."""
    url_env: Text | None = None
    """Name of the environment variable with the address."""
    url_file: Text | None = None
    """File with the address."""
    private: bool = False
    """The address may be one of this machine or of a private network, and begin with http://."""
    secret_env: Text | None = None
    """Name of the environment variable with the secret that signs webhooks: 24 bytes or more."""
    secret_file: Text | None = None
    """File with it."""
    host: Text | None = None
    """The mail server."""
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    """587 without it, 465 for tls = "implicit"."""
    tls: Literal["starttls", "implicit", "off"] = "starttls"
    """How the connection is encrypted. "off" is taken for a server on this machine alone."""
    user: Text | None = None
    password_env: Text | None = None
    """Name of the environment variable with the password."""
    password_file: Text | None = None
    """File with it."""
    sender: Mail | None = None
    to: tuple[Mail, ...] = ()

    def __post_init__(self) -> None:
        _refuse_unused(self, self.kind, _CHANNEL[self.kind])
        if self.kind == "email":
            if self.host is None or self.sender is None or not self.to:
                raise ValueError("a channel of kind 'email' needs 'host', 'sender' and 'to'")
            if self.tls == "off" and (self.host not in ("localhost", "127.0.0.1", "::1") or self.user):
                raise ValueError("without TLS mail goes to this machine alone, and no password with it")
        elif sum(one is not None for one in (self.url, self.url_env, self.url_file)) != 1:
            raise ValueError("a channel needs one of 'url', 'url_env' and 'url_file'")
        if self.kind == "webhook" and (self.secret_env is None) == (self.secret_file is None):
            raise ValueError("a webhook is signed: name its secret with 'secret_env' or 'secret_file'")


class AlertsConfig(_Table, kw_only=True, frozen=True):
    """[alerts]: what is watched, and who is told."""

    url: Annotated[str, Meta(pattern=r"^https?://[!-~]{1,500}\Z")] | None = None
    """Where people reach this server, as "https://greenroom.example.com": links in messages begin so."""
    every_s: Annotated[float, Meta(ge=1, le=3600)] = 15.0
    """Between two looks at the rules."""
    kept_days: Annotated[int, Meta(ge=1, le=3650)] = 400
    """How long ended alerts and their history are kept."""
    defaults: bool = True
    """Also the rules that hold without being written: failures and cost, whose place a rule of the same name
    takes; losses (exchanges that were not recorded) and credentials (a provider does not take our key).
    """
    rules: dict[Name, RuleConfig] = field(default_factory=dict)
    channels: dict[Name, ChannelConfig] = field(default_factory=dict)


DEFAULTS: dict[str, RuleConfig] = {
    "failures": RuleConfig(kind="threshold", metric="failed_share", above=0.1, by="app"),
    "cost": RuleConfig(
        kind="anomaly", metric="cost_usd", over_s=3600.0, times=3.0, least_change=1.0, by="app"
    ),
}
"""Rules that hold without being written: a tenth of ten minutes' requests of an app failed; an hour of an app
costs three times what it did at this time on other days, and a dollar more.
"""
