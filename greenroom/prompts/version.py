"""One immutable version of a prompt, and what it is made of.

Knows shapes and what contradicts them; filling is `compile.py`, files are `files.py`, judging is `lint`.
A template holds `{{name}}` where a variable goes and `{{> name}}` where a partial goes; a backslash before
two braces makes them plain.
"""

import re
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import UNSET, Meta, Struct

Json = dict[str, Any]  # Any: JSON, whose fields are the user's own
Role = Literal["system", "developer", "user", "assistant"]
VariableType = Literal["string", "integer", "number", "boolean", "list", "object", "enum"]
Language = Literal["en", "pt", "es"]

PROMPT_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z"
LABEL_NAME = r"^[A-Za-z][A-Za-z0-9._-]{0,63}\Z"
"""A label begins with a letter: what begins with a digit is a version's number."""
VARIABLE_NAME = r"^[A-Za-z_][A-Za-z0-9_]{0,63}\Z"
PRODUCTION = "production"
LATEST = "latest"
"""Stands for the newest version; no label may be called so."""
MOST_ASKS = 9
"""The most answers that self-consistency may ask for."""

PromptName = Annotated[str, Meta(pattern=PROMPT_NAME)]
LabelName = Annotated[str, Meta(pattern=LABEL_NAME)]
VariableName = Annotated[str, Meta(pattern=VARIABLE_NAME)]
TEXT_LIMIT = 200_000
Template = Annotated[str, Meta(max_length=TEXT_LIMIT)]


