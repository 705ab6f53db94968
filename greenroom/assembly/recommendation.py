"""Which model to choose, asked of this installation: its catalogue, machine, files, keys, traces."""

from collections.abc import Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final

from msgspec import DecodeError, Struct, ValidationError, convert, structs, to_builtins
from msgspec.json import Decoder

from greenroom.assembly.audit import Audit
from greenroom.assembly.house import House
from greenroom.assembly.llama import TRAINED
from greenroom.assembly.trained_files import trained_files
from greenroom.errors import GreenroomError, MalformedRequest, NotFound
from greenroom.models.catalog import PROVIDERS, seller
from greenroom.models.catalogue.candidates import Here, LocalFile, known_as
from greenroom.models.catalogue.catalogue import Catalogue, open_catalogue, replace_catalogue
from greenroom.models.catalogue.facts import Fact, Model
from greenroom.models.catalogue.files import active_share, shape_of
from greenroom.models.catalogue.hardware import Hardware, parse_hardware, probe
from greenroom.models.catalogue.quality import Seen
from greenroom.models.catalogue.recommend import recommend
from greenroom.models.catalogue.speed import measure_bandwidth
from greenroom.models.catalogue.weights import UnknownQuantisation
from greenroom.models.catalogue.wish import Wish
from greenroom.models.gguf import NotGGUF, read_head
from greenroom.models.prices import Price, PriceBook
from greenroom.models.pullable import catalogue as pullable
from greenroom.models.pulled import Pulled, all_pulled
from greenroom.store.by_model import Usual
from greenroom.store.evals import EvalStore, RunRow

Record = dict[str, Any]  # Any: JSON

EVALS: Final = "evals.db"
LATEST_RUNS: Final = 50
MOST_ITEMS: Final = 20_000
"""Evaluated answers that are looked at, those of the newest runs first."""
PROBE_AGAIN_S: Final = 10.0
NO_QUALITY: Final = frozenset({"latency", "cost", "tokens", "refused", "failed", "refusal", "pii"})
"""Names of scores that say something else than how good an answer is, where a run does not say it itself."""
_FILE, _ENGINE = "file", "engine"
_OTHERWISE = {_FILE: "the head of the file", _ENGINE: "grammars of the local engine"}
"""What is no source of the catalogue."""


class _Output(Struct):
    model: str | None = None


class _Metric(Struct):
    name: str
    higher_is_better: bool = True
    unit: str = ""


class _Settings(Struct):
    """Of what is kept with a run, what its scores mean."""

    metrics: tuple[_Metric, ...] = ()


class _Score(Struct):
    name: str
    value: float | None = None


_output = Decoder(_Output)
_scores = Decoder(list[_Score])
_settings = Decoder(_Settings)


