"""Subjects whose worst price is always known where the price is: models and prompt versions in the pipeline.

`optimize` and `models compare` reserve that much before each call, so it is rather too high than too low.
"""

from collections.abc import Mapping
from typing import Any

from msgspec.json import Encoder
from msgspec.structs import replace

from greenroom.assembly.house import House
from greenroom.assembly.subjects import PipelineSubject
from greenroom.offline.evals.sample import Sample
from greenroom.offline.optimize.candidate import digest_of
from greenroom.prompts.registry import Registry
from greenroom.prompts.version import PromptVersion

_BYTES_A_TOKEN = 2
"""At least, in any language."""
_ADDED_TOKENS = 8_000
"""What steps may add to a prompt at most: passages, memory, earlier turns."""
_ANSWER_TOKENS = 32_768
"""Of an answer that nothing bounds; what the ledger reserves by default."""
_WITH_RETRIES = frozenset({"conform", "verify"})
"""Steps whose settings say how often they have the model asked again: once, unless `retries` says so."""
_MOST_RETRIES = 3
_NAME_LENGTH = 100
_encode = Encoder(order="deterministic").encode


class ModelContender(PipelineSubject):
    """An app or a model through the whole pipeline. Raises: InfrastructureError as `PipelineSubject` does."""

    def worst_nano_usd(self, sample: Sample) -> int | None:
        """By the price book: a token for every two bytes, what steps add, the longest answer, asked again."""
        targets = self._targets()
        prices = [one.price for one in targets if one.price is not None]
        if not prices or len(prices) < len(targets):
            return None
        asked = len(self._body(sample)) // _BYTES_A_TOKEN + 1 + self._more_tokens()
        answered = self._longest()
        times = self._asks() * (1 + self._asked_again())
        worst = 0
        for price in prices:
            window = price.context_window or max(asked, answered)
            worst = max(worst, price.worst_nano(min(asked, window), min(answered, window)))
        return worst * times

    def can_ask(self, sample: Sample) -> bool:
        """Whether the sample says what to ask of this app."""
        return self._has_question(sample)

    def _has_question(self, sample: Sample) -> bool:
        return super()._has_question(sample) or (self._app.is_prompted and bool(sample.variables))

    def _body(self, sample: Sample) -> bytes:
        if self._prompt is not None or not self._app.is_prompted or not sample.variables:
            return super()._body(sample)
        body = {"model": self._asked, "messages": sample.messages, "prompt": {"variables": sample.variables}}
        return _encode({**body, **self._settings})

    def _more_tokens(self) -> int:
        own = 0 if self._prompt is None else len(_encode(self._prompt.version)) // _BYTES_A_TOKEN
        return own if self._app.pipeline_off else own + _ADDED_TOKENS

    def _asked_again(self) -> int:
        """How often reviewing steps may have the model asked again for one answer."""
        config = self._house.config
        tables = (config.steps, *(app.steps for name, app in config.apps.items() if name == self._app.name))
        times = [0]
        for step in self._app.reviewers:
            set_to = [table[step.name].get("retries", 1) for table in tables if step.name in table]
            times.append(max(map(int, set_to or [1])) if step.name in _WITH_RETRIES else _MOST_RETRIES)
        return max(times)

    def _asks(self) -> int:
        return 1 if self._prompt is None else self._prompt.version.techniques.self_consistency

    def _longest(self) -> int:
        own = None if self._prompt is None else self._prompt.version.settings.max_tokens
        named = self._settings.get("max_completion_tokens") or self._settings.get("max_tokens") or own
        return int(named) if named else _ANSWER_TOKENS


def contender_for(
    house: House,
    version: PromptVersion,
    *,
    app: str | None = None,
    model: str | None = None,
    settings: Mapping[str, Any] | None = None,  # Any: fields of the chat dialect
) -> ModelContender:
    """A version of a prompt in front of an app's steps, filled by the step that would fill it when deployed.

    One that is not stored is put on the shelf of this process alone, under a name that says what it is.
    """
    shelf, reference = house.prompt_shelf, version.reference
    stored = shelf.registry.versions.get(version.name, {}).get(version.number)
    if stored is None or digest_of(stored) != digest_of(version):  # a candidate has its parent's number
        name, number = f"optimize.{version.name}"[:_NAME_LENGTH], int(digest_of(version)[:7], 16) + 1
        reference = f"{name}@{number}"
        if number not in shelf.registry.versions.get(name, {}):
            known = [one for same in shelf.registry.versions.values() for one in same.values()]
            named = replace(version, name=name, number=number, note="", created_at="", created_by="")
            shelf.registry = Registry([*known, named], shelf.registry.labels)
    return ModelContender(
        house, app=app, model=model, prompt=reference, settings=settings, name=version.reference
    )


class Reflector(ModelContender):
    """The model that rewrites prompts. Personal data and secrets are masked on the way to it, and put back.

    No other step runs: what is asked is full of instructions, which is what it is for.
    """

    def __init__(self, house: House, model: str | None, app: str | None = None) -> None:
        super().__init__(house, model=model, app=None if model else app or "default")
        whole = self._app
        self._app = whole._replace(
            steps=tuple(one for one in whole.steps if one.step.name in {"pii", "secrets"}),
            post=tuple(one for one in whole.post if one.step.name == "unmask"),
            reviewers=(), remember=None, keep=None, is_prompted=False,
        )  # fmt: skip
        self.name = model or whole.model
        self.fingerprint = f"{self.fingerprint} reflection"

    def _more_tokens(self) -> int:
        return 0
