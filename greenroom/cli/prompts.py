"""`greenroom prompts`: versions, labels, differences, the lint. A running server notices within a second."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import App, Parameter

from greenroom.cli.output import console, fail, print_json, print_table, printable
from greenroom.cli.place import FINDINGS, FINE, USAGE, Here, Place
from greenroom.prompts.files import Form, dumps
from greenroom.prompts.version import PRODUCTION, parse_reference

if TYPE_CHECKING:
    from greenroom.assembly.promptdesk import PromptDesk
    from greenroom.prompts.lint import Finding

app = App(
    name="prompts", help="Keep prompts as versions: add, compare, promote, roll back, lint, move to files."
)

_WHO = "command line"
_COLUMNS = ("name", "newest", "labels", "description", "updated")
Record = dict[str, Any]  # Any: JSON


def _desk(place: Place) -> "PromptDesk":
    from greenroom.assembly.promptdesk import PromptDesk  # noqa: PLC0415  # as Place.open: it is large

    return PromptDesk(place.open())


@app.command(name="list")
def list_prompts(*, json: bool = False, place: Here) -> int:
    """List prompts with their labels.

    Parameters
    ----------
    json
        Print a JSON array.
    """
    rows = _desk(place).prompts()
    if json:
        print_json(rows)
        return FINE
    print_table(
        _COLUMNS,
        [
            (one["name"], one["newest"], _labels(one["labels"]), one["description"], one["updated_at"][:19])
            for one in rows
        ],
    )
    return FINE


@app.command
def show(
    prompt: str,
    /,
    *,
    set: Annotated[list[str] | None, Parameter(name=["--set"], negative=())] = None,
    model: str | None = None,
    json: bool = False,
    place: Here,
) -> int:
    """Show a version as its file, with its labels; or filled, with what each part costs.

    Parameters
    ----------
    prompt
        NAME, NAME@3 or NAME@label; the name alone is its production, else its newest version.
    set
        A value, as question="Where is it?" or count=3; may be given more than once. Shows the prompt filled.
    model
        Who would answer, for what depends on that.
    json
        Print JSON.
    """
    desk = _desk(place)
    version = desk.registry.find(prompt)
    if set is not None:
        values = _values(set)
        if isinstance(values, str):
            return fail(values, USAGE)
        compiled = desk.compiled(version.reference, values, model)
        if json:
            print_json(compiled)
            return FINE
        for message in compiled.messages:
            print(f"--- {message['role']}\n{printable(message['content'])}")
        print("---")
        print_table(("part", "name", "tokens"), [(one.kind, one.name, one.tokens) for one in compiled.parts])
        print(f"About {compiled.tokens} tokens.")
        for note in compiled.notes:
            print(f"Note: {note}.")
        return FINE
    if json:
        print_json(desk.show(version.name, str(version.number)))
        return FINE
    labels = ", ".join(desk.registry.labels_of(version)) or "none"
    print(f"# {version.reference}; labels: {labels}")
    print(printable(dumps(version)), end="")
    return FINE


@app.command
def diff(prompt: str, before: str, after: str | None = None, /, *, json: bool = False, place: Here) -> int:
    """Show what differs between two versions, word by word: [-gone-] and {+new+}.

    Parameters
    ----------
    prompt
        The prompt's name, or one version of it: support@1.
    before
        A version's number or a label; or the other version, where the first was named so: support@2.
    after
        Another one.
    json
        Print JSON.
    """
    if after is None:
        (prompt, _, first), (other, _, after) = prompt.partition("@"), before.partition("@")
        if not (first and after) or prompt != other:
            return fail(f"Say which two versions: greenroom prompts diff {prompt} 1 2.", USAGE)
        before = first
    found = _desk(place).diff(prompt, before, after)
    if json:
        print_json(found)
        return FINE
    if not found["differences"]:
        print(f"Versions {found['from']} and {found['to']} say the same.")
    out = console()
    for one in found["differences"]:
        out.print(f"@ {one['place']}", style="bold")
        if not one["runs"]:
            print(f"[-{_json(one['before'])}-] {{+{_json(one['after'])}+}}")
            continue
        for run in one["runs"]:
            text = printable(run["text"])
            if run["kind"] == "removed":
                out.print(f"[-{text}-]", style="red", end="")
            elif run["kind"] == "added":
                out.print(f"{{+{text}+}}", style="green", end="")
            else:
                out.print(text, end="")
        print()
    return FINE


@app.command
def add(
    file: Path, /, *, label: str | None = None, force: bool = False, json: bool = False, place: Here
) -> int:
    """Store a file (.toml or .json) as the next version of its prompt.

    Errors of the lint refuse it. A file that says the same as the newest version makes no new one.

    Parameters
    ----------
    file
        The prompt's file.
    label
        A label that is to stand for the version at once.
    force
        Store it in spite of errors.
    json
        Print JSON.
    """
    from greenroom.prompts.files import read_file  # noqa: PLC0415  # used here alone

    added = _desk(place).add(read_file(file), force=force, by=_WHO, label=label)
    if json:
        print_json(added)
        return FINE
    _print_findings([("", added["findings"])])
    said = "Stored" if added["is_new"] else "Nothing new: it is"
    print(f"{said} {added['name']}@{added['number']}{f', labelled {label}' if label else ''}.")
    return FINE


@app.command
def promote(
    prompt: str, /, label: str = PRODUCTION, *, note: str = "", json: bool = False, place: Here
) -> int:
    """Let a label stand for a version.

    Parameters
    ----------
    prompt
        NAME@3 or NAME@label; the name alone is its newest version.
    label
        The label.
    note
        Why, for the history.
    json
        Print JSON.
    """
    try:
        reference = parse_reference(prompt)
    except ValueError as error:
        return fail(f"{error}.", USAGE)
    selector = "latest" if reference.selector is None else reference.selector
    moved = _desk(place).promote(reference.name, selector, label, by=_WHO, note=note)
    return _moved(moved, json=json)


@app.command
def rollback(
    prompt: str, /, label: str = PRODUCTION, *, note: str = "", json: bool = False, place: Here
) -> int:
    """Let a label stand for the version it stood for before.

    Parameters
    ----------
    prompt
        The prompt's name.
    label
        The label.
    note
        Why, for the history.
    json
        Print JSON.
    """
    return _moved(_desk(place).rollback(prompt, label, by=_WHO, note=note), json=json)


@app.command
def lint(what: str, /, *, json: bool = False, place: Here) -> int:
    """Hold a prompt to the rules; exit 1 where there are errors.

    Parameters
    ----------
    what
        A file, a folder, or a stored prompt: NAME, NAME@3 or NAME@label.
    json
        Print JSON.
    """
    desk, path = _desk(place), Path(what)
    if path.exists():
        found = desk.lint_path(path)
    elif re.search(r"[/\\]|\.(?:toml|json)\Z", what):
        return fail(f"There is no file or folder {what}.", USAGE)
    else:
        version, findings = desk.lint_stored(what)
        found = [(version.reference, findings)]
    errors = sum(one.severity == "error" for _, findings in found for one in findings)
    if json:
        print_json([{"prompt": name, "findings": findings} for name, findings in found])
        return FINDINGS if errors else FINE
    count = _print_findings(found)
    of = f"{len(found)} prompt{'s' if len(found) != 1 else ''}"
    print(f"{of}: {errors} errors, {count - errors} warnings." if count else f"{of}: nothing found.")
    return FINDINGS if errors else FINE


@app.command(name="import")
def take(path: Path, /, *, force: bool = False, json: bool = False, place: Here) -> int:
    """Store what a file or folder holds, with its numbers and labels: all of it or nothing.

    Parameters
    ----------
    path
        A file, or a folder as `export` writes it.
    force
        Store it in spite of errors that the lint finds.
    json
        Print JSON.
    """
    added = _desk(place).take(path, force=force, by=_WHO)
    if json:
        print_json(added)
    else:
        new = sum(one["is_new"] for one in added)
        print(f"Stored {new} versions; {len(added) - new} were there already.")
    return FINE


@app.command
def export(folder: Path, /, *names: str, form: Form = "toml", json: bool = False, place: Here) -> int:
    """Write all versions and labels as files, for git or another machine.

    Parameters
    ----------
    folder
        Where to; it is made if it is not there.
    names
        Prompts; without any, all.
    form
        The form of the files.
    json
        Print the files that were written as a JSON array.
    """
    written = _desk(place).export(folder, names, form)
    if json:
        print_json([str(one) for one in written])
    else:
        print(f"Wrote {len(written)} files to {folder}.")
    return FINE


def _moved(moved: Record, *, json: bool) -> int:
    if json:
        print_json(moved)
    elif moved["before"] == moved["version"]:
        print(f"'{moved['label']}' of {moved['prompt']} stands for version {moved['version']} already.")
    else:
        before = "no version" if moved["before"] is None else f"version {moved['before']}"
        print(f"'{moved['label']}' of {moved['prompt']}: from {before} to version {moved['version']}.")
    return FINE


def _print_findings(found: "list[tuple[str, list[Finding]]]") -> int:
    count = 0
    for name, findings in found:
        for one in msgspec.to_builtins(findings):
            count += 1
            where = f"{name}: {one['place']}" if name else one["place"]
            print(printable(f"{where}: {one['severity']} {one['rule']}: {one['message']} {one['remedy']}"))
    return count


def _values(given: list[str]) -> dict[str, str] | str:
    """Values by name. A sentence for what is no value."""
    values: dict[str, str] = {}
    for one in given:
        name, mark, text = one.partition("=")
        if not mark or not name:
            return f"'{one}' is no value: write NAME=VALUE."
        values[name] = text
    return values


def _labels(labels: dict[str, int]) -> str:
    return ", ".join(f"{label}={number}" for label, number in labels.items())


def _json(value: object) -> str:
    return printable(msgspec.json.encode(value).decode())
