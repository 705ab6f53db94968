"""The lint with what a house knows: stored partials and labels, the model that answers, what is secret."""

from collections.abc import Iterator
from pathlib import Path

from greenroom.assembly.furnishing import OUTPUT_ENTITIES
from greenroom.assembly.house import House
from greenroom.assembly.prompts import model_of
from greenroom.models.catalog import context_window
from greenroom.models.prices import PriceBook
from greenroom.prompts.files import read_file, read_folder
from greenroom.prompts.lint import Finding, Sensitive, lint, lint_labels
from greenroom.prompts.registry import Registry
from greenroom.prompts.version import PromptVersion
from greenroom.stages.check.pii import PiiDetector
from greenroom.stages.check.secrets import SecretDetector


class PromptLint:
    """Holds versions to the rules."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._detectors = (SecretDetector(), PiiDetector(OUTPUT_ENTITIES))

    def version(self, version: PromptVersion, registry: Registry) -> list[Finding]:
        """The faults of a version whose partials are in `registry`."""
        model = model_of(self._house.config, version)
        window = None if model is None else context_window(model, PriceBook.load())
        return lint(version, find=registry.find, model=model, window=window, detect=self.detect)

    def stored(self, reference: str) -> tuple[PromptVersion, list[Finding]]:
        """The faults of a stored version, and of the labels of its prompt. Raises: PromptNotFound."""
        registry = self._house.stored_prompts()
        version = registry.find(reference)
        found = self.version(version, registry)
        return version, [*found, *lint_labels(registry, version.name, self.detect)]

    def path(self, path: Path) -> list[tuple[str, list[Finding]]]:
        """The faults of each prompt in a file or folder, and of the labels there. Raises: PromptInvalid."""
        stored = self._house.stored_prompts()
        if not path.is_dir():
            return [(str(path), self.version(read_file(path), stored))]
        folder = read_folder(path)
        known = {(one.name, one.number): one for of in stored.versions.values() for one in of.values()}
        known |= {(one.name, one.number): one for _, one in folder.versions}
        labels = {**stored.labels, **folder.labels}
        registry = Registry(known.values(), labels)
        found = [(str(file), self.version(version, registry)) for file, version in folder.versions]
        for name in folder.labels:
            faults = [*_missing(registry, name)] or lint_labels(registry, name, self.detect)
            found += [(str(path / name), faults)] if faults else []
        return found

    def detect(self, text: str) -> Iterator[Sensitive]:
        """Secrets and personal data in a text."""
        for detector in self._detectors:
            for one in detector.find(text):
                yield Sensitive(one.rule, one.category == "secret", one.start, one.end)


def _missing(registry: Registry, name: str) -> Iterator[Finding]:
    for label, number in registry.labels[name].items():
        if number not in registry.versions.get(name, {}):
            yield Finding(
                rule="label-unlinted", severity="error", place=f"labels.{label}",
                message=f"'{label}' stands for version {number}, which is not there.",
                remedy="Add the version, or set the label to one that is there.",
            )  # fmt: skip
