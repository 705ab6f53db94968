"""A prompt filled: variables in, chat messages out, with every part and what it costs.

Deterministic: the same version, values, model and examples give the same bytes. A value that can hold words
of a caller's own stands between marks that it cannot end, and one sentence says that all of that is data.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from greenroom.errors import PromptInvalid
from greenroom.prompts.likeness import Likeness, by_words, most_like
from greenroom.prompts.ready import Find, Laid, Ready
from greenroom.prompts.techniques import STEPS, data_sentence, reasons, schema_sentence
from greenroom.prompts.template import parse
from greenroom.prompts.tokens import estimate
from greenroom.prompts.version import Compiled, Example, Json, Part, PartKind, PromptVersion, Variable

_Fragment = tuple[PartKind, str, str]
"""Kind, name, text."""
_Said = tuple[str, list[_Fragment]]
"""Role and what its message is made of."""
_SYSTEM = frozenset({"system", "developer"})
_PLAIN_SETTINGS = (
    "temperature", "top_p", "max_tokens", "stop", "seed", "frequency_penalty", "presence_penalty",
    "reasoning_effort",
)  # fmt: skip


def compile_prompt(
    version: PromptVersion,
    variables: Mapping[str, object] | None = None,
    *,
    find: Find | None = None,
    model: str | None = None,
    question: str | None = None,
    likeness: Likeness | None = None,
) -> Compiled:
    """Fill a prompt.

    `find` gives partials by reference; `model` is who will answer (a model that reasons by itself gets no
    "step by step"); `question` is what examples are chosen by, else the values; `likeness` compares them,
    else words do.

    Raises: PromptInvalid for a prompt that can't be filled, or variables that do not fill it;
    PromptNotFound for a partial that is not there.
    """
    ready = Ready(version, find or _nowhere)
    values = ready.values(variables or {})
    texts = {name: as_text(value) for name, value in values.items()}
    chosen = choose(ready, question or question_of(ready, texts), likeness)
    return fill(ready, texts, model=model, chosen=chosen, compared="vectors" if likeness else "words")


def _nowhere(reference: str) -> PromptVersion:
    raise PromptInvalid(f"The partial '{reference}' can't be looked up here: give 'find'.", "partials")


def as_text(value: object) -> str:
    """A value as it stands in a prompt: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def question_of(ready: Ready, texts: Mapping[str, str]) -> str:
    """What examples are chosen by where nobody asks anything else: the values put in as data."""
    return "\n".join(texts[name] for name in ready.marked if name in texts)


def asked_by(example: Example) -> str:
    """The words of an example's question."""
    return example.input or "\n".join(as_text(value) for value in example.variables.values())


def choose(ready: Ready, question: str, likeness: Likeness | None = None) -> tuple[int, ...]:
    """The places of the examples to show, in their order."""
    examples = ready.version.examples
    if examples is None:
        return ()
    places = tuple(range(len(examples.items)))
    if examples.choose == "fixed" or len(places) <= examples.k:
        return places
    compare = likeness or by_words(ready.version.language)
    return most_like(question, [asked_by(one) for one in examples.items], examples.k, compare)


def fill(
    ready: Ready,
    texts: Mapping[str, str],
    *,
    model: str | None = None,
    reasoning: bool = False,
    chosen: Sequence[int] = (),
    compared: str = "words",
) -> Compiled:
    """Chat messages from values that were looked at already (`Ready.values`, `as_text`).

    `reasoning` says that the model reasons by itself, whatever its name.
    """
    version = ready.version
    quote = _marker(ready)

    def laid_out(laid: Sequence[Laid], values: Mapping[str, str]) -> list[_Fragment]:
        fragments: list[_Fragment] = []
        for one in laid:
            if not one.is_variable:
                fragments.append(("partial" if one.partial else "text", one.partial, one.value))
            elif one.value in ready.marked:
                fragments += quote(one.value, values.get(one.value, ""))
            else:
                fragments.append(("variable", one.value, values.get(one.value, "")))
        return fragments

    said: list[_Said] = [(role, laid_out(laid, texts)) for role, laid in ready.messages]
    reasoning = reasoning or reasons(model) or version.settings.reasoning_effort not in {None, "none"}
    notes = _put_instructions(
        ready, said, laid_out(ready.role, texts), None if not reasoning else model or ""
    )
    if version.examples is not None:
        shown = [
            pair for place in chosen for pair in _shown(ready, version.examples.items[place], place, laid_out)
        ]
        users = [place for place, (role, _) in enumerate(said) if role == "user"]
        at = users[-1] if users else len(said)
        said[at:at] = shown
        if version.examples.choose == "similar" and len(version.examples.items) > version.examples.k:
            names = ", ".join(str(place + 1) for place in chosen)
            plural = "" if len(chosen) == 1 else "s"
            notes.append(
                f"example{plural} {names} of {len(version.examples.items)} chosen, compared by {compared}"
            )
    messages, parts = _written(said)
    fields = _fields(version)
    if version.output is not None:
        parts.append(
            Part(kind="output_schema", name=version.output.name,
                 tokens=estimate(json.dumps(version.output.schema, ensure_ascii=False)))
        )  # fmt: skip
    return Compiled(
        name=version.name, version=version.number, messages=messages, fields=fields, parts=parts,
        tokens=sum(one.tokens for one in parts), model=version.settings.model,
        asks=version.techniques.self_consistency, notes=tuple(notes),
    )  # fmt: skip


