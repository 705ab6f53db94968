"""`greenroom ask`: one question through the whole pipeline, in this process."""

import asyncio
from typing import Any, Literal

from greenroom.cli.journey import print_journey
from greenroom.cli.output import console, fail, print_json, printable
from greenroom.cli.place import ENVIRONMENT, FINDINGS, FINE, USAGE, Here, Place


def ask(
    text: str,
    /,
    *,
    app: str = "default",
    session: str | None = None,
    show: Literal["answer", "stages"] = "answer",
    json: bool = False,
    place: Here,
) -> int:
    """Ask one question through the whole pipeline, without a server.

    Exit code 0 for an answer, 1 when a check refused, 3 when the model failed.

    Parameters
    ----------
    text
        The question.
    app
        The app, or a model's name.
    session
        The conversation this question belongs to.
    show
        "stages" prints what each step did before the answer.
    json
        Print the whole record as JSON.
    """
    if not text.strip():
        return fail("Say what to ask.", USAGE)
    record = asyncio.run(_ask(place, text, app, session))
    if json:
        print_json(record)
    else:
        if show == "stages":
            print_journey(record)
        _print_answer(record)
    return _code(record)


async def _ask(place: Place, text: str, app: str, session: str | None) -> dict[str, Any]:  # Any: JSON
    house = place.open()
    async with house.running(as_guest=True):
        return await house.ask(text, app=app, session=session)


def _print_answer(record: dict[str, Any]) -> None:  # Any: JSON
    out = console()
    text = (record.get("reply") or {}).get("text") or ""
    if record["outcome"] == "failed" or (record.get("error") and not text):
        fail(record.get("error") or "The model gave no answer.", ENVIRONMENT)
        return
    out.print(printable(text))
    cited = [one for one in record.get("passages") or () if one.get("cited")]
    if cited:
        out.print()
    for number, passage in enumerate(cited, 1):
        out.print(f"[{number}] {printable(passage['title'] or passage['document'])}", style="dim")
    model = record.get("model") or {}
    cost = record.get("cost_usd")
    paid = f"${cost}" if cost is not None else "price unknown"
    total = (record.get("timing_ms") or {}).get("total") or 0.0
    used = model.get("used") or model.get("asked")
    out.print(f"\n{used} · {total:.1f} ms · {paid} · {record['id']}", style="dim")


def _code(record: dict[str, Any]) -> int:  # Any: JSON
    if record["outcome"] == "refused":
        return FINDINGS
    return FINE if record["outcome"] in {"answered", "cached"} else ENVIRONMENT
