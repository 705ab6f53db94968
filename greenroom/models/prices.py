"""What tokens cost: a price book shipped as data, looked up by provider and model.

The book is compiled from genai-prices (MIT) by `scripts/build_prices.py`; its date and version stand in it.
What is not in it has no price: None, never 0. Counted are tokens of text and audio, read from the provider's
cache, written to it or new, by service tier and by the day of the call, and fees per request; images,
searches and storage are not, and models sold only by those have no price. No network, no clock but the one
given.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from time import time
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Raw, Struct
from msgspec.json import Decoder

from greenroom.usage import Usage

PRICES_FILE = Path(__file__).resolve().parent.parent / "data" / "prices" / "prices.json"
_CACHED_LOOKUPS = 4096
"""Clients may ask for any name at a provider; what is remembered must not grow with that."""
_LONGEST_NAME = 256
_DAY_S = 86_400

_NAMES_IN_BOOK = {
    "gemini": "google", "vertex": "google", "xai": "x-ai", "bedrock": "aws", "moonshot": "moonshotai"
}  # fmt: skip
"""Our providers whose name in the book is another one."""
_PREFIXES = {"google": "models/"}
"""Paths that a provider puts before its names and the book leaves out."""


class Rates(NamedTuple):
    """Pico-dollars: each for one token, `request` once per request."""

    input: int
    cached: int
    written: int
    """Input tokens that are put into the provider's cache, for five minutes or as long as it keeps them."""
    written_1h: int
    """The same for an hour."""
    output: int
    reasoning: int
    input_audio: int
    cached_audio: int
    output_audio: int
    request: int = 0

    @staticmethod
    def plain(input: int, cached: int, output: int, reasoning: int | None = None) -> "Rates":
        """Rates of a model that sells text alone and asks nothing extra for writing to its cache."""
        thought = output if reasoning is None else reasoning
        return Rates(input, cached, input, input, output, thought, input, cached, output)

    @property
    def dearest_input(self) -> int:
        """What an input token costs at most."""
        return max(
            self.input, self.cached, self.written, self.written_1h, self.input_audio, self.cached_audio
        )

    @property
    def dearest_output(self) -> int:
        """What an output token costs at most."""
        return max(self.output, self.reasoning, self.output_audio)


class Period(NamedTuple):
    """Rates and when they hold.

    With more than `tiers[i][0]` input tokens the rates of `tiers[i][1]` hold, for all tokens of the call.
    """

    rates: Rates
    tiers: tuple[tuple[int, Rates], ...] = ()
    start_s: int | None = None
    """Unix seconds from which they hold."""
    hours: tuple[int, int] | None = None
    """Seconds of the day in UTC, end excluded, between which they hold; may pass midnight."""

    def is_active(self, at_s: float) -> bool:
        """Whether the rates hold at this time."""
        if self.start_s is not None and at_s < self.start_s:
            return False
        if self.hours is None:
            return True
        start, end = self.hours
        second = at_s % _DAY_S
        return start <= second < end if start <= end else second >= start or second < end


_NO_TIERS: Mapping[str, Sequence[Period]] = MappingProxyType({})
_DEARER = frozenset({"priority", "fast"})
"""Service tiers that cost more than the standard one: without their price that would be too low."""