# what stands around values


def _marker(ready: Ready) -> Callable[[str, str], list[_Fragment]]:
    if ready.version.techniques.delimit == "fences":
        return _fenced
    closing = _closing(ready.marked)

    def tagged(name: str, value: str) -> list[_Fragment]:
        if "<" in value:
            value = closing.sub("‹", value)
        return [("delimit", name, f"<{name}>"), ("variable", name, value), ("delimit", name, f"</{name}>")]

    return tagged


@lru_cache(256)
def _closing(names: tuple[str, ...]) -> re.Pattern[str]:
    """The `<` of whatever looks like one of our marks: in a value it becomes ‹, so that none can be ended."""
    wanted = "|".join(names) or "(?!)"
    return re.compile(rf"<(?=[^\w<>]{{0,8}}(?:{wanted})[^\w]|[^\w<>]{{0,8}}(?:{wanted})\Z)", re.IGNORECASE)


def _fenced(name: str, value: str) -> list[_Fragment]:
    longest = max((len(run) for run in re.findall("~+", value)), default=0)
    fence = "~" * max(3, longest + 1)
    return [
        ("delimit", name, f"\n{fence} {name}\n"),
        ("variable", name, value),
        ("delimit", name, f"\n{fence}\n"),
    ]


# the parts


def _put_instructions(
    ready: Ready, said: list[_Said], role: list[_Fragment], reasoner: str | None
) -> list[str]:
    """Put what techniques say into the first system message, which is made where there is none; notes."""
    version, notes = ready.version, list[str]()
    techniques, language = version.techniques, version.language
    ahead: list[_Fragment] = [("role" if kind == "text" else kind, name, text) for kind, name, text in role]
    behind: list[_Fragment] = []
    if ready.marked:
        behind.append(("delimit", "", data_sentence(language, techniques.delimit, ready.marked)))
    if version.output is not None and version.output.in_prompt:
        behind.append(
            ("output_schema", version.output.name, schema_sentence(language, version.output.schema))
        )
    if techniques.step_by_step == "auto":
        if reasoner is not None:
            notes.append(f"step by step left out: {reasoner or 'the model'} reasons by itself")
        else:
            behind.append(("step_by_step", "", STEPS[language]))
    if not (ahead or behind):
        return notes
    if not said or said[0][0] not in _SYSTEM:
        said.insert(0, ("system", []))
    own = said[0][1]
    whole: list[_Fragment] = [*ahead]
    if ahead and own:
        whole.append(("text", "", "\n\n"))
    whole += own
    for kind, name, text in behind:
        whole.append((kind, name, f"\n\n{text}" if whole else text))
    said[0] = (said[0][0], whole)
    return notes


def _shown(
    ready: Ready,
    example: Example,
    place: int,
    laid_out: Callable[[Sequence[Laid], Mapping[str, str]], list[_Fragment]],
) -> list[_Said]:
    """A question and its answer, as two messages."""
    name = str(place + 1)
    if example.variables:
        question = ready.question
        if question is None:
            raise PromptInvalid(
                f"Example {name} of '{ready.version.reference}' has variables, but no message is the user's. "
                "Give it an 'input'.",
                f"examples.items[{place}]",
            )
        values = ready.values({**_defaults(ready.variables), **example.variables}, param="examples")
        texts = {key: as_text(value) for key, value in values.items()}
        asked = "".join(text for _, _, text in laid_out(question, texts))
    else:
        asked = "".join(one.value for one in parse(example.input))
    return [("user", [("example", name, asked)]), ("assistant", [("example", name, example.output)])]


def _defaults(variables: Mapping[str, Variable]) -> dict[str, object]:
    """Something for every variable that an example may leave out."""
    return {
        name: variable.choices[0] if variable.choices else {"string": "", "integer": 0, "number": 0,
            "boolean": False, "list": [], "object": {}}.get(variable.type)
        for name, variable in variables.items() if variable.is_required
    }  # fmt: skip


def _written(said: Sequence[_Said]) -> tuple[list[dict[str, str]], list[Part]]:
    messages: list[dict[str, str]] = []
    parts: list[Part] = []
    for place, (role, fragments) in enumerate(said):
        at = 0
        for kind, name, text in fragments:
            if text:
                parts.append(
                    Part(kind=kind, name=name, message=place, start=at, end=at + len(text),
                         tokens=estimate(text))
                )  # fmt: skip
                at += len(text)
        messages.append({"role": role, "content": "".join(text for _, _, text in fragments)})
    return messages, parts


def _fields(version: PromptVersion) -> Json:
    settings = version.settings
    fields: Json = {
        name: list(value) if isinstance(value, tuple) else value
        for name in _PLAIN_SETTINGS
        if (value := getattr(settings, name)) is not None
    }
    output = version.output
    if output is not None:
        form = {"name": output.name, "schema": output.schema, "strict": output.strict}
        fields["response_format"] = {"type": "json_schema", "json_schema": form}
    return fields
