"""Rules about what a prompt is made of: variables, examples, schema, size, order, what must not be in it."""

import json
import re
from collections.abc import Iterator

from greenroom.errors import PromptInvalid, RequestError
from greenroom.prompts.compile import as_text
from greenroom.prompts.lint.finding import Detect, Finding, texts_of
from greenroom.prompts.lint.wording import names_no_form
from greenroom.prompts.ready import Find, Ready, partials_of
from greenroom.prompts.template import names, parse
from greenroom.prompts.tokens import estimate
from greenroom.prompts.version import PromptVersion

CACHED_TOKENS = 1024
"""From this many tokens on providers keep the beginning of a prompt (OpenAI, Anthropic: 1,024)."""
WINDOW_SHARE = 0.5
"""The share of a model's window past which a prompt leaves little room."""
_MARKED_BEFORE = re.compile(
    r"(?:<[\w-]+[^<>]*>|[\"'«“`]|\n(?:~{3,}|`{3,}|\"{3})[^\n]*\n|={3,}\n|-{3,}\n)[ \t\n]*\Z"
)
_MARKED_BEHIND = re.compile(r"\A[ \t\n]*(?:</[\w-]+>|[\"'»”`]|~{3,}|={3,}|-{3,})")


def variables(version: PromptVersion) -> Iterator[Finding]:
    """Undeclared and unused variables and partials, and templates that can't be read."""
    used: set[str] = set()
    for place, text in _templates(version):
        try:
            pieces = parse(text)
        except ValueError as error:
            yield Finding(
                rule="unreadable-template", severity="error", place=place, message=f"{error}.",
                remedy="Write {{name}}, or \\{{ for plain braces.",
            )  # fmt: skip
            continue
        for name in dict.fromkeys(names(pieces)):
            used.add(name)
            if name not in version.variables:
                yield Finding(
                    rule="undeclared-variable", severity="error", place=place,
                    message=f"'{{{{{name}}}}}' is not declared.",
                    remedy=f"Add [variables.{name}] with its type, or take it out.",
                )  # fmt: skip
        for name in dict.fromkeys(names(pieces, "partial")):
            if name not in version.partials:
                yield Finding(
                    rule="undeclared-partial", severity="error", place=place,
                    message=f"'{{{{> {name}}}}}' is not declared.",
                    remedy=f'Say which prompt it is: [partials] {name} = "prompt@1".',
                )  # fmt: skip
    for name in version.variables:
        if name not in used and not version.partials:  # a partial may use it
            yield Finding(
                rule="unused-variable", severity="warning", place=f"variables.{name}",
                message=f"The variable '{name}' stands in no message.",
                remedy="Put it in, or take its declaration out.",
            )  # fmt: skip


def partials(version: PromptVersion, find: Find) -> Iterator[Finding]:
    """Partials that are not there, or can't be put in."""
    try:
        wanted = partials_of(version)
        if wanted <= version.partials.keys():
            ready = Ready(version, find)
        else:
            return
    except PromptInvalid as error:
        if error.param is None or not error.param.startswith("variables."):
            yield _broken(error)
        return
    except RequestError as error:
        yield _broken(error)
        return
    except ValueError:  # told by `variables`
        return
    for name in version.partials:
        if name not in wanted:
            yield Finding(
                rule="unused-partial", severity="warning", place=f"partials.{name}",
                message=f"The partial '{name}' stands in no message.", remedy="Put it in, or take it out.",
            )  # fmt: skip
    if version.partials:
        for name in version.variables:
            if name not in ready.used:
                yield Finding(
                    rule="unused-variable", severity="warning", place=f"variables.{name}",
                    message=f"The variable '{name}' stands in no message and no partial.",
                    remedy="Put it in, or take its declaration out.",
                )  # fmt: skip


def _broken(error: RequestError) -> Finding:
    return Finding(
        rule="broken-partial", severity="error", place="partials", message=str(error),
        remedy="Pin the partial to a version that is there: name@1.",
    )  # fmt: skip


