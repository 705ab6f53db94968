"""`[alerts.channels]` to what sends: addresses, secrets, passwords are looked up here, and said nowhere."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from greenroom.assembly.providers import read_file
from greenroom.errors import ConfigError, MalformedRequest
from greenroom.offline.alerts.settings import AlertsConfig, ChannelConfig
from greenroom.store.alerts import SEVERITIES, Alert, Event

if TYPE_CHECKING:
    from greenroom.offline.alerts.channels import Channel


def make_channels(alerts: AlertsConfig, environment: Mapping[str, str], source: str) -> dict[str, "Channel"]:
    """What sends, by name. Raises: ConfigError for what is missing or can't be."""
    return {name: _make(name, one, alerts.url, environment, source) for name, one in alerts.channels.items()}


def _make(
    name: str, table: ChannelConfig, base: str | None, environment: Mapping[str, str], source: str
) -> "Channel":
    from greenroom.models.outside import place_of  # noqa: PLC0415  # few need any of it: 4 MiB of mail and TLS
    from greenroom.offline.alerts.channels import Mailbox, Slack, Webhook  # noqa: PLC0415  # as above
    from greenroom.offline.alerts.messages import secret_of  # noqa: PLC0415  # as above

    where = f"{source}: alerts.channels.{name}"

    def find(what: str, variable: str | None, file: str | None) -> str | None:
        if variable is not None:
            value = environment.get(variable)
            if not value:
                raise ConfigError(f"{where}: the environment variable {variable} is not set.")
            return value.strip()
        return None if file is None else read_file(where, file, what)

    if table.kind == "email":
        password = find("the password's file", table.password_env, table.password_file)
        if (table.user is None) != (password is None):
            raise ConfigError(f"{where}: user goes with password_env or password_file.")
        return Mailbox(table, password, base)
    url = table.url or find("the address's file", table.url_env, table.url_file) or ""
    try:
        place = place_of(url)
    except MalformedRequest as error:
        raise ConfigError(f"{where}: {error}") from None
    if place.scheme == "http" and not table.private:
        raise ConfigError(f"{where}: the address must be an https:// one, or private = true.")
    if table.kind == "slack":
        return Slack(url, base, is_private_meant=table.private)
    secret = find("the secret's file", table.secret_env, table.secret_file)
    return Webhook(url, secret_of(secret or "", where), base, is_private_meant=table.private)


def wants(table: ChannelConfig) -> Callable[[Alert, Event], bool]:
    """Which entries of histories a channel is sent."""

    def wanted(alert: Alert, event: Event) -> bool:
        return (
            SEVERITIES.index(event.severity) >= SEVERITIES.index(table.least)
            and (not table.rules or any(fnmatchcase(alert.rule, one) for one in table.rules))
            and (not table.projects or alert.project in ("", *table.projects))
        )

    return wanted
