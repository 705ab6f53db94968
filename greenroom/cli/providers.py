"""`greenroom providers`: their keys, sealed in the data folder."""

import sys
from datetime import UTC, datetime
from getpass import getpass

from cyclopts import App

from greenroom.cli.output import fail, print_json, print_table
from greenroom.cli.place import FINDINGS, FINE, USAGE, Here
from greenroom.models.catalog import PROVIDERS

app = App(name="providers", help="List providers, and keep their keys sealed in the data folder.")


@app.command(name="list")
def list_providers(*, json: bool = False, place: Here) -> int:
    """List configured providers and those with a key, and where each key comes from. No key is shown.

    Parameters
    ----------
    json
        Print the list as JSON.
    """
    house = place.open()
    sealed = {one.name: one.set_ns for one in house.sealed.names()}
    rows = []
    for name in dict.fromkeys((*house.config.providers, *PROVIDERS, *sealed)):
        configured, known = house.config.providers.get(name), PROVIDERS.get(name)
        key = None
        if configured is not None and configured.api_key_env:
            key = f"environment variable {configured.api_key_env}"
        elif configured is not None and configured.api_key_file:
            key = f"file {configured.api_key_file}"
        elif name in sealed:
            key = f"sealed since {datetime.fromtimestamp(sealed[name] / 1e9, UTC):%Y-%m-%d %H:%M} UTC"
        elif (
            configured is None
            and known is not None
            and known.needs_only_key
            and known.key_env
            and place.environment.get(known.key_env)
        ):
            key = f"environment variable {known.key_env}"
        if configured is not None or key is not None:
            kind = configured.kind if configured is not None else known.kind if known is not None else None
            rows.append({"name": name, "kind": kind, "configured": configured is not None, "key": key})
    if json:
        print_json(rows)
    else:
        print_table(("name", "kind", "configured", "key"), [tuple(one.values()) for one in rows])
    return FINE


@app.command
def set_key(name: str, /, *, place: Here) -> int:
    """Seal a provider's key, asked for or piped in. A running server takes it within a second.

    Parameters
    ----------
    name
        The provider, as in `providers.NAME` or as the environment would name it.
    """
    house = place.open()
    if name not in house.config.providers and name not in PROVIDERS:
        known = ", ".join((*house.config.providers, *PROVIDERS))
        return fail(
            f"There is no provider '{name}'. Write a [providers.{name}] table, or use: {known}.", FINDINGS
        )
    value = getpass(f"Key of {name}: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not value.strip():
        return fail("No key was given: type it, or pipe it in.", USAGE)
    house.sealed.put(name, value.strip())
    house.keys.audit("command line", "provider.set_key", None, {"provider": name})
    print(f"Sealed the key of {name}.", file=sys.stderr)
    return FINE


@app.command
def remove_key(name: str, /, *, place: Here) -> int:
    """Forget a provider's sealed key.

    Parameters
    ----------
    name
        The provider.
    """
    house = place.open()
    house.sealed.remove(name)
    house.keys.audit("command line", "provider.remove_key", {"provider": name}, None)
    print(f"Removed the key of {name}.", file=sys.stderr)
    return FINE
