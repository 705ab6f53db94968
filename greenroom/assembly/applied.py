"""The configuration in force, kept beside the stores, and how a file differs from it."""

import contextlib
import re
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from greenroom.config import Config

FILE_NAME = "config.applied.json"
_AT_START = ("server.", "store.")
"""What is read at the start only; everything else is taken by a running server."""
_ABSENT = "(not set)"


class Difference(NamedTuple):
    """One key that would change."""

    key: str
    before: object
    after: object
    takes: Literal["reload", "restart"]
    """What it takes for the change to count: nothing but the file, or a start."""


def shown(config: Config) -> dict[str, Any]:  # Any: TOML
    """A configuration as plain tables. Headers of providers are named only, addresses of channels told as far
    as the host: both may hold secrets.
    """
    tables: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(config))  # Any: TOML
    for provider in tables.get("providers", {}).values():
        provider["headers"] = dict.fromkeys(provider.get("headers", {}), "…")
    for channel in (tables.get("alerts") or {}).get("channels", {}).values():
        if channel.get("url"):
            channel["url"] = _place(channel["url"])
    return tables


def _place(url: str) -> str:
    """An address as far as its host: whoever knows the rest of Slack's may write there."""
    scheme, separator, rest = url.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    return f"{scheme}://{host}/…" if separator else "…"


def keep(folder: Path, config: Config) -> None:
    """Write down what is in force, for `greenroom config diff`."""
    half = folder / f".{FILE_NAME}.part"
    with contextlib.suppress(OSError):  # a full disk must not keep anyone from starting or reloading
        half.write_bytes(msgspec.json.encode(shown(config)))
        half.replace(folder / FILE_NAME)


def kept(folder: Path) -> dict[str, Any] | None:  # Any: TOML
    """What was in force last; None when nothing was ever started here, or what lies there is not readable."""
    try:
        found = msgspec.json.decode((folder / FILE_NAME).read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) else None


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:  # Any: TOML
    """Keys that differ, in the order of the file's tables."""
    was, will = _flat(before), _flat(after)
    return [
        Difference(
            key, was.get(key, _ABSENT), will.get(key, _ABSENT),
            "restart" if key.startswith(_AT_START) else "reload",
        )
        for key in dict.fromkeys((*will, *was))
        if was.get(key, _ABSENT) != will.get(key, _ABSENT)
    ]  # fmt: skip


def _flat(tables: dict[str, Any], prefix: str = "") -> dict[str, Any]:  # Any: TOML
    found: dict[str, Any] = {}  # Any: TOML
    for name, value in tables.items():
        key = f"{prefix}{name}" if name.replace("-", "").replace("_", "").isalnum() else f'{prefix}"{name}"'
        if isinstance(value, dict) and value:
            found |= _flat(value, key + ".")
        elif value not in (None, {}):
            found[key] = value
    return found
