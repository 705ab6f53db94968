"""`greenroom models`: who can answer, and who would be asked first."""

import asyncio
from typing import Any

from cyclopts import App
from msgspec.json import encode

from greenroom.assembly.targets import ModelDesk
from greenroom.cli.comparing import compare
from greenroom.cli.lineage import lineage
from greenroom.cli.output import print_json, print_table
from greenroom.cli.place import FINDINGS, FINE, Here, Place
from greenroom.cli.pull import pull, remove
from greenroom.cli.recommend import recommend, show, update

app = App(
    name="models", help="List who can answer, say whom to choose and who would be asked, bring models here."
)
app.command(recommend)
app.command(show)
app.command(update)
app.command(compare)
app.command(lineage)
app.command(pull)
app.command(remove)


@app.command(name="list")
def list_models(*, json: bool = False, place: Here) -> int:
    """List apps, configured models, the targets behind them with prices per million tokens, and GGUF files.

    Parameters
    ----------
    json
        Print the list as JSON.
    """
    rows = asyncio.run(_list(place))
    if json:
        print_json({"data": rows})
        return FINE
    table = []
    for one in rows:
        rates = one.get("usd_per_million_tokens")
        leads = (
            one.get("model")
            or ", ".join(one.get("targets", ()))
            or (one.get("file") or one.get("trained") or {}).get("path")
        )
        price = f"{rates['input']:g} in, {rates['output']:g} out" if rates else None
        row = (one["id"], one["kind"], leads or None, one.get("context_window"), price)
        table.append((*row, _abilities(one.get("catalogue"))))
    print_table(("name", "kind", "leads to", "context", "USD per million", "catalogue"), table)
    return FINE


@app.command
def explain(text: str, /, *, app: str = "default", json: bool = False, place: Here) -> int:
    """Say who would be asked for a prompt, first to last, and why. Calls no model.

    Parameters
    ----------
    text
        The prompt.
    app
        The app or model that a client would name.
    json
        Print the answer as JSON.
    """
    found = asyncio.run(_explain(place, text, app))
    refused = found.get("refused")
    if json:
        print_json(found)
    elif refused:
        print(f"Nobody: the step '{refused['step']}' refuses. {refused['sentence']}")
    else:
        print(f"{found['model']}: {found['why']}.")
        weighed = dict(found["weighed"])
        resting = weighed.pop("resting", ())
        print_table(
            ("", "target", "weighed by"),
            [
                (number, name, "rests" if name in resting else weighed.get(name))
                for number, name in enumerate(found["order"], 1)
            ],
        )
        for name in set(weighed) - set(found["order"]):
            print(f"{name}: {weighed[name]}")
    return FINDINGS if refused else FINE


def _abilities(facts: dict[str, Any] | None) -> str | None:  # Any: JSON
    """What the catalogue knows of a target, in words; None where it does not know it."""
    if facts is None:
        return None
    words = ["+".join(facts["input"])] if facts["input"] else []
    words += [name.replace("_", " ") for name in ("tools", "structured_output", "reasoning") if facts[name]]
    if facts["licence"]:
        words.append(facts["licence"])
    if facts["end_of_life"]:
        words.append(f"ends {facts['end_of_life']}")
    return ", ".join(words) or "nothing known"


async def _list(place: Place) -> list[dict[str, Any]]:  # Any: JSON
    house = place.open()
    async with house.running(as_guest=True):
        return ModelDesk(house).models()


async def _explain(place: Place, text: str, app: str) -> dict[str, Any]:  # Any: JSON
    house = place.open()
    body = encode({"model": app, "messages": [{"role": "user", "content": text}]})
    async with house.running(as_guest=True):
        return await ModelDesk(house).explain(body)
