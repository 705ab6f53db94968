"""The registry of prompts: rows of the store made into versions, and filled for requests."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from greenroom.config import AppConfig, Config
from greenroom.contracts import Encoder
from greenroom.errors import ConfigError, ModelNotFound
from greenroom.exchange import Exchange, Reply
from greenroom.prompts.compile import as_text, asked_by, choose, fill, question_of
from greenroom.prompts.ready import Ready
from greenroom.prompts.registry import Registry
from greenroom.prompts.techniques import reasons
from greenroom.prompts.version import Compiled, Part, PromptVersion, parse_reference
from greenroom.store.prompts import NewVersion, PromptStore, VersionRow

Call = Callable[[Exchange], Awaitable[Reply]]
_GIVEN_BY_STORE = ("number", "note", "created_at", "created_by")


def body_of(version: PromptVersion) -> str:
    """What a store keeps of a version: all but its number, note, and who made it when."""
    plain = msgspec.json.decode(msgspec.json.encode(version))
    return msgspec.json.encode(
        {key: one for key, one in plain.items() if key not in _GIVEN_BY_STORE}
    ).decode()


def new_version(version: PromptVersion, *, keep_number: bool = False) -> NewVersion:
    """A version to be stored; with its own number, date and maker where it is imported."""
    if keep_number and version.number:
        return NewVersion(
            name=version.name, body=body_of(version), number=version.number, note=version.note,
            created_at=version.created_at, created_by=version.created_by,
        )  # fmt: skip
    return NewVersion(name=version.name, body=body_of(version), note=version.note)


def version_of(row: VersionRow) -> PromptVersion:
    """A stored row as a version. Raises: msgspec.ValidationError for one that a newer program wrote."""
    version = msgspec.json.decode(row.body, type=PromptVersion)
    return msgspec.structs.replace(
        version, number=row.number, note=row.note, created_at=row.created_at, created_by=row.created_by
    )


def registry_of(store: PromptStore) -> Registry:
    """All that is stored. Raises: StoreError."""
    return Registry((version_of(row) for row in store.versions()), store.labels())


class PromptShelf:
    """The snapshot that requests are filled from. Answers `Prompts` of the step `template`."""

    def __init__(self, encoder: Encoder | None = None) -> None:
        self.registry = Registry()
        self.targets: Callable[[str], Sequence[str]] = lambda name: (name,)
        """The targets that may answer for a name clients ask for."""
        self.free: frozenset[str] = frozenset()
        """The apps without a model of their own: there the prompt's model answers."""
        self._encoder = encoder
        self._generation: int | None = None
        self._vectors: dict[tuple[str, int], Any] = {}  # Any: vectors of examples, one a row

    def take(self, config: Config, usual: str) -> None:
        """Know who answers; `usual` where nothing is said."""
        self.targets, self.free = targets_of(config, usual), free_of(config)

    def refresh(self, store: PromptStore) -> None:
        """Take what is stored if it changed. Costs microseconds when it did not. Raises: StoreError."""
        generation = store.generation()
        if generation != self._generation:
            self.registry = registry_of(store)
            self._generation = generation

    async def fill(
        self,
        reference: str,
        variables: Mapping[str, object],
        loose: Mapping[str, str],
        *,
        model: str,
        question: str,
        effort: bool,
    ) -> "FilledPrompt":
        """Fill a version. Raises: PromptNotFound, PromptInvalid."""
        ready = self.registry.ready(reference)
        given = {name: read(ready, name, value) for name, value in variables.items()}
        for name, text in loose.items():
            if name in ready.variables and name not in given:
                given[name] = read(ready, name, text)
        values = ready.values(given, param="prompt.variables")
        texts = {name: as_text(value) for name, value in values.items()}
        own = ready.version.settings.model
        likes = [(one, reasons(one)) for one in self.targets(own if own and model in self.free else model)]
        target = next((name for name, does in likes if does), likes[0][0] if likes else model)
        chosen, compared = await self._choose(ready, question or question_of(ready, texts))
        words = {name: texts[name] for name in given if ready.variables[name].is_text}
        taken = frozenset(given.keys() - variables.keys())

        def written(changed: Mapping[str, str]) -> Compiled:
            return fill(
                ready, {**texts, **changed}, model=target, reasoning=effort, chosen=chosen, compared=compared
            )

        return FilledPrompt(words, taken, written)

    async def _choose(self, ready: Ready, question: str) -> tuple[tuple[int, ...], str]:
        version, encoder = ready.version, self._encoder
        examples = version.examples
        if examples is None or examples.choose == "fixed" or len(examples.items) <= examples.k:
            return choose(ready, question), ""
        if encoder is None or version.language not in encoder.languages:
            return choose(ready, question), "words"
        return await asyncio.to_thread(self._by_vectors, ready, question, encoder), encoder.name

    def _by_vectors(self, ready: Ready, question: str, encoder: Encoder) -> tuple[int, ...]:
        version = ready.version
        assert version.examples is not None
        key = version.name, version.number
        vectors = self._vectors.get(key)
        if vectors is None:
            vectors = self._vectors[key] = encoder.encode([asked_by(one) for one in version.examples.items])
        asked = encoder.encode([question])[0]
        return choose(ready, question, lambda _, __: [float(one @ asked) for one in vectors])