class Message(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One chat message of the prompt; `text` is a template."""

    role: Role
    text: Template


class Variable(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What may be put in for one name."""

    type: VariableType = "string"
    default: Any = UNSET  # Any: JSON of the declared type
    """Taken where no value is given; without it a value is required."""
    description: str = ""
    choices: tuple[str, ...] = ()
    """The values an enum may have."""
    trusted: bool = False
    """The value comes from the operator, never from a user: it is put in as it is, without delimiters."""

    @property
    def is_required(self) -> bool:
        """Whether a value must be given."""
        return self.default is UNSET

    @property
    def is_text(self) -> bool:
        """Whether a value can hold words of the caller's own; numbers, booleans and choices can't."""
        return self.type in {"string", "list", "object"}

    def fault(self, value: object) -> str | None:
        """What is wrong with a value, as the end of a sentence; None where it fits."""
        fits = {
            "string": isinstance(value, str),
            "integer": isinstance(value, int) and not isinstance(value, bool),
            "number": isinstance(value, int | float) and not isinstance(value, bool),
            "boolean": isinstance(value, bool),
            "list": isinstance(value, list | tuple),
            "object": isinstance(value, dict),
            "enum": isinstance(value, str) and value in self.choices,
        }[self.type]
        if fits:
            return None
        if self.type == "enum":
            return f"must be one of {', '.join(self.choices)}"
        article = "an" if self.type[0] in "aeiou" else "a"
        return f"must be {article} {self.type}, not {_kind(value)}"

    def __post_init__(self) -> None:
        if (self.type == "enum") != bool(self.choices):
            raise ValueError("'choices' are for the type enum, and an enum needs some")
        if self.default is not UNSET and (fault := self.fault(self.default)):
            raise ValueError(f"the default {fault}")


def _kind(value: object) -> str:
    names = {str: "a string", bool: "a boolean", int: "an integer", float: "a number", type(None): "null"}
    return names.get(type(value), "a list" if isinstance(value, list | tuple) else "an object")


class Example(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A question with its right answer, shown to the model before the real question."""

    output: Annotated[str, Meta(min_length=1, max_length=TEXT_LIMIT)]
    """The answer, as the model should write it."""
    input: Template = ""
    """The question as a text of its own."""
    variables: Json = {}
    """Or the values that fill the prompt's last user message, as the real ones do."""

    def __post_init__(self) -> None:
        if bool(self.input) == bool(self.variables):
            raise ValueError("an example needs either 'input' or 'variables'")


class Examples(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Few-shot examples: all of them in their order, or the `k` most like the question."""

    items: tuple[Example, ...]
    choose: Literal["fixed", "similar"] = "fixed"
    k: Annotated[int, Meta(ge=1, le=50)] = 3
    """For "similar": how many; the most similar stands last, next to the question."""


class Techniques(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Known ways of asking, each a part of the compiled prompt with its own cost."""

    role: Template = ""
    """Who the model is: the first sentence of the system message."""
    step_by_step: Literal["off", "auto"] = "off"
    """"auto" asks for steps before the answer, but not of models that reason by themselves."""
    self_consistency: Annotated[int, Meta(ge=1, le=MOST_ASKS)] = 1
    """How often the model is asked; the answer that most agree on is taken. Every answer is paid for."""
    delimit: Literal["tags", "fences"] = "tags"
    """What stands around values that are data: `<name>` and `</name>`, or lines of `~~~`."""


class Settings(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Model settings that go with the prompt; a request's own settings win."""

    model: str | None = None
    """A configured model or `provider/model`, for callers that name none; an app's model wins."""
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    reasoning_effort: str | None = None


class OutputSchema(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The form of the answer: sent as `response_format`, held to by `conform`."""

    schema: Json
    """JSON Schema of the answer."""
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")] = "answer"
    strict: bool = True
    in_prompt: bool = False
    """Also say it in the system message, for models without structured output."""


class PromptVersion(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One version of a prompt. Never changed once stored: a change is a new number.

    Raises: ValueError for a template, partial or label that can't be (as `msgspec.ValidationError` where it
    is decoded).
    """

    name: PromptName
    messages: Annotated[tuple[Message, ...], Meta(min_length=1, max_length=100)]
    number: Annotated[int, Meta(ge=0)] = 0
    """1 and up, given by the store; 0 is not stored yet."""
    description: str = ""
    language: Language = "en"
    """The language of the sentences that techniques add."""
    variables: dict[VariableName, Variable] = {}
    partials: dict[VariableName, str] = {}
    """Pieces of other prompts: the name in `{{> name}}` → `prompt@3` or `prompt@label`."""
    examples: Examples | None = None
    techniques: Techniques = Techniques()
    settings: Settings = Settings()
    output: OutputSchema | None = None
    note: str = ""
    """Why this version was made."""
    created_at: str = ""
    """ISO 8601 in UTC, given by the store."""
    created_by: str = ""
    """The key or person, given by the store."""

    @property
    def reference(self) -> str:
        """`name@number`, or the name alone where it has no number yet."""
        return f"{self.name}@{self.number}" if self.number else self.name

    def __post_init__(self) -> None:
        for name, reference in self.partials.items():
            if parse_reference(reference).selector is None:
                raise ValueError(
                    f"the partial '{name}' must be pinned to a version or label, like '{reference}@1'"
                )


class Reference(NamedTuple):
    """Which version is meant: of `name`, the one with this number or label.

    Without a selector: that with the label `production`, or the newest where there is no such label.
    """

    name: str
    selector: int | str | None

    def __str__(self) -> str:
        return self.name if self.selector is None else f"{self.name}@{self.selector}"


def parse_reference(text: str) -> Reference:
    """Read `name`, `name@3` or `name@label`. Raises ValueError."""
    name, mark, selector = text.partition("@")
    if not re.match(PROMPT_NAME, name):
        raise ValueError(
            f"'{text[:120]}' is no prompt: a name has letters, digits and . _ -, then perhaps @version "
            "or @label"
        )
    if not mark:
        return Reference(name, None)
    if re.match(r"[1-9][0-9]{0,8}\Z", selector):
        return Reference(name, int(selector))
    if re.match(LABEL_NAME, selector):
        return Reference(name, selector)
    raise ValueError(f"'{text[:120]}': behind @ stands a version's number or a label, like @3 or @production")


PartKind = Literal[
    "text", "variable", "partial", "role", "step_by_step", "delimit", "example", "output_schema"
]  # fmt: skip


class Part(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One piece of a compiled prompt and what it costs."""

    kind: PartKind
    tokens: int
    """An estimate: see `tokens.py`."""
    name: str = ""
    """Of the variable, partial or example."""
    message: int = -1
    """The message it stands in, by its place; -1 where it is outside of them, as a schema is."""
    start: int = 0
    end: int = 0
    """Code points in that message's content, end excluded."""


class Compiled(Struct, kw_only=True, frozen=True):
    """A filled prompt, ready to send."""

    name: str
    version: int
    messages: list[dict[str, str]]
    """Chat messages: `role` and `content`."""
    fields: Json
    """Fields of a chat completions body that the prompt's settings and schema make; never `model`."""
    parts: list[Part]
    tokens: int
    """All parts together."""
    model: str | None = None
    """The model its settings name."""
    asks: int = 1
    """How many answers self-consistency wants."""
    notes: tuple[str, ...] = ()
    """What was left out or chosen, and why, for people."""
