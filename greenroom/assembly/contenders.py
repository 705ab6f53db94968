"""Subjects whose worst price is always known where the price is: models and prompt versions in the pipeline.

`optimize` and `models compare` reserve that much before each call, so it is rather too high than too low.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.json import Encoder
from msgspec.structs import replace

from greenroom.assembly.house import House
from greenroom.assembly.prompts import PromptShelf
from greenroom.assembly.subjects import PipelineSubject
from greenroom.gateway.pipeline import StepEntry
from greenroom.offline.evals.sample import Json, Sample
from greenroom.offline.optimize.candidate import digest_of
from greenroom.prompts.registry import Registry
from greenroom.prompts.version import PromptVersion
from greenroom.stages.preprocess.template import Template, TemplateConfig

_BYTES_A_TOKEN = 2
"""At least, in any language."""
_ADDED_TOKENS = 8_000
"""What steps may add to a prompt at most: passages, memory, earlier turns."""
_ANSWER_TOKENS = 32_768
"""Of an answer that nothing bounds; what the ledger reserves by default."""
_ASKED_AGAIN = 3
"""How often a reviewing step may ask the model again: the most that `conform` and `verify` can be set to."""
_FILL_S = 30.0
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
        times = self._asks() * (1 + _ASKED_AGAIN * bool(self._app.reviewers))
        worst = 0
        for price in prices:
            window = price.context_window or max(asked, answered)
            worst = max(worst, price.worst_nano(min(asked, window), min(answered, window)))
        return worst * times

    def can_ask(self, sample: Sample) -> bool:
        """Whether the sample says what to ask of this app."""
        return self._has_question(sample)

    def _has_question(self, sample: Sample) -> bool:
        return bool(sample.messages) or (self._app.is_prompted and bool(sample.variables))

    def _body(self, sample: Sample) -> bytes:
        if not self._app.is_prompted or not sample.variables:
            return super()._body(sample)
        return self._prompted(sample.messages, sample.variables)

    def _prompted(self, messages: Sequence[Json], variables: Json) -> bytes:
        """A body for an app whose prompt is filled with these variables."""
        return _encode(
            {
                "model": self._app.model, "messages": messages, "prompt": {"variables": variables},
                **self._settings,
            }
        )  # fmt: skip

    def _more_tokens(self) -> int:
        return 0 if self._app.pipeline_off else _ADDED_TOKENS

    def _asks(self) -> int:
        return 1

    def _longest(self) -> int:
        named = self._settings.get("max_completion_tokens") or self._settings.get("max_tokens")
        return int(named) if named else _ANSWER_TOKENS


class PromptContender(ModelContender):
    """A version of a prompt in front of an app's steps, filled by the step that would fill it when deployed.

    Where the app has a prompt of its own, this one stands in its place. `name` is what messages call it.
    """

    def __init__(
        self,
        house: House,
        version: PromptVersion,
        *,
        app: str | None = None,
        model: str | None = None,
        settings: Mapping[str, Any] | None = None,  # Any: fields of the chat dialect
    ) -> None:
        usual = None if app else version.settings.model  # an app's model goes before the prompt's
        super().__init__(house, app=app, model=model or usual, settings=settings)
        self.name = version.reference
        self._version = version
        self._free = _one_text(version)
        # A shelf of its own: the version is no stored one, and nobody else is to find it.
        name = version.name if version.number else f"optimize.{version.name}"[:_NAME_LENGTH]
        number = version.number or int(digest_of(version)[:7], 16) + 1
        stored = house.prompt_shelf.registry
        known = [one for same in stored.versions.values() for one in same.values()]
        shelf = PromptShelf(house.encoder)
        shelf.registry = Registry([*known, replace(version, name=name, number=number)], stored.labels)
        shelf.targets = house.prompt_shelf.targets
        step = Template(TemplateConfig(), shelf, f"{name}@{number}")
        steps = tuple(one for one in self._app.steps if one.step.name != step.name)
        self._app = self._app._replace(
            steps=(StepEntry(step, refuse_on_error=True, limit_s=_FILL_S), *steps), is_prompted=True
        )
        self.fingerprint = f"{self.fingerprint} {digest_of(version)}"

    def _has_question(self, sample: Sample) -> bool:
        return True  # the prompt asks

    def _body(self, sample: Sample) -> bytes:
        variables, messages = dict(sample.variables), sample.messages
        if not variables and self._free and messages and isinstance(messages[-1].get("content"), str):
            # A row with a question and no variables fills the one variable that takes a text.
            variables, messages = {self._free: messages[-1]["content"]}, ()
        return self._prompted(messages, variables)

    def _more_tokens(self) -> int:
        return super()._more_tokens() + len(_encode(self._version)) // _BYTES_A_TOKEN

    def _asks(self) -> int:
        return self._version.techniques.self_consistency

    def _longest(self) -> int:
        own = self._version.settings.max_tokens
        named = super()._longest()
        return own if own is not None and named == _ANSWER_TOKENS else named


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


def _one_text(version: PromptVersion) -> str | None:
    """The variable that a question without a name must mean; None where there are several, or none."""
    free = [name for name, one in version.variables.items() if one.is_required and one.type == "string"]
    return free[0] if len(free) == 1 else None


__all__ = ["ModelContender", "PromptContender", "Reflector"]
