"""`template`: a version of a prompt filled with typed variables, before the request's own messages.

Knows a source of filled prompts by contract. The caller's values are texts of the request like any other:
checks see them, masks are put into them, and the prompt is written again with what they became. What the
prompt itself says is the operator's, and no step changes it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder, encode

from greenroom.contracts import StepConfig
from greenroom.errors import Forbidden, PromptInvalid
from greenroom.exchange import Change, Edit, Exchange, Reply, Stage, Text

ASKS = "asks"
"""Where an exchange's context says how many answers are wanted, where it is more than one."""
ROUTED = "route.why"
"""Where an exchange's context says why its `route` answers."""
PINNED = "prompt.pinned"
"""Where an exchange's context may name the version to fill (`name@3`), before the step runs: an experiment's
choice goes before the app's.
"""
_TEXTS = frozenset({"input_text", "text"})


class TemplateConfig(StepConfig, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """[steps.template]: the app's prompt, filled with the variables of the request."""

    on_error: Literal["allow", "refuse"] = "refuse"  # an app without its prompt is another app


class Filled(Protocol):
    """A filled prompt; `write` fills it again with other words for the caller's values."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def fields(self) -> Mapping[str, object]: ...
    @property
    def tokens(self) -> int:
        """About how many, the caller's values aside."""
        ...

    @property
    def model(self) -> str | None:
        """The model that the prompt's settings name."""
        ...

    @property
    def taken(self) -> frozenset[str]:
        """The names that were taken from `loose`."""
        ...

    @property
    def asks(self) -> int: ...
    @property
    def given(self) -> Mapping[str, str]:
        """The caller's values that hold words, as they stand in the prompt."""
        ...

    @property
    def notes(self) -> Mapping[str, object]:
        """For the record: parts with their cost, what was left out."""
        ...

    def write(self, given: Mapping[str, str]) -> list[dict[str, object]]: ...


class Prompts(Protocol):
    """Where filled prompts come from."""

    async def fill(
        self,
        reference: str,
        variables: Mapping[str, object],
        loose: Mapping[str, str],
        *,
        model: str,
        question: str,
        effort: bool,
    ) -> Filled:
        """Fill a version for a model that is asked for by this name.

        `loose` are texts that count as values where the prompt has variables of these names; `question` is
        what examples are chosen by; `effort` says that the request asks the model to reason.
        Raises: PromptNotFound, PromptInvalid.
        """
        ...


class _Asked(Struct):
    id: str | None = None
    version: str | int | None = None
    variables: dict[str, Any] | None = None  # Any: JSON of the declared types


_asked = Decoder(_Asked)
_keys: Decoder[dict[str, Any]] = Decoder(dict[str, Any])  # Any: only the keys are looked at


class Value(Text, eq=False):
    """A caller's value; an edit of it writes the prompt again."""

    changed: Callable[[str], None] = lambda _: None

    def edit(self, edits: list[Edit]) -> Change:
        """As a text's own, and the prompt says it, too."""
        change = Text.edit(self, edits)
        self.changed(self.value)
        return change


class Template:
    """Fills the app's prompt, or the one that the request names where the app has none."""

    name = "template"
    stage: Stage = "preprocess"

    def __init__(
        self,
        config: TemplateConfig,
        prompts: Prompts,
        reference: str | None = None,
        free: frozenset[str] = frozenset(),
    ) -> None:
        """`free` are the apps without a model of their own: there the prompt's model answers."""
        self._prompts = prompts
        self._free = free
        self._reference = reference
        self._applies = config.mode == "apply"

    async def __call__(self, exchange: Exchange) -> Reply | None:
        """Put the prompt's messages before the request's, and its settings where the request has none.

        Raises: PromptNotFound; PromptInvalid naming the variable; Forbidden for a prompt that the key may
        not name.
        """
        request = exchange.request
        asked = _read(request.prompt)
        present = _keys.decode(request.before + b"[]" + request.behind)
        newest = request.newest_user
        filled = await self._prompts.fill(
            self._chosen(exchange, asked),
            {name: _plain(name, one) for name, one in (asked.variables or {}).items()},
            request.metadata or {},
            model=exchange.asked,
            question="" if newest is None else newest.value,
            effort=present.get("reasoning_effort") not in (None, "none"),
        )
        record = exchange.steps[-1]
        record.notes = {"prompt": {"name": filled.name, "version": filled.version}, **filled.notes}
        if not self._applies:
            return None
        record.outcome = "changed"
        self._put(exchange, filled)
        for name, value in filled.fields.items():
            if name not in present and not (
                name == "max_tokens" and present.get("max_completion_tokens") is not None
            ):
                request.fields[name] = encode(value)
                _note(exchange, name, value)
        if request.prompt:
            request.fields["prompt"] = b""
        if filled.taken:
            self._take_out(exchange, filled.taken)
        if filled.asks > 1:
            exchange.context[ASKS] = filled.asks
        if filled.model is not None and exchange.asked in self._free:
            may_use = not exchange.caller.apps or filled.model in exchange.caller.apps
            if not may_use:
                raise Forbidden(f"This key may not use '{filled.model}', which the prompt names.", "model")
            exchange.route = filled.model
            exchange.context[ROUTED] = "the prompt names it"
        return None

    def _take_out(self, exchange: Exchange, names: frozenset[str]) -> None:
        """What fills the prompt is no tag, and goes to the provider with the prompt alone."""
        request = exchange.request
        left = {key: one for key, one in (request.metadata or {}).items() if key not in names}
        request.fields["metadata"] = encode(left) if left else b""
        request.metadata = left
        for name in names:
            exchange.tags.pop(name, None)

    def _chosen(self, exchange: Exchange, asked: _Asked) -> str:
        pinned = exchange.context.get(PINNED)
        if isinstance(pinned, str):
            return pinned
        own = self._reference
        if own is not None:
            name = own.partition("@")[0]
            if asked.id is not None and asked.id.partition("@")[0] != name:
                raise PromptInvalid(
                    f"The app '{exchange.app}' has a prompt of its own, '{name}'. Send 'prompt' without an "
                    "id, or ask for another app.",
                    "prompt.id",
                )
            return own
        if not asked.id:
            raise PromptInvalid("'prompt.id' is missing: name a prompt.", "prompt.id")
        name, mark, selector = asked.id.partition("@")
        allowed = exchange.caller.apps
        if allowed and f"prompt:{name}" not in allowed:
            raise Forbidden(
                f"This key may not name the prompt '{name[:80]}'. It may ask for: {', '.join(allowed)}.",
                "prompt.id",
            )
        if asked.version not in (None, ""):
            return f"{name}@{asked.version}"
        return f"{name}{mark}{selector}"

    def _put(self, exchange: Exchange, filled: Filled) -> None:
        request = exchange.request
        given = dict(filled.given)
        request.filled = filled.write(given)
        if not request.filled and not request.roles:
            raise PromptInvalid("There is nothing to ask: send a message.", "messages")
        request.filled_tokens = filled.tokens

        def rewriter(name: str) -> Callable[[str], None]:
            def rewrite(value: str) -> None:
                given[name] = value
                request.filled = filled.write(given)

            return rewrite

        place = len(request.roles)
        values = [Value(place, "user", value, changed=rewriter(name)) for name, value in given.items()]
        request.texts = [*values, *request.texts]


def _read(raw: bytes) -> _Asked:
    if not raw:
        return _Asked()
    try:
        return _asked.decode(raw)
    except (ValidationError, DecodeError) as error:
        message, _, place = str(error).partition(" - at `$")
        raise PromptInvalid(f"'prompt': {message}.", f"prompt{place.rstrip('`')}") from None


def _plain(name: str, value: object) -> object:
    """A value as JSON; a text may come as OpenAI writes input, which images and files can't."""
    if isinstance(value, dict) and isinstance(kind := value.get("type"), str) and kind.startswith("input_"):
        if kind in _TEXTS and isinstance(value.get("text"), str):
            return value["text"]
        raise PromptInvalid(
            f"The variable '{name[:80]}' is of the type '{kind[:40]}'. Texts fill prompts here; send images "
            "and files as messages.",
            f"prompt.variables.{name[:80]}",
        )
    return value


def _note(exchange: Exchange, name: str, value: object) -> None:
    """What later steps look at in the request itself."""
    request = exchange.request
    if name == "max_tokens" and isinstance(value, int):
        request.max_tokens = value
    elif name == "response_format" and isinstance(value, dict):
        request.response_format = str(value["type"])