def undelimited(version: PromptVersion) -> Iterator[Finding]:
    """Trusted texts that stand between no marks. All others are put between marks when it is filled."""
    for place, text in _templates(version):
        try:
            pieces = parse(text)
        except ValueError:
            continue
        for number, piece in enumerate(pieces):
            variable = version.variables.get(piece.value) if piece.kind == "variable" else None
            if variable is None or not (variable.trusted and variable.is_text):
                continue
            before = pieces[number - 1].value if number and pieces[number - 1].kind == "text" else ""
            behind = pieces[number + 1] if number + 1 < len(pieces) else None
            after = behind.value if behind is not None and behind.kind == "text" else ""
            if not (_MARKED_BEFORE.search(before) and _MARKED_BEHIND.search(after)):
                yield Finding(
                    rule="undelimited-text", severity="warning", place=place,
                    message=f"'{{{{{piece.value}}}}}' is trusted, and stands in the prompt without marks "
                    "around it: what it says is taken as instructions.",
                    remedy="Take 'trusted' away if a user can write it, or put it between marks, like "
                    f"<{piece.value}>…</{piece.value}>.",
                )  # fmt: skip


def sensitive(version: PromptVersion, detect: Detect) -> Iterator[Finding]:
    """Secrets and personal data in what is sent with every request. Never says what they are."""
    for place, text in texts_of(version):
        for one in detect(text):
            kind = "A secret" if one.is_secret else "Personal data"
            yield Finding(
                rule="secret-in-template" if one.is_secret else "personal-data-in-template",
                severity="error" if one.is_secret else "warning", place=place,
                message=f"{kind} ({one.rule}) stands in it, at character {one.start}.",
                remedy="Take it out. What differs from request to request is a variable.",
                start=one.start, end=one.end,
            )  # fmt: skip


def examples(version: PromptVersion) -> Iterator[Finding]:
    """Examples that break the declared schema or variables."""
    if version.examples is None:
        return
    validator = None
    if version.output is not None:
        import jsonschema_rs  # noqa: PLC0415  # some megabytes, for prompts with a schema alone

        try:
            validator = jsonschema_rs.validator_for(version.output.schema)
        except ValueError as error:
            yield Finding(
                rule="broken-schema", severity="error", place="output.schema",
                message=f"This is no JSON Schema: {str(error).splitlines()[0]}.",
                remedy="Correct the schema.",
            )  # fmt: skip
    users = any(one.role == "user" for one in version.messages)
    for place, one in enumerate(version.examples.items):
        where = f"examples.items[{place}]"
        if validator is not None and (fault := _fault(validator, one.output)):
            yield Finding(
                rule="example-breaks-schema", severity="error", place=f"{where}.output", message=fault,
                remedy="Write the answer as the schema wants it: models copy examples before schemas.",
            )  # fmt: skip
        if one.variables and not users:
            yield Finding(
                rule="example-breaks-variables", severity="error", place=where,
                message="The example has variables, but no message is the user's.",
                remedy="Give it an 'input', or the prompt a message of the user.",
            )  # fmt: skip
        for name, value in one.variables.items():
            variable = version.variables.get(name)
            wrong = "is not declared" if variable is None else variable.fault(value)
            if wrong and not (variable is None and version.partials):
                yield Finding(
                    rule="example-breaks-variables", severity="error", place=f"{where}.variables.{name}",
                    message=f"The value of '{name}' {wrong}.", remedy="Give it a value as it is declared.",
                )  # fmt: skip


def _fault(validator: "object", output: str) -> str | None:
    try:
        answer = json.loads(output)
    except (ValueError, RecursionError):
        return "The answer of the example is no JSON, and the prompt has an output schema."
    error = next(iter(validator.iter_errors(answer)), None)  # type: ignore[attr-defined]  # jsonschema_rs has no stubs
    if error is None:
        return None
    path = ".".join(map(str, error.instance_path)) or "the top"
    return f"The answer of the example breaks the schema: {error.message} (at {path})."


