"""Who may answer a wish, and why the others may not.

Hard conditions come first: a fact that is wanted and not known counts as missing, but for languages, which
few makers name. What is left gets a price, a place in memory and a speed.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, NamedTuple

from msgspec import Struct, structs

from greenroom.models.catalogue.catalogue import Catalogue
from greenroom.models.catalogue.facts import Model
from greenroom.models.catalogue.hardware import Hardware
from greenroom.models.catalogue.memory import Fit, fit, need
from greenroom.models.catalogue.speed import Speed, speed
from greenroom.models.catalogue.weights import active_bytes, usual, weight_bytes
from greenroom.models.catalogue.wish import Wish
from greenroom.models.prices import PriceBook
from greenroom.usage import Usage

PERMISSIVE: Final = frozenset({"Apache-2.0", "MIT"})
USUAL_BANDWIDTH: Final = 20e9
USUAL_GPU_BANDWIDTH: Final = 300e9
"""Bytes a second, for the ranking where nothing was measured or said: two channels of DDR4, a small GPU."""


class LocalFile(NamedTuple):
    """A GGUF file that is here."""

    name: str
    model: Model
    """What its head says, and what the catalogue knows beside."""
    size_bytes: int
    active_bytes: int
    target: str = ""
    """As it is asked for, where that is not `llama/NAME`."""


class Here(Struct, frozen=True, kw_only=True):
    """What is known of this installation."""

    hardware: Hardware = Hardware()
    files: tuple[LocalFile, ...] = ()
    pullable: frozenset[str] = frozenset()
    """Open weights that `greenroom models pull` knows by name."""
    with_keys: frozenset[str] | None = None
    """Providers that can be asked; None where that is not known."""
    names: Mapping[str, str] = {}
    """Under which name a provider of the catalogue is configured, where it is another one."""
    latency_s: Mapping[str, float] = {}
    """Seconds that answers of a target took here, the median."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    """Of a usual request here."""


class Candidate(NamedTuple):
    """A model that meets all conditions."""

    name: str
    """As it is asked for: `provider/model`, or `llama/NAME`."""
    model: Model
    nano_usd: int
    """Of one request, in billionths of a US dollar."""
    usd_per_mtok: float | None
    fit: Fit | None
    speed: Speed | None
    quantisation: str | None
    latency_s: float | None
    """Measured here, or estimated for a local one."""
    latency_measured: bool
    """Whether it was measured here."""
    guessed_s: float | None
    """Seconds of a local model on memory of the usual speed, where neither speed nor time was measured."""
    unknown: tuple[str, ...]
    """What was asked for and is not known of it, in words."""
    is_here: bool
    """Whether it can be asked now: its key or its file is here. None's unknown counts as yes."""


class Dropped(NamedTuple):
    """A model that does not meet a condition."""

    name: str
    condition: str
    why: str


def sort_out(
    wish: Wish, catalogue: Catalogue, here: Here, prices: PriceBook, today: date
) -> tuple[list[Candidate], list[Dropped]]:
    """All models of the catalogue and all files that are here, sorted by whether they may answer.

    Raises: UnknownQuantisation.
    """
    kept: list[Candidate] = []
    dropped: list[Dropped] = []
    pulled = {one.name for one in here.files}
    known = [one for one in catalogue.models.values() if one.name not in pulled]
    for model in known:
        _judge(wish, model, None, here, prices, today, kept, dropped)
    for file in here.files:
        _judge(wish, file.model, file, here, prices, today, kept, dropped)
    return kept, dropped


def _judge(
    wish: Wish, model: Model, file: LocalFile | None, here: Here, prices: PriceBook, today: date,
    kept: list[Candidate], dropped: list[Dropped],
) -> None:  # fmt: skip
    found = _missing(wish, model, today)
    if found is not None:
        dropped.append(Dropped(model.name, *found))
        return
    made = _local(wish, model, file, here) if model.is_open else _hosted(wish, model, here, prices)
    if isinstance(made, Candidate):
        kept.append(made)
    else:
        dropped.append(Dropped(model.name, *made))


def _missing(wish: Wish, model: Model, today: date) -> tuple[str, str] | None:
    """The first condition that a model does not meet."""
    if wish.private and not model.is_open:
        return "private", "prompts would leave this machine"
    if model.is_over(today):
        assert model.end_of_life is not None
        return "end of life", f"its provider ended it on {model.end_of_life.value}"
    if model.deprecated is not None and model.deprecated.value:
        return "end of life", "its provider calls it deprecated"
    licence = model.licence.value if model.licence is not None else None
    if wish.licence == "open" and not model.is_open:
        return "licence", "its weights can't be had"
    if wish.licence == "permissive" and licence not in PERMISSIVE:
        return "licence", f"its licence is {licence or 'unknown'}"
    room = model.room
    if room is None or room < wish.context:
        return "context", "its context is unknown" if room is None else f"its context is {room:,} tokens"
    output = wish.output_tokens or 0
    if model.max_output is not None and model.max_output.value < output:
        return "context", f"it answers with at most {model.max_output.value:,} tokens"
    inputs = set(model.input.value) if model.input is not None else {"text"}
    if not set(wish.input) <= inputs:
        lacking: list[str] = sorted(set(wish.input) - inputs)
        return "input", f"it is not known to read: {', '.join(lacking)}"
    for wanted, fact, what in (
        (wish.needs_tools, model.tools, "tools"),
        (wish.structured_output, model.structured_output, "structured output"),
    ):
        if wanted and (fact is None or not fact.value):
            return what, f"whether it has {what} is unknown" if fact is None else f"it has no {what}"
    if model.languages is not None and not set(wish.codes) <= set(model.languages.value):
        lacking = sorted(set(wish.codes) - set(model.languages.value))
        return "languages", f"its maker does not name: {', '.join(lacking)}"
    return None


