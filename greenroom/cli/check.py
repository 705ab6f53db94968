"""`greenroom check`: what the check stage finds in a text."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from msgspec.json import encode

from greenroom.cli.output import fail, print_json, print_table
from greenroom.cli.place import ENVIRONMENT, FINDINGS, FINE, USAGE, Here, Place


def check(
    text: str | None = None,
    /,
    *,
    file: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    app: str = "default",
    json: bool = False,
    place: Here,
) -> int:
    """Say what the check stage finds in a text: exit 0 when nothing, 1 with findings. Calls no model.

    The found values themselves are not printed, only where they stand.

    Parameters
    ----------
    text
        The text.
    file
        A file with the text, in UTF-8; - reads what is piped in.
    app
        The app whose check stage looks.
    json
        Print the findings as JSON.
    """
    if (text is None) == (file is None):
        return fail("Give a text or --file, one of them.", USAGE)
    if file is not None:
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        except OSError as error:
            return fail(f"'{file}' can't be read: {error.strerror or error}.", ENVIRONMENT)
        except UnicodeDecodeError as error:
            return fail(f"'{file}' is not UTF-8 text (at byte {error.start}).", ENVIRONMENT)
    record = asyncio.run(_inspect(place, text or "", app))
    broken = [
        one["step"] for one in record["stages"] if one["stage"] == "check" and one["outcome"] == "failed"
    ]
    found = record["verdicts"]
    if json:
        print_json({"findings": found, "failed": broken})
    else:
        print_table(
            ("step", "rule", "severity", "action", "from", "to"),
            [[one[key] for key in ("step", "rule", "severity", "action", "start", "end")] for one in found],
        )
    if broken:
        return fail(f"These checks failed: {', '.join(broken)}.", ENVIRONMENT)
    if not found and not json:
        print("Nothing found.")
    return FINDINGS if found else FINE


async def _inspect(place: Place, text: str, app: str) -> dict[str, Any]:  # Any: JSON
    house = place.open()
    body = encode({"model": app, "messages": [{"role": "user", "content": text}]})
    async with house.running(as_guest=True):
        return await house.inspect(body)