def form(version: PromptVersion) -> Iterator[Finding]:
    """A parser is set, and nothing tells the model; or what is asked for can't go together."""
    output, techniques = version.output, version.techniques
    if output is not None and not output.in_prompt and names_no_form(version):
        yield Finding(
            rule="format-not-named", severity="warning", place="output",
            message="The answer must obey a schema, and no message says what form it has.",
            remedy="Say it in the prompt, or set output.in_prompt = true: models without structured output "
            "know of it by nothing else.",
        )  # fmt: skip
    if output is not None and techniques.step_by_step == "auto":
        yield Finding(
            rule="steps-before-schema", severity="warning", place="techniques.step_by_step",
            message="Steps are asked for, and the schema leaves them no place.",
            remedy="Put a field for the steps first in the schema, and take step_by_step out.",
        )  # fmt: skip
    if techniques.self_consistency > 1 and version.settings.temperature == 0:
        yield Finding(
            rule="pointless-self-consistency", severity="warning", place="techniques.self_consistency",
            message="At temperature 0 all answers are much the same, and each is paid for.",
            remedy="Raise settings.temperature to 0.5 or more, or ask once.",
        )  # fmt: skip


def size(version: PromptVersion, window: int | None) -> Iterator[Finding]:
    """More tokens than fit, or than leave room."""
    tokens = sum(estimate(text) for _, text in texts_of(version))
    if version.output is not None:
        tokens += estimate(json.dumps(version.output.schema, ensure_ascii=False))
    if window is None or tokens <= window * WINDOW_SHARE:
        return
    fits = tokens <= window
    yield Finding(
        rule="too-many-tokens", severity="warning" if fits else "error", place="messages",
        message=f"About {tokens} tokens before any value: {tokens * 100 // window} % of the {window} that "
        "the model takes.",
        remedy='Shorten it, show fewer examples (examples.choose = "similar"), or choose a larger model.',
    )  # fmt: skip


def order(version: PromptVersion) -> Iterator[Finding]:
    """A value before a long stretch that never changes: providers' caches then keep nothing of it."""
    first: tuple[str, str] | None = None
    behind = 0
    for place, text in _in_order(version):
        try:
            pieces = parse(text)
        except ValueError:
            return
        for piece in pieces:
            if piece.kind == "variable":
                first = first or (place, piece.value)
            elif first is not None and piece.kind == "text":
                behind += estimate(piece.value)
    if first is not None and behind >= CACHED_TOKENS:
        yield Finding(
            rule="cache-hostile-order", severity="warning", place=first[0],
            message=f"'{{{{{first[1]}}}}}' stands before about {behind} tokens that are the same in every "
            "request.",
            remedy="Put variables behind what never changes: providers cache beginnings, and charge less.",
        )  # fmt: skip


def _in_order(version: PromptVersion) -> Iterator[tuple[str, str]]:
    """The templates as they stand in the filled prompt; fixed examples are before the last user message."""
    shown = version.examples.items if version.examples and version.examples.choose == "fixed" else ()
    users = [place for place, one in enumerate(version.messages) if one.role == "user"]
    at = users[-1] if users else len(version.messages)
    yield "techniques.role", version.techniques.role
    for place, one in enumerate(version.messages):
        if place == at:
            for example in shown:
                yield "examples", _plain(example.input or " ".join(map(as_text, example.variables.values())))
                yield "examples", _plain(example.output)
        yield f"messages[{place}].text", one.text


def _plain(text: str) -> str:
    return text.replace("{{", "")


def _templates(version: PromptVersion) -> Iterator[tuple[str, str]]:
    for place, one in enumerate(version.messages):
        yield f"messages[{place}].text", one.text
    if version.techniques.role:
        yield "techniques.role", version.techniques.role
