"""What the API and the command line ask of prompts, answered from the store."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from greenroom.assembly.audit import Audit
from greenroom.assembly.house import House
from greenroom.assembly.prompts import model_of, new_version, read
from greenroom.errors import NotFound, PromptInvalid
from greenroom.prompts.compile import compile_prompt
from greenroom.prompts.diff import diff
from greenroom.prompts.files import Form, read_file, read_folder, write_folder
from greenroom.prompts.registry import Registry
from greenroom.prompts.version import LATEST, Compiled, PromptVersion, parse_reference

if TYPE_CHECKING:
    from greenroom.assembly.promptlint import PromptLint
    from greenroom.prompts.lint import Finding

Record = dict[str, Any]  # Any: JSON
_MOST_TOLD = 3


class PromptDesk:
    """Prompts of one data folder: read, stored, compared, promoted, rolled back, linted, moved to files."""

    def __init__(self, house: House) -> None:
        self._house = house

    @property
    def registry(self) -> Registry:
        """All that is stored now. Raises: StoreError."""
        return self._house.stored_prompts()

    def prompts(self) -> list[Record]:
        """Every prompt with its labels, by name."""
        registry = self.registry
        rows = []
        for name, versions in sorted(registry.versions.items()):
            newest = versions[max(versions)]
            rows.append({
                "name": name, "object": "prompt", "newest": newest.number, "versions": len(versions),
                "labels": registry.labels.get(name, {}), "description": newest.description,
                "updated_at": newest.created_at,
            })  # fmt: skip
        return rows

    def show(self, name: str, selector: str | None) -> Record:
        """One version, and what there is of its prompt. Raises: PromptNotFound."""
        registry = self.registry
        version = registry.find(f"{name}@{selector}" if selector else name)
        return {
            **plain(version), "object": "prompt.version", "labels": registry.labels_of(version),
            "prompt": {
                "labels": registry.labels.get(name, {}),
                "versions": [
                    {"number": one.number, "note": one.note, "created_at": one.created_at,
                     "created_by": one.created_by}
                    for one in registry.versions[name].values()
                ],
                "moves": msgspec.to_builtins(self._house.prompts.moves(name)),
            },
        }  # fmt: skip

    def compiled(self, reference: str, texts: Mapping[str, str], model: str | None = None) -> Compiled:
        """A version filled, with its parts; texts are read as their variables' types.

        Raises: PromptNotFound, PromptInvalid.
        """
        ready = self.registry.ready(reference)
        return self.filled(reference, {name: read(ready, name, text) for name, text in texts.items()}, model)

    def filled(self, reference: str, variables: Mapping[str, object], model: str | None = None) -> Compiled:
        """A version filled with typed values. Raises: PromptNotFound, PromptInvalid."""
        registry = self.registry
        version = registry.find(reference)
        return compile_prompt(
            version, variables, find=registry.find, model=model or model_of(self._house.config, version)
        )

    def add(
        self, version: PromptVersion, *, force: bool, by: str, address: str = "", after: int | None = None,
        label: str | None = None,
    ) -> Record:  # fmt: skip
        """Store a version that has no errors, or is forced; `label` is set to it at once.

        Raises: PromptInvalid for errors that the lint finds; Conflict.
        """
        findings = self.rules.version(version, self.registry)
        if _errors(findings) and not force:
            raise PromptInvalid(_told(version, findings), "force")
        if label == LATEST:
            raise PromptInvalid(
                "'latest' always stands for the newest version: choose another label.", "label"
            )
        added = self._house.prompts.add([new_version(version)], who=by, after=after)[0]
        about = {"prompt": added.name, "version": added.number, "forced": force and bool(_errors(findings))}
        if added.is_new:
            self._note(by, "prompt.version", about, address)
        if label is not None:
            self.promote(added.name, added.number, label, by=by, address=address)
        return {
            "object": "prompt.version", "name": added.name, "number": added.number, "is_new": added.is_new,
            "findings": msgspec.to_builtins(findings),
        }  # fmt: skip

    def promote(
        self, name: str, selector: str | int, label: str, *, by: str, address: str = "", note: str = ""
    ) -> Record:
        """Let a label stand for a version. Raises: PromptNotFound, PromptInvalid."""
        _check_label(label)
        version = self.registry.find(f"{name}@{selector}")
        before, after = self._house.prompts.move(name, label, version.number, who=by, note=note)
        if before != after:
            self._note(by, "prompt.label", _moved(name, label, before, after), address)
        return {"object": "prompt.label", **_moved(name, label, before, after)}

    def unlabel(self, name: str, label: str, *, by: str, address: str = "") -> Record:
        """Take a label away. Raises: PromptNotFound."""
        before, after = self._house.prompts.move(name, label, None, who=by)
        self._note(by, "prompt.label", _moved(name, label, before, after), address)
        return {"object": "prompt.label", **_moved(name, label, before, after)}

    def rollback(self, name: str, label: str, *, by: str, address: str = "", note: str = "") -> Record:
        """Let a label stand for what it stood for before. Raises: PromptNotFound, Conflict."""
        before, after = self._house.prompts.rollback(name, label, who=by, note=note)
        self._note(by, "prompt.rollback", _moved(name, label, before, after), address)
        return {"object": "prompt.label", **_moved(name, label, before, after)}

    def diff(self, name: str, before: str, after: str) -> Record:
        """What differs between two versions, word by word. Raises: PromptNotFound."""
        registry = self.registry
        one, other = registry.find(f"{name}@{before}"), registry.find(f"{name}@{after}")
        return {
            "object": "prompt.diff", "name": name, "from": one.number, "to": other.number,
            "differences": msgspec.to_builtins(diff(one, other)),
        }  # fmt: skip

    # lint

    @cached_property
    def rules(self) -> "PromptLint":
        """The lint, with what this house knows."""
        from greenroom.assembly.promptlint import PromptLint  # noqa: PLC0415  # its patterns take 20 ms

        return PromptLint(self._house)

    def lint_stored(self, reference: str) -> "tuple[PromptVersion, list[Finding]]":
        """The faults of a stored version, and of the labels of its prompt. Raises: PromptNotFound."""
        return self.rules.stored(reference)

    def lint_path(self, path: Path) -> "list[tuple[str, list[Finding]]]":
        """The faults of each prompt in a file or folder, by its path. Raises: PromptInvalid."""
        return self.rules.path(path)

    # files

    def export(self, folder: Path, names: tuple[str, ...], form: Form) -> list[Path]:
        """Write versions and labels into a folder. Raises: PromptNotFound, PromptInvalid."""
        registry = self.registry
        wanted = [registry.find(name).name for name in names] or sorted(registry.versions)
        versions = (one for name in wanted for one in registry.versions[name].values())
        return write_folder(folder, versions, {name: registry.labels.get(name, {}) for name in wanted}, form)

    def take(self, path: Path, *, force: bool, by: str) -> list[Record]:
        """Store what a file or folder holds, all of it or nothing. Raises: PromptInvalid, Conflict."""
        folder = read_folder(path) if path.is_dir() else None
        versions = [one for _, one in folder.versions] if folder else [read_file(path)]
        if not versions:
            raise NotFound(f"There is no prompt in {path}.")
        versions.sort(key=lambda one: (one.name, one.number or 1 << 40))
        for file, findings in self.lint_path(path):
            if _errors(findings) and not force:
                raise PromptInvalid(f"{file}: {_first(findings)}", "force")
        labels = folder.labels if folder else {}
        for known in labels.values():
            for label in known:
                _check_label(label)
        wanted = [new_version(one, keep_number=True) for one in versions]
        added = self._house.prompts.import_all(wanted, labels, who=by)
        about = {"versions": sum(one.is_new for one in added), "prompts": len({one.name for one in added})}
        self._note(by, "prompt.import", about, "")
        return [msgspec.to_builtins(one) for one in added]

    def _note(self, by: str, what: str, about: Record, address: str) -> None:
        Audit(self._house).note(by, what, about, address=address)


def plain(version: PromptVersion) -> Record:
    """A version as JSON, with what it leaves out by default left out."""
    found: Record = msgspec.json.decode(msgspec.json.encode(version))
    return found


def _moved(name: str, label: str, before: int | None, after: int | None) -> Record:
    return {"prompt": name, "label": label, "before": before, "version": after}


def _check_label(label: str) -> None:
    if label == LATEST:
        raise PromptInvalid("'latest' always stands for the newest version: choose another label.", "label")
    try:
        reference = parse_reference(f"a@{label}")
    except ValueError:
        reference = None
    if reference is None or not isinstance(reference.selector, str):
        raise PromptInvalid(
            f"'{label[:64]}' is no label: it begins with a letter and has letters, digits and . _ -", "label"
        )


def _told(version: PromptVersion, findings: "list[Finding]") -> str:
    return (
        f"The prompt '{version.name}' was not stored: {_first(findings)} To store it all the same, force it."
    )


def _errors(findings: "list[Finding]") -> "list[Finding]":
    return [one for one in findings if one.severity == "error"]


def _first(findings: "list[Finding]") -> str:
    errors = _errors(findings)
    said = " ".join(f"{one.place}: {one.message}" for one in errors[:_MOST_TOLD])
    more = len(errors) - _MOST_TOLD
    return f"{said} And {more} more errors." if more > 0 else said