def _unknown(wish: Wish, model: Model) -> tuple[str, ...]:
    out = []
    if wish.codes and model.languages is None:
        out.append(f"whether it speaks {', '.join(wish.codes)}: its maker lists no languages")
    return tuple(out)


def _hosted(wish: Wish, model: Model, here: Here, prices: PriceBook) -> Candidate | tuple[str, str]:
    provider, _, name = model.name.partition("/")
    price = prices.price(provider, name)
    given, made = wish.mix
    cost = None if price is None else price.cost_nano(Usage(input_tokens=given, output_tokens=made))
    if price is None or cost is None:
        return "price", "its price is unknown"
    if wish.budget_usd is not None and cost * wish.requests > wish.budget_usd * 1e9:
        return "budget", f"it would cost ${cost * wish.requests / 1e9:,.2f} a month"
    asked_as = f"{here.names.get(provider, provider)}/{name}"
    seconds = here.latency_s.get(asked_as)
    if wish.latency_s is not None and seconds is not None and seconds > wish.latency_s:
        return "latency", f"half of its answers took longer than {seconds:.1f} s here"
    unknown = _unknown(wish, model)
    if wish.latency_s is not None and seconds is None:
        unknown += ("how long it takes: it was not asked here yet",)
    return Candidate(
        name=asked_as,
        model=model,
        nano_usd=cost,
        usd_per_mtok=price.periods[0].rates.output / 1e6,
        fit=None,
        speed=None,
        quantisation=None,
        latency_s=seconds,
        latency_measured=seconds is not None,
        guessed_s=None,
        unknown=unknown,
        is_here=here.with_keys is None or provider in here.with_keys,
    )


def _local(wish: Wish, model: Model, file: LocalFile | None, here: Here) -> Candidate | tuple[str, str]:
    quantisation = None if file is not None else wish.quantisation or usual(model)
    weights = file.size_bytes if file is not None else weight_bytes(model, quantisation or "")
    if weights is None or model.shape is None:
        return "memory", "its size or shape is unknown"
    wanted = need(weights, model.shape.value, wish.context, wish.parallel)
    place = fit(wanted, here.hardware)
    if not place.fits:
        missing = f"it needs {_gib(wanted.total)} and {_gib(place.have)} can be had"
        return "memory", missing if place.have else place.why
    read = file.active_bytes if file is not None else active_bytes(model, quantisation or "")
    is_apart = place.where == "gpu" and not here.hardware.unified
    bandwidth = here.hardware.gpu_bandwidth if is_apart else here.hardware.bandwidth
    found = None
    if bandwidth and read and place.where in {"gpu", "cpu"}:
        found = speed(bandwidth, read, wanted.cache // wish.parallel)
    name = file.target if file is not None and file.target else f"llama/{model.name}"
    _, made = wish.mix
    seconds = here.latency_s.get(name)
    measured = seconds is not None
    if seconds is None and found is not None:
        seconds = made / found.usual
    if wish.latency_s is not None and seconds is not None:
        least = seconds if measured or found is None else made / found.high
        if least > wish.latency_s:
            return "latency", f"an answer of {made:,} tokens would take {seconds:.0f} s here"
    unknown = _unknown(wish, model)
    if wish.latency_s is not None and seconds is None:
        unknown += ("how fast it is here: measure with --probe-speed",)
    return Candidate(
        name=name,
        model=model,
        nano_usd=0,
        usd_per_mtok=None,
        fit=place,
        speed=found,
        quantisation=quantisation,
        latency_s=seconds,
        latency_measured=measured,
        guessed_s=None if seconds is not None or not read else made / _guess(place, read),
        unknown=unknown,
        is_here=file is not None,
    )


def _guess(place: Fit, read: int) -> float:
    """Tokens a second on memory of the usual speed."""
    return speed(USUAL_GPU_BANDWIDTH if place.where == "gpu" else USUAL_BANDWIDTH, read).usual


def known_as(file: Model, known: Model | None) -> Model:
    """A file's own facts, with what the catalogue knows of the model of that name beside them."""
    if known is None:
        return file
    own: dict[str, Any] = {  # Any: facts of several types
        name: fact for name, fact in file.facts() if fact is not None
    }
    return structs.replace(known, name=file.name, file_bytes=None, **own)


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"