class Recommender:
    """Answers about models, from what this house knows."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._prices = PriceBook.load()
        self._probed: tuple[float, Hardware] | None = None

    def catalogue(self) -> Catalogue:
        """The catalogue that counts here. Raises: RequestError, StoreError."""
        return open_catalogue(self._house.data)

    def recommend(self, wish: Wish, project: str | None = None, *, fast: bool = False) -> Record:
        """Three answers to a wish, as `models.catalogue.recommend` has them.

        `fast` measures its memory for five seconds. What
        was seen in one project, where it is named, else in all. Blocks. Raises: RequestError, StoreError.
        """
        try:
            machine = parse_hardware(wish.hardware, self._machine)
        except ValueError as error:
            raise MalformedRequest(f"{error}.", "hardware") from None
        if fast and machine.bandwidth is None and not machine.said:
            machine = structs.replace(machine, bandwidth=measure_bandwidth(threads=machine.processors or 1))
        scored, usual = self._house.traces.by_model(project)
        traced = {one.model: Seen(one.traces, one.total, f"{one.traces} scored traces") for one in scored}
        seen: dict[str, Seen] = {}
        for found in (self._evaluated(project), traced):
            for name, more in found.items():
                called = self._local_name(name)
                seen[called] = _joined(seen[called], more) if called in seen else more
        try:
            return recommend(
                wish,
                self.catalogue(),
                self._here(machine, usual, project),
                seen,
                self._prices,
                datetime.now(UTC).date(),
            )
        except UnknownQuantisation as error:
            raise MalformedRequest(f"{error}.", "quantisation") from None

    def _machine(self) -> Hardware:
        """The machine, looked at again after a while: a look may start a program."""
        now = monotonic()
        if self._probed is None or now - self._probed[0] > PROBE_AGAIN_S:
            self._probed = now, probe()
        return self._probed[1]

    def show(self, name: str) -> Record:
        """All facts of a model with their sources, those that are not known as None. Raises: NotFound."""
        catalogue = self.catalogue()
        bare = name.removeprefix("llama/")
        model = catalogue.find(name)
        for one in all_pulled(self._house.data):
            if one.name == bare:
                model = _file_facts(one, model) or model
        if model is None:
            close = [one for one in catalogue.models if bare.lower() in one.lower()][:8]
            hint = f" Some that are: {', '.join(close)}." if close else ""
            raise NotFound(f"'{name}' is not in the catalogue, nor among the files here.{hint}")
        provider, _, rest = model.name.partition("/")
        price = self._prices.price(provider, rest) if rest else None
        return {
            "name": model.name,
            "kind": model.kind,
            "price": _price(price, self._prices.edition),
            "facts": {key: _fact(catalogue, one) for key, one in model.facts()},
            "catalogue": {"edition": catalogue.edition, "sha256": catalogue.sha256},
        }

    def brief(self, name: str) -> Record | None:
        """The facts of a target that lists show, or None for one that is not in the catalogue."""
        try:
            model = self.catalogue().find(self._catalogue_name(name))
        except GreenroomError:  # a broken catalogue is told where facts are what is asked for
            return None
        if model is None:
            return None
        wanted = ("input", "tools", "structured_output", "reasoning", "licence", "end_of_life", "parameters")
        return {key: None if one is None else one.value for key, one in model.facts() if key in wanted}

    def replace(self, content: bytes, sha256: str, origin: str, by: str) -> Catalogue:
        """Take another catalogue in, and write down who did. Raises: RequestError, StoreError."""
        made = replace_catalogue(self._house.folder(), content, sha256, origin)
        about = {"edition": made.edition, "sha256": made.sha256, "from": origin, "models": len(made.models)}
        Audit(self._house).note(by, "models.update", about)
        return made

    def _here(self, machine: Hardware, usual: Usual, project: str | None) -> Here:
        house = self._house
        catalogue = self.catalogue()
        files = []
        for one in all_pulled(house.data):
            found = _local_file(one, catalogue.find(one.name))
            if found is not None:
                files.append(found)
        files += trained_files(house, project)
        names = {family: name for name, family in self._families().items()}
        with_keys = frozenset(
            family
            for family in PROVIDERS
            if house.models.target(f"{names.get(family, family)}/any") is not None
        )
        return Here(
            hardware=machine,
            files=tuple(files),
            pullable=frozenset(pullable()),
            with_keys=with_keys,
            names=names,
            latency_s={self._local_name(name): value for name, value in usual.seconds.items()},
            input_tokens=usual.input_tokens,
            output_tokens=usual.output_tokens,
        )

    def _families(self) -> dict[str, str]:
        """Providers that are configured under a name of their own, and whose models they sell."""
        tables = self._house.config.providers
        found: dict[str, str] = {}
        for name, table in tables.items():
            family = seller(table.base_url) if table.base_url else table.kind
            is_other = name not in PROVIDERS and family not in tables and family not in found.values()
            if is_other and family in PROVIDERS:
                found[name] = family
        return found

    def _catalogue_name(self, target: str) -> str:
        """How the catalogue calls a target."""
        provider, _, model = self._local_name(target).partition("/")
        return f"{self._families().get(provider, provider)}/{model}"

    def _local_name(self, target: str) -> str:
        """`llama/NAME` for a model that a provider of kind `llama` runs, else the target as it is."""
        provider, _, model = target.partition("/")
        table = self._house.config.providers.get(provider)
        is_local = table is not None and table.kind == "llama" and provider != TRAINED
        return f"llama/{model}" if is_local else target

    def _evaluated(self, project: str | None) -> dict[str, Seen]:
        """Scores of the latest evaluation runs by target: each sample of a data set once."""
        if not (self._house.data / EVALS).exists():
            return {}
        store = self._house.evals
        return _by_model(store, store.runs(project, LATEST_RUNS))


def _by_model(store: EvalStore, runs: list[RunRow]) -> dict[str, Seen]:
    values: dict[str, dict[tuple[str, str], list[float]]] = {}
    sets: dict[str, set[str]] = {}
    done: set[tuple[str, str, str]] = set()
    left = MOST_ITEMS
    for run in runs:
        left -= run.total
        if left < 0:
            break
        mine: set[tuple[str, str, str]] = set()
        metrics = _metrics(run)
        for item in store.items(run.id):
            model, value = _read_item(item.output, item.scores, metrics)
            if model is None or value is None or (model, run.data, item.sample) in done:
                continue
            mine.add((model, run.data, item.sample))
            values.setdefault(model, {}).setdefault((run.data, item.sample), []).append(value)
            sets.setdefault(model, set()).add(run.data)
        done |= mine
    return {
        model: Seen(
            len(samples), sum(sum(one) / len(one) for one in samples.values()),
            f"{len(samples)} evaluated answers of {len(sets[model])} data sets",
        )
        for model, samples in values.items()
    }  # fmt: skip


def _metrics(run: RunRow) -> frozenset[str] | None:
    """The names of a run's scores of quality; None where it does not say what they mean."""
    try:
        found = _settings.decode(run.settings).metrics
    except (DecodeError, ValidationError, UnicodeDecodeError):
        return None
    return frozenset(one.name for one in found if one.higher_is_better and not one.unit) if found else None