class Routes(dict[str, Call]):
    """The models that exchanges may be sent to: those of policies, and those that prompts name."""

    def __init__(self, known: Mapping[str, Call], dispatch: Callable[[str], Call | None]) -> None:
        super().__init__(known)
        self._dispatch = dispatch

    def __missing__(self, name: str) -> Call:
        call = self._dispatch(name)
        if call is None:
            raise ModelNotFound(
                f"The prompt names the model '{name}', which is not configured here.", "model"
            )
        self[name] = call
        return call


class FilledPrompt:
    """One filled prompt: answers `Filled` of the step `template`."""

    def __init__(
        self,
        given: dict[str, str],
        taken: frozenset[str],
        written: Callable[[Mapping[str, str]], Compiled],
    ) -> None:
        self.given, self.taken = given, taken
        self._written = written
        first = written(given)
        self.name, self.version, self.fields, self.asks = first.name, first.version, first.fields, first.asks
        self.model = first.model
        counted = sum(one.tokens for one in first.parts if one.kind == "variable" and one.name in given)
        self.tokens = first.tokens - counted
        self.notes: dict[str, object] = {"tokens": first.tokens, "parts": costs(first.parts)}
        if first.notes:
            self.notes["said"] = list(first.notes)
        if first.asks > 1:
            self.notes["asks"] = first.asks

    def write(self, given: Mapping[str, str]) -> list[dict[str, object]]:
        """The messages with these words for the caller's values."""
        return [dict(one) for one in self._written(given).messages]


def targets_of(config: Config, usual: str) -> Callable[[str], Sequence[str]]:
    """The targets that may answer for an app, a configured model or `provider/model`; `usual` by default."""

    def targets(name: str) -> Sequence[str]:
        app = config.apps.get(name)
        model = app.model if app is not None else None if name == "default" else name
        model = model or usual
        found = config.models.get(model)
        return found.targets if found is not None else (model,)

    return targets


def model_of(config: Config, version: PromptVersion) -> str | None:
    """Who is asked with a prompt: its own model, else that of the first app that has it."""
    targets = targets_of(config, "")
    if version.settings.model:
        return next(iter(targets(version.settings.model)), None)
    for name, app in config.apps.items():
        if app.prompt is not None and parse_reference(app.prompt).name == version.name and app.model:
            return next(iter(targets(name)), None)
    return None


def free_of(config: Config) -> frozenset[str]:
    """The apps without a model of their own."""
    apps = {"default": AppConfig(), **config.apps}
    return frozenset(name for name, app in apps.items() if app.model is None)


def check_prompts(config: Config, source: str) -> None:
    """See to it that apps name prompts that can be. Whether they are there is seen when they are asked for.

    Raises: ConfigError naming the app.
    """
    for name, app in config.apps.items():
        if app.prompt is None:
            continue
        try:
            parse_reference(app.prompt)
        except ValueError as error:
            raise ConfigError(f"{source}: apps.{name}.prompt: {error}.") from None
        if app.pipeline == "off":
            raise ConfigError(
                f"{source}: apps.{name} has a prompt, but its pipeline is off: no step would fill it."
            )


def costs(parts: Sequence[Part]) -> list[dict[str, object]]:
    """What each kind of part costs in tokens; variables, partials and examples by their names."""
    sums: dict[tuple[str, str], int] = {}
    for one in parts:
        name = one.name if one.kind in {"variable", "partial", "example"} else ""
        sums[one.kind, name] = sums.get((one.kind, name), 0) + one.tokens
    return [
        {"kind": kind, **({"name": name} if name else {}), "tokens": tokens}
        for (kind, name), tokens in sums.items()
    ]


def read(ready: Ready, name: str, value: object) -> object:
    """A value of a request: a text is read as JSON where the variable is no text and it fits so."""
    variable = ready.variables.get(name)
    if variable is None or not isinstance(value, str) or variable.type in {"string", "enum"}:
        return value
    try:
        found = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return value
    return value if variable.fault(found) else found
