"""A prompt version ready to be filled: its templates read, its partials put in, its variables known.

Made once for each version and filled for every request; knows no store: partials come from a function.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from greenroom.errors import PromptInvalid
from greenroom.prompts.template import names, parse
from greenroom.prompts.version import PromptVersion, Role, Variable

Find = Callable[[str], PromptVersion]
"""`prompt@3` or `prompt@label` → the version. Raises PromptNotFound."""
DEEPEST = 5
"""How many partials may stand inside each other."""


class Laid(NamedTuple):
    """A piece of a template with its partials put in; `partial` names the one it came from."""

    is_variable: bool
    value: str
    partial: str = ""


class Ready:
    """One version, prepared.

    Raises: PromptInvalid for a template that can't be read, a variable or partial that is not declared, or
    partials that hold each other; PromptNotFound for a partial that is not there.
    """

    def __init__(self, version: PromptVersion, find: Find) -> None:
        self.version = version
        self.variables: dict[str, Variable] = dict(version.variables)
        """Its own, and those of its partials that it does not declare itself."""
        self.pinned: list[str] = []
        """The partials it holds, each as `name@number`."""
        self._find = find
        self.messages: list[tuple[Role, tuple[Laid, ...]]] = [
            (one.role, tuple(self._lay(one.text, version, (), f"messages[{place}]")))
            for place, one in enumerate(version.messages)
        ]
        self.role = tuple(self._lay(version.techniques.role, version, (), "techniques.role"))
        for _, laid in (*self.messages, ("system", self.role)):
            self._check(laid)
        used = {one.value for _, laid in self.messages for one in laid if one.is_variable}
        used |= {one.value for one in self.role if one.is_variable}
        self.used = tuple(name for name in self.variables if name in used)
        """Variables that stand in it, in the order of their declaration."""
        self.marked = tuple(
            name for name in self.used if self.variables[name].is_text and not self.variables[name].trusted
        )
        """Those whose values are put in as data, between marks."""

    @property
    def question(self) -> tuple[Laid, ...] | None:
        """The last message for the user: what an example's variables fill."""
        return next((laid for role, laid in reversed(self.messages) if role == "user"), None)

    def values(self, given: Mapping[str, object], *, param: str = "variables") -> dict[str, object]:
        """The value of every variable, defaults among them.

        Raises: PromptInvalid for a name it does not know, a value of the wrong type, one that is missing.
        """
        prompt = self.version.reference
        for name in given:
            if name not in self.variables:
                known = ", ".join(self.variables) or "none"
                raise PromptInvalid(
                    f"The prompt '{prompt}' has no variable '{name[:80]}'. It has: {known}.",
                    f"{param}.{name[:80]}",
                )
        values: dict[str, object] = {}
        for name, variable in self.variables.items():
            if name in given:
                fault = variable.fault(given[name])
                if fault is not None:
                    raise PromptInvalid(
                        f"The variable '{name}' of the prompt '{prompt}' {fault}.", f"{param}.{name}"
                    )
                values[name] = given[name]
            elif not variable.is_required:
                values[name] = variable.default
            elif name in self.used:
                raise PromptInvalid(
                    f"The prompt '{prompt}' needs a value for the variable '{name}' ({variable.type}).",
                    f"{param}.{name}",
                )
        return values

    def _lay(
        self, text: str, owner: PromptVersion, within: tuple[str, ...], place: str, name: str = ""
    ) -> Iterable[Laid]:
        try:
            pieces = parse(text)
        except ValueError as error:
            raise PromptInvalid(f"The prompt '{owner.reference}', {place}: {error}.", place) from None
        laid: list[Laid] = []
        for piece in pieces:
            if piece.kind == "partial":
                laid += self._inner(piece.value, owner, within, place)
            else:
                laid.append(Laid(piece.kind == "variable", piece.value, name))
        return laid

    def _inner(self, name: str, owner: PromptVersion, within: tuple[str, ...], place: str) -> Iterable[Laid]:
        reference = owner.partials.get(name)
        if reference is None:
            raise PromptInvalid(
                f"The prompt '{owner.reference}', {place}: the partial '{name}' is not declared. "
                f'Say which prompt it is: [partials] {name} = "prompt@1".',
                place,
            )
        partial = self._find(reference)
        if partial.name in (*within, self.version.name):
            raise PromptInvalid(f"The partials of '{self.version.reference}' hold each other: {reference}.")
        if len(within) >= DEEPEST:
            raise PromptInvalid(f"The partials of '{self.version.reference}' are nested too deeply.")
        if len(partial.messages) != 1:
            raise PromptInvalid(
                f"'{partial.reference}' has {len(partial.messages)} messages. A partial must have one."
            )
        if partial.reference not in self.pinned:
            self.pinned.append(partial.reference)
        for key, variable in partial.variables.items():
            self.variables.setdefault(key, variable)
        text = partial.messages[0].text
        return self._lay(text, partial, (*within, partial.name), f"partial '{name}'", name)

    def _check(self, laid: Iterable[Laid]) -> None:
        for one in laid:
            if one.is_variable and one.value not in self.variables:
                raise PromptInvalid(
                    f"The prompt '{self.version.reference}' uses '{{{{{one.value}}}}}', which is not "
                    f"declared. Add it under [variables.{one.value}].",
                    f"variables.{one.value}",
                )


def partials_of(version: PromptVersion) -> set[str]:
    """The names of partials that stand in its templates. Raises: ValueError."""
    texts = [*(one.text for one in version.messages), version.techniques.role]
    return {name for text in texts for name in names(parse(text), "partial")}