def _read_item(
    output: bytes, scores: bytes, metrics: frozenset[str] | None
) -> tuple[str | None, float | None]:
    """Which target answered, and the average of its scores of quality."""
    try:
        model = _output.decode(output).model
        found = [
            one.value
            for one in _scores.decode(scores)
            if one.value is not None
            and 0 <= one.value <= 1
            and (one.name not in NO_QUALITY if metrics is None else one.name in metrics)
        ]
    except (DecodeError, ValidationError, UnicodeDecodeError):
        return None, None
    return model, sum(found) / len(found) if found else None


def _joined(first: Seen, second: Seen) -> Seen:
    return Seen(first.answers + second.answers, first.total + second.total, f"{first.what}, {second.what}")


def _local_file(one: Pulled, known: Model | None) -> LocalFile | None:
    made = _file_facts(one, known)
    if made is None or made.shape is None:
        return None
    try:
        share = active_share(read_head(one.path))
    except NotGGUF:
        return None
    return LocalFile(one.name, made, one.size_bytes, round(one.size_bytes * share))


def _file_facts(one: Pulled, known: Model | None) -> Model | None:
    """What a file says of itself, and the catalogue of the model of that name; None for no GGUF."""
    try:
        head = read_head(one.path)
    except NotGGUF:
        return None
    shape = shape_of(head)
    own = Model(
        name=one.name,
        kind="open",
        input=None if known is not None else Fact(["text"], _FILE),
        structured_output=Fact(True, _ENGINE),
        context=Fact(head.context, _FILE) if head.context else None,
        parameters=Fact(head.parameters, _FILE),
        shape=Fact(shape, _FILE) if shape is not None else None,
        licence=Fact(one.source.licence, _FILE, one.source.url) if one.source.licence else None,
    )
    return known_as(own, known)


def _fact(catalogue: Catalogue, fact: Fact[object] | None) -> Record | None:
    if fact is None:
        return None
    source = catalogue.sources.get(fact.source)
    return {
        "value": to_builtins(fact.value),
        "source": source.title if source is not None else _OTHERWISE.get(fact.source, fact.source),
        "url": fact.url or (source.url if source is not None else ""),
        "date": source.date if source is not None else None,
    }


def _price(price: Price | None, edition: str) -> Record | None:
    if price is None:
        return None
    rates = price.periods[0].rates
    return {
        "usd_per_million_tokens": {
            "input": rates.input / 1e6, "cached": rates.cached / 1e6, "output": rates.output / 1e6
        },
        "source": edition,
    }  # fmt: skip


def as_wish(values: Mapping[str, Any]) -> Wish:  # Any: JSON
    """A wish from what was typed or sent. Raises: MalformedRequest naming the field."""
    try:
        return convert(dict(values), Wish)
    except ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        raise MalformedRequest(f"'{place.rstrip('`')}': {message}." if place else f"{message}.") from None