class Price:
    """The rates of one model through time and by service tier. `model` is its name in the book."""

    __slots__ = ("_later", "_now", "_standard", "_steps", "context_window", "model", "periods", "tiers")

    def __init__(
        self,
        model: str,
        periods: Sequence[Period],
        now: Callable[[], float] = time,
        tiers: Mapping[str, Sequence[Period]] = _NO_TIERS,
        context_window: int | None = None,
    ) -> None:
        self.model = model
        self.periods = tuple(periods)
        self.tiers = {name: tuple(own) for name, own in tiers.items()}
        """The rates under service tiers that have their own: `batch`, `flex`, `priority`, `fast`."""
        self.context_window = context_window
        self._standard = self.periods[0]
        self._later = tuple(reversed(self.periods)) if len(self.periods) > 1 else ()
        self._now = now
        self._steps = _dearest(self._standard)

    def cost_nano(self, usage: Usage, at_s: float | None = None) -> int | None:
        """Return the cost in nano-dollars, rounded to the nearest; None where it can't be known.

        That is so for an answer under a dearer tier (`priority`, `fast`) whose price is not known. Tokens
        read from the cache or written to it and audio are part of the input tokens, reasoning and audio part
        of the output tokens: each token is counted once. `at_s` is when the call was made, in Unix seconds;
        without it, now.
        """
        if usage.service_tier:
            own = self.tiers.get(usage.service_tier)
            if own is None and usage.service_tier in _DEARER:
                return None
            period = self._standard if own is None else own[0]
            later = self._later if own is None else tuple(reversed(own[1:]))
        else:
            period, later = self._standard, self._later
        if later:
            at_s = self._now() if at_s is None else at_s
            period = next((one for one in later if one.is_active(at_s)), period)
        given = usage.input_tokens
        cached = usage.cached_tokens
        made = usage.output_tokens
        thought = usage.reasoning_tokens
        rates = period.rates
        for above, higher in period.tiers:
            if given > above:
                rates = higher
        if usage.is_plain and given >= cached >= 0 and made >= thought >= 0:
            pico = (
                (given - cached) * rates.input
                + cached * rates.cached
                + (made - thought) * rates.output
                + thought * rates.reasoning
                + rates.request
            )
        else:
            pico = _pico(usage, rates)
        return (pico + 500) // 1000

    def worst_nano(self, input_tokens: int, output_tokens: int, *, any_tier: bool = False) -> int:
        """What a call of this size costs at most now, in nano-dollars, rounded up.

        As if every token were of the dearest kind; with `any_tier` under the dearest service tier too.
        """
        if self._later or any_tier:
            at_s = self._now()
            steps = [
                step
                for periods in (self.periods, *(self.tiers.values() if any_tier else ()))
                for step in _dearest(
                    next((one for one in reversed(periods) if one.is_active(at_s)), periods[0])
                )
            ]
        else:
            steps = self._steps
        worst = 0
        for above, input, output, request in steps:
            if input_tokens > above:
                worst = max(worst, input_tokens * input + output_tokens * output + request)
        return -(-worst // 1000)


def _dearest(period: Period) -> list[tuple[int, int, int, int]]:
    """Above how many input tokens, and what at most an input token, an output token and the request cost."""
    return [
        (above, rates.dearest_input, rates.dearest_output, rates.request)
        for above, rates in ((-1, period.rates), *period.tiers)
    ]


def _pico(usage: Usage, rates: Rates) -> int:
    """The cost of a usage of any kind, in pico-dollars; a part never exceeds what it is part of."""
    given, made = max(usage.input_tokens, 0), max(usage.output_tokens, 0)
    cached = _part(usage.cached_tokens, given)
    written = _part(usage.cache_write_tokens, given - cached)
    for_an_hour = _part(usage.cache_write_1h_tokens, written)
    heard_again = _part(usage.cached_audio_tokens, cached)
    heard = _part(usage.input_audio_tokens - heard_again, given - cached - written)
    spoken = _part(usage.output_audio_tokens, made)
    thought = _part(usage.reasoning_tokens, made - spoken)
    return (
        (given - cached - written - heard) * rates.input
        + (cached - heard_again) * rates.cached
        + heard_again * rates.cached_audio
        + (written - for_an_hour) * rates.written
        + for_an_hour * rates.written_1h
        + heard * rates.input_audio
        + (made - thought - spoken) * rates.output
        + thought * rates.reasoning
        + spoken * rates.output_audio
        + rates.request
    )


def _part(tokens: int, whole: int) -> int:
    return min(max(tokens, 0), whole)


FREE = Price("greenroom/reader", [Period(Rates.plain(0, 0, 0))])
"""The price of the built-in reader."""


def free(model: str) -> Price:
    """The price of a model that this machine runs itself."""
    return Price(model, FREE.periods)


class _Model(Struct, array_like=True):
    id: str
    context_window: int | None
    periods: list["_Period"]
    tiers: dict[str, list["_Period"]]


class _Period(Struct, array_like=True):
    rates: Rates
    tiers: tuple[tuple[int, Rates], ...]
    start_s: int | None
    hours: tuple[int, int] | None

    def ready(self) -> Period:
        return Period(self.rates, self.tiers, self.start_s, self.hours)


class _Rule(Struct, array_like=True):
    """A clause that names models: `kind` starts_with, ends_with, contains, equals, regex; or `any`, `all`."""

    kind: str
    text: str
    rules: list["_Rule"] = []


class _Provider(Struct):
    models: list[_Model]
    exact: dict[str, int]
    """Lower-case name → place in `models`."""
    rules: list[tuple[int, _Rule]]
    """For all other names, in order: the first that fits."""
    fallback: list[str] = []
    """Providers whose models this one sells too, at their price."""


class _Book(Struct):
    source: str
    version: str
    date: str
    providers: dict[str, Raw]


_book = Decoder(_Book)
_provider = Decoder(_Provider)
_COMPACT_DATE = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")


class _Shelf:
    """One provider's models, with its rules made ready."""

    def __init__(self, provider: _Provider) -> None:
        self.models = provider.models
        self.fallback = provider.fallback
        self._exact = provider.exact
        self._rules = [(index, _matcher(rule)) for index, rule in provider.rules]

    def find(self, name: str) -> _Model | None:
        index = self._exact.get(name)
        if index is None:
            index = next((place for place, matches in self._rules if matches(name)), None)
        return None if index is None else self.models[index]


class PriceBook:
    """Prices and context windows by provider and model. Read from disk when it is first asked."""

    def __init__(self, path: Path = PRICES_FILE, now: Callable[[], float] = time) -> None:
        self._path = path
        self._now = now
        self._data: _Book | None = None
        self._shelves: dict[str, _Shelf | None] = {}
        self._found: dict[tuple[str, str], tuple[Price | None, int | None]] = {}

    @staticmethod
    def load() -> "PriceBook":
        """The shipped book, shared by all who ask; nothing is read yet."""
        return _shipped()

    @property
    def edition(self) -> str:
        """Where the prices are from, for the ledger: source, version, date."""
        data = self._read()
        return f"{data.source} {data.version}, {data.date}"

    def price(self, provider: str, model: str) -> Price | None:
        """The price of `model` at `provider`, or None when it is not known. A dict hit after the first time.

        `provider` is a name of `models.catalog.PROVIDERS` or of the book. Names are matched as the book says:
        equal, else the first rule that fits, without regard to case.
        """
        key = provider, model
        found = self._found.get(key)
        return (found or self._look_up(key))[0]

    def context_window(self, provider: str, model: str) -> int | None:
        """How many tokens `model` takes in all, or None when that is not known."""
        key = provider, model
        found = self._found.get(key)
        return (found or self._look_up(key))[1]

    def _look_up(self, key: tuple[str, str]) -> tuple[Price | None, int | None]:
        found: tuple[Price | None, int | None] = (None, None)
        if key == ("greenroom", "reader"):
            found = FREE, None
        elif len(key[1]) <= _LONGEST_NAME:
            model = self._find(_NAMES_IN_BOOK.get(key[0], key[0]), key[1].lower())
            if model is not None:
                tiers = {name: [one.ready() for one in own] for name, own in model.tiers.items()}
                periods = [one.ready() for one in model.periods]
                price = Price(model.id, periods, self._now, tiers, model.context_window) if periods else None
                found = price, model.context_window
        if len(self._found) >= _CACHED_LOOKUPS:
            self._found.clear()
        self._found[key] = found
        return found

    def _find(self, provider: str, name: str) -> _Model | None:
        shelf = self._shelf(provider)
        if shelf is None:
            return None
        prefix = _PREFIXES.get(provider, "")
        for one in dict.fromkeys((name, _COMPACT_DATE.sub(r"-\1-\2-\3", name), name.removeprefix(prefix))):
            for place in (shelf, *map(self._shelf, shelf.fallback)):
                model = place.find(one) if place is not None else None
                if model is not None:
                    return model
        return None

    def _shelf(self, provider: str) -> _Shelf | None:
        if provider in self._shelves:
            return self._shelves[provider]
        raw = self._read().providers.get(provider)
        if raw is None:
            return None
        shelf = self._shelves[provider] = _Shelf(_provider.decode(raw))
        return shelf

    def _read(self) -> _Book:
        if self._data is None:
            self._data = _book.decode(self._path.read_bytes())
        return self._data


@cache
def _shipped() -> PriceBook:
    return PriceBook()


def _matcher(rule: _Rule) -> Callable[[str], bool]:
    text = rule.text
    match rule.kind:
        case "equals":
            return lambda name: name == text
        case "starts_with":
            return lambda name: name.startswith(text)
        case "ends_with":
            return lambda name: name.endswith(text)
        case "contains":
            return lambda name: text in name
        case "regex":
            # From our own file, whose maker lets no repeated group in; names are short.
            found = re.compile(text).search
            return lambda name: found(name) is not None
        case "any":
            some = [_matcher(one) for one in rule.rules]
            return lambda name: any(matches(name) for matches in some)
        case "all":
            every = [_matcher(one) for one in rule.rules]
            return lambda name: all(matches(name) for matches in every)
    raise ValueError(f"the price book has a rule of unknown kind {rule.kind!r}")
