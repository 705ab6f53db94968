"""The page that says which model to choose: what is wanted as a form, three answers with their reasons below.

Knows the backend by its protocol alone. Everything stands in the address, so that a choice can be sent on.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlencode

from msgspec import ValidationError, convert
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from greenroom.errors import GreenroomError, MalformedRequest
from greenroom.models.catalogue.wish import TASKS, Wish
from greenroom.server.pages import figures
from greenroom.server.pages.doors import Doors
from greenroom.server.pages.rendering import json_answer
from greenroom.server.pages.sessions import Session

Json = dict[str, Any]  # Any: what JSON holds

_NUMBERS: Final = ("context", "requests", "input_tokens", "output_tokens", "parallel")
_DECIMALS: Final = ("latency_s", "budget_usd", "price_of_quality")
_TICKS: Final = ("private", "tools", "structured_output", "image")
_TEXTS: Final = ("task", "licence", "quantisation", "hardware")
_LONGEST = 200
_TITLES: Final = (("best", "Best"), ("value", "Best value"), ("private", "Private"))


class Backend(Protocol):
    """What the page asks; runs in a worker thread."""

    def recommend(self, wish: Wish) -> Json: ...


class Card(NamedTuple):
    """One model as an answer."""

    titles: list[str]
    model: str
    mean: str
    low: str
    high: str
    left: str
    """Where the interval begins, in percent of the width; `width` and `middle` likewise."""
    width: str
    middle: str
    month: str
    reasons: list[str]
    unknown: list[str]


class ChoosingPage:
    """`/choose` and its JSON."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._doors: Doors

    def routes(self, doors: Doors) -> list[BaseRoute]:
        """Return the routes."""
        self._doors = doors
        return [
            Route("/choose", doors.page(self.show)),
            Route("/choose.json", doors.twin(self.show_json)),
        ]

    def show(self, request: Request, session: Session) -> Response:
        """The page; an answer once something was asked."""
        asked = read_fields(request.query_params)
        found, trouble = None, None
        if asked:
            try:
                found = self._backend.recommend(read_wish(asked))
            except GreenroomError as error:
                trouble = error
        return self._doors.render.html(
            "choose.html",
            status=trouble.status if trouble else 200,
            session=session,
            asked=asked,
            tasks=TASKS,
            trouble=str(trouble or ""),
            found=found,
            cards=cards(found) if found else [],
            others=[_row(one) for one in found["others"]] if found else [],
            filtered=list(found["filtered"]["by_condition"].items()) if found else [],
            twin="/choose.json?" + urlencode(asked),
        )

    def show_json(self, request: Request, session: Session) -> Response:
        """The same as JSON."""
        wish = read_wish(read_fields(request.query_params))
        return json_answer(self._backend.recommend(wish))


def read_fields(query: Mapping[str, str]) -> dict[str, str]:
    """The fields of the form that were filled in; unknown names are left out."""
    names = (*_TEXTS, "languages", *_NUMBERS, *_DECIMALS, *_TICKS)
    return {name: value for name in names if (value := query.get(name, "").strip()[:_LONGEST])}


def read_wish(fields: Mapping[str, str]) -> Wish:
    """What the form says. Raises MalformedRequest naming the field."""
    wanted: Json = {name: fields[name] for name in _TEXTS if name in fields}
    wanted["languages"] = [one.strip() for one in fields.get("languages", "").split(",") if one.strip()]
    for name in (*_NUMBERS, *_DECIMALS):
        if name in fields:
            wanted[name] = _number(name, fields[name], whole=name in _NUMBERS)
    for name in ("private", "tools", "structured_output"):
        wanted[name] = name in fields
    wanted["input"] = ["text", "image"] if "image" in fields else ["text"]
    try:
        return convert(wanted, Wish)
    except ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        field = place.rstrip("`")
        raise MalformedRequest(f"'{field}': {message}." if field else f"{message}.", field or None) from None


def cards(found: Json) -> list[Card]:
    """The answers, one card for each model."""
    titles: dict[str, list[str]] = {}
    answers: dict[str, Json] = {}
    for key, title in _TITLES:
        answer = found[key]
        if answer is not None:
            titles.setdefault(answer["model"], []).append(title)
            answers[answer["model"]] = answer
    return [_card(answer, titles[name]) for name, answer in answers.items()]


def _card(answer: Json, titles: list[str]) -> Card:
    quality = answer["quality"]
    mean, low, high = quality["mean"], quality["low"], quality["high"]
    return Card(
        titles, answer["model"], _percent(mean), _percent(low), _percent(high),
        f"{low * 100:.1f}%", f"{(high - low) * 100:.1f}%", f"{mean * 100:.1f}%",
        figures.dollars(str(answer["usd_per_month"])), answer["reasons"], answer["unknown"],
    )  # fmt: skip


def _row(one: Json) -> Json:
    quality = one["quality"]
    mean, low, high = (_percent(quality[name]) for name in ("mean", "low", "high"))
    return {
        "model": one["model"],
        "quality": f"{mean} ({low} to {high})",
        "month": figures.dollars(str(one["usd_per_month"])),
        "seen": figures.count(quality["scored_answers"]),
    }


def _percent(part: float) -> str:
    return f"{part * 100:.0f} %"


def _number(name: str, text: str, *, whole: bool) -> int | float:
    try:
        return int(text.replace(",", "").replace("_", "")) if whole else float(text)
    except ValueError:
        raise MalformedRequest(f"'{name}' must be a number.", name) from None
