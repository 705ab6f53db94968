"""All prompts as requests meet them: a snapshot in memory, replaced as a whole when something changed.

Knows no store: rows are handed in. A version is made ready when it is first asked for, and stays so.
"""

from collections.abc import Iterable, Mapping

from greenroom.errors import PromptInvalid, PromptNotFound, nearest
from greenroom.prompts.ready import Ready
from greenroom.prompts.version import LATEST, PRODUCTION, PromptVersion, Reference, parse_reference


class Registry:
    """Versions by name and number, and labels. Never changed once made."""

    def __init__(
        self, versions: Iterable[PromptVersion] = (), labels: Mapping[str, Mapping[str, int]] | None = None
    ) -> None:
        self.versions: dict[str, dict[int, PromptVersion]] = {}
        for one in versions:
            self.versions.setdefault(one.name, {})[one.number] = one
        self.labels = {name: dict(known) for name, known in (labels or {}).items()}
        self._ready: dict[tuple[str, int], Ready] = {}

    def find(self, reference: str | Reference) -> PromptVersion:
        """The version that `name`, `name@3`, `name@label` or `name@latest` means.

        The name alone is the version with the label `production`, or the newest where there is none.
        Raises: PromptNotFound; PromptInvalid for what is no reference.
        """
        if isinstance(reference, str):
            try:
                reference = parse_reference(reference)
            except ValueError as error:
                raise PromptInvalid(f"{error}.", "prompt") from None
        name, selector = reference
        known = self.versions.get(name)
        if not known:
            close = nearest(name, self.versions)
            hint = f" Did you mean '{close}'?" if close else ""
            raise PromptNotFound(f"There is no prompt '{name}'.{hint}", "prompt")
        labels = self.labels.get(name, {})
        if isinstance(selector, str) and selector != LATEST:
            if selector not in labels:
                raise PromptNotFound(
                    f"The prompt '{name}' has no label '{selector}'. It has: {', '.join(labels) or 'none'}.",
                    "prompt",
                )
            selector = labels[selector]
        elif not isinstance(selector, int):
            selector = labels.get(PRODUCTION) if selector is None else None
            selector = selector or max(known)
        if selector not in known:
            raise PromptNotFound(
                f"The prompt '{name}' has no version {selector}. The newest is {max(known)}.", "prompt"
            )
        return known[selector]

    def ready(self, reference: str | Reference) -> Ready:
        """The same, ready to be filled. Raises as `find` and `Ready` do."""
        version = self.find(reference)
        key = version.name, version.number
        found = self._ready.get(key)
        if found is None:
            found = self._ready[key] = Ready(version, self.find)
        return found

    def labels_of(self, version: PromptVersion) -> list[str]:
        """The labels that stand for a version."""
        known = self.labels.get(version.name, {})
        return [label for label, number in known.items() if number == version.number]
