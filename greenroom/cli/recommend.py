"""`greenroom models recommend`, `show` and `update`: which model to choose, and the facts behind it."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from greenroom.assembly.recommendation import Recommender, as_wish
from greenroom.cli.output import fail, print_json, print_table
from greenroom.cli.place import FINDINGS, FINE, INCONCLUSIVE, USAGE, Here, Place
from greenroom.errors import RequestError
from greenroom.models.catalogue.catalogue import LIMIT_BYTES
from greenroom.models.catalogue.fetch import fetch
from greenroom.models.catalogue.hardware import parse_hardware
from greenroom.models.catalogue.wish import PRICE_OF_QUALITY, REQUESTS, Licence, Task, Wish

_Several = Annotated[list[str] | None, Parameter(negative=())]


def recommend(
    *,
    task: Task = "chat",
    languages: _Several = None,
    context: int = 4096,
    latency: float | None = None,
    budget: float | None = None,
    requests: int = REQUESTS,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    private: Annotated[bool, Parameter(negative=())] = False,
    tools: Annotated[bool, Parameter(negative=())] = False,
    structured_output: Annotated[bool, Parameter(negative=())] = False,
    reads: _Several = None,
    licence: Licence = "any",
    hardware: str = "auto",
    probe_speed: Annotated[bool, Parameter(negative=())] = False,
    quantisation: str | None = None,
    parallel: int = 1,
    price_of_quality: float = PRICE_OF_QUALITY,
    json: bool = False,
    place: Here,
) -> int:
    """Say which model to choose: the best, the best value, the best that keeps prompts here. Calls no model.

    Conditions come first, then quality, price and time. What was scored here counts for more than what is
    expected. Ends with 2 when the best can't be told from others, with 1 when no model meets the conditions.

    Parameters
    ----------
    task
        What it is for.
    languages
        Codes of languages, joined by commas: pt,en.
    context
        Tokens of the longest prompt with its answer.
    latency
        Seconds until the whole answer is there, at most.
    budget
        US dollars a month, at most.
    requests
        Requests a month.
    input_tokens
        Tokens of a usual request; otherwise as traces show, else 1000.
    output_tokens
        Tokens of its answer; otherwise as traces show, else 300.
    private
        Only models that keep prompts on this machine.
    tools
        It must call tools.
    structured_output
        It must answer in a given JSON schema.
    reads
        What prompts hold beside text, joined by commas: image,audio,video,pdf.
    licence
        open: weights that can be had. permissive: under Apache-2.0 or MIT.
    hardware
        auto, none, or like ram=16GB,vram=24GB,bandwidth=50GB.
    probe_speed
        Measure the memory's bandwidth first, for five seconds; then local models have a speed.
    quantisation
        Of local models, as Q8_0; otherwise Q4_K_M.
    parallel
        Answers at once of a local model.
    price_of_quality
        Points of quality that a model must bring to be ten times as dear.
    json
        Print the answer as JSON.
    """
    try:
        parse_hardware(hardware)
        wish = as_wish(
            {
                "task": task, "languages": _split(languages), "context": context, "latency_s": latency,
                "budget_usd": budget, "requests": requests, "input_tokens": input_tokens,
                "output_tokens": output_tokens, "private": private, "tools": tools,
                "structured_output": structured_output, "input": ["text", *_split(reads)],
                "licence": licence, "parallel": parallel, "quantisation": quantisation,
                "price_of_quality": price_of_quality, "hardware": hardware,
            }
        )  # fmt: skip
    except ValueError as error:
        return fail(f"{error}.", USAGE)
    except RequestError as error:
        return fail(str(error), USAGE)
    if probe_speed and not json:
        print("Measuring memory for five seconds …", file=sys.stderr)
    found = asyncio.run(_recommend(place, wish, fast=probe_speed))
    if json:
        print_json(found)
    else:
        _say(found)
    if found["best"] is None:
        return FINDINGS
    return INCONCLUSIVE if found["undecided"] else FINE


def show(name: str, /, *, json: bool = False, place: Here) -> int:
    """Show what is known of a model, and who says so since when.

    Parameters
    ----------
    name
        A target, as openai/gpt-5-mini, or open weights, as qwen3-4b.
    json
        Print the facts as JSON.
    """
    found = Recommender(place.open()).show(name)
    if json:
        print_json(found)
        return FINE
    rates = found["price"]["usd_per_million_tokens"] if found["price"] else None
    price = f"{rates['input']:g} in, {rates['output']:g} out" if rates else "unknown"
    if found["kind"] == "open":
        price = "nothing where it is run here"
    rows = [("USD per million tokens", price, found["price"]["source"] if rates else None, None)]
    for key, fact in found["facts"].items():
        if fact is None:
            rows.append((key.replace("_", " "), "unknown", None, None))
        else:
            rows.append((key.replace("_", " "), _value(fact["value"]), fact["source"], fact["date"]))
    print_table(("fact", "value", "source", "date"), rows)
    return FINE


def update(source: str, /, *, sha256: str, json: bool = False, place: Here) -> int:
    """Put another catalogue of models into the data folder. Only this command changes it.

    Parameters
    ----------
    source
        A file, or an https:// address.
    sha256
        What the file's checksum must be.
    json
        Print the answer as JSON.
    """
    house = place.open()
    if "://" in source:
        content = fetch(source, LIMIT_BYTES, place.environment)
    else:
        try:
            path = Path(source)
            if path.stat().st_size > LIMIT_BYTES:
                return fail(f"{source} is larger than {LIMIT_BYTES >> 20} MB.", FINDINGS)
            content = path.read_bytes()
        except OSError as error:
            return fail(f"{source} can't be read: {error.strerror or error}.", FINDINGS)
    made = Recommender(house).replace(content, sha256, source, "command line")
    about = {"edition": made.edition, "models": len(made.models), "sha256": made.sha256}
    if json:
        print_json(about)
    else:
        print(f"The catalogue of {made.edition} counts from now on: {len(made.models):,} models.")
    return FINE


async def _recommend(place: Place, wish: Wish, *, fast: bool) -> dict[str, Any]:  # Any: JSON
    house = place.open()
    async with house.running(as_guest=True):
        return Recommender(house).recommend(wish, fast=fast)


def _say(found: dict[str, Any]) -> None:  # Any: JSON
    titles = (("best", "Best"), ("value", "Best value"), ("private", "Private"))
    named: dict[str, list[str]] = {}
    for key, title in titles:
        if found[key] is None:
            nothing = found["no_private"] if key == "private" else "No model meets the conditions."
            print(f"{title}: none. {nothing}\n")
        else:
            named.setdefault(found[key]["model"], []).append(title)
    answers = {found[key]["model"]: found[key] for key, _ in titles if found[key] is not None}
    for model, answer in answers.items():
        first, *rest = named[model]
        print(f"{', '.join([first, *(one.lower() for one in rest)])}: {model}")
        for reason in answer["reasons"]:
            print(f"  {reason}")
        for unknown in answer["unknown"]:
            print(f"  Not known: {unknown}.")
        print()
    if found["undecided"]:
        print(f"{found['undecided']}\n")
    filtered = found["filtered"]["by_condition"]
    if filtered:
        said = ", ".join(f"{count} by {name}" for name, count in filtered.items())
        print(f"Left out: {said}. {found['candidates']} are left.")
    print("Assumed:")
    for line in found["assumed"]:
        print(f"  {line}")
    if found["try"]:
        print("To try them:")
        for line in found["try"]:
            print(f"  {line}")


def _split(texts: list[str] | None) -> list[str]:
    return [one.strip() for text in texts or () for one in text.split(",") if one.strip()]


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {one:,}" for name, one in value.items() if one)
    return str(value)
