"""Subjects of evaluations: an app or a model through the whole pipeline, in process; functions in Python.

What a subject's fingerprint holds decides which answers of earlier runs are used again: the app's table, the
steps, policies, models and providers it uses, the settings, the documents, and the version of Greenroom.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from msgspec.json import Encoder, decode

from greenroom import __version__
from greenroom.assembly.house import House
from greenroom.config import AppConfig
from greenroom.errors import (
    ConfigError,
    ContentRefused,
    ExtraMissing,
    Forbidden,
    GreenroomError,
    InfrastructureError,
    ModelNotFound,
    StoreError,
    Unauthorized,
    UpstreamAuth,
)
from greenroom.exchange import Exchange
from greenroom.gateway.purse import BudgetExceeded, PriceUnknown, worst_cost
from greenroom.gateway.record import to_record
from greenroom.models.attempt import Target
from greenroom.offline.evals.sample import Json, Output, Sample
from greenroom.offline.evals.scorers.functions import call, fingerprint_of, load_function
from greenroom.stages.language import detect

_encode = Encoder(order="deterministic").encode
_HOPELESS = (
    BudgetExceeded, ConfigError, ExtraMissing, Forbidden, ModelNotFound, PriceUnknown, StoreError,
    Unauthorized, UpstreamAuth,
)  # fmt: skip
"""What every other sample would meet, too."""
_KEPT_OUT = ((b"cache-control", b"no-store"),)
"""An answer of the app's own cache is nobody's answer to this question."""


class PipelineSubject:
    """An app, a model in front of the default app's steps, or an app with another model.

    Every call is an exchange like any other: recorded, charged to the project "default", tagged `eval=NAME`.
    Raises: InfrastructureError where there is no such app or model.
    """

    def __init__(
        self,
        house: House,
        *,
        app: str | None = None,
        model: str | None = None,
        settings: Mapping[str, Any] | None = None,  # Any: fields of the chat dialect
        name: str | None = None,
    ) -> None:
        self._house = house
        self._named = app or model or "default"
        self._settings = dict(settings or {})
        self._headers = {
            **dict(_KEPT_OUT), b"x-greenroom-app": self._named.encode("latin-1", "replace")
        }  # fmt: skip
        self.name = name or " ".join(one for one in (app, model) if one) or "default"
        try:
            self._app = house.gateway.rooms.find(self._named)
            if app and model:
                other = house.gateway.rooms.find(model)
                self._app = self._app._replace(
                    model=other.model, call=other.call, why="the evaluation names it"
                )
        except ModelNotFound as error:
            raise InfrastructureError(str(error)) from error
        self.fingerprint = sha256(_encode(self._facts(app))).hexdigest()

    async def answer(self, sample: Sample) -> Output:
        """One exchange. Raises: InfrastructureError."""
        if not self._has_question(sample):
            return Output(
                outcome="failed", error="The sample has no messages, and there is no prompt to fill."
            )
        began = perf_counter_ns()
        try:
            exchange, _, grant = self._house.begin(self._body(sample), self._headers)
        except GreenroomError as error:
            return _failed(error)
        exchange.tags["eval"] = self.name[:512]
        try:
            body = await self._house.gateway.whole(exchange, self._app, grant, began)
        except ContentRefused as error:
            return self._output(exchange, {}, str(error))
        except GreenroomError as error:
            failed = _failed(error)
            return _with_facts(failed, exchange)
        return self._output(exchange, decode(body))

    def worst_nano_usd(self, sample: Sample) -> int | None:
        """By the price book and `max_tokens`; None where the settings do not bound the answer."""
        if not (self._settings.get("max_tokens") or self._settings.get("max_completion_tokens")):
            return None
        prices = [one.price for one in self._targets()]
        if not prices or any(one is None for one in prices):
            return None
        exchange, _, grant = self._house.begin(self._body(sample), self._headers)
        grant.release(0)
        return max(worst_cost(exchange, one, 0) for one in prices if one is not None)

    def _has_question(self, sample: Sample) -> bool:
        """Whether the sample says what to ask."""
        return bool(sample.messages)

    def _body(self, sample: Sample) -> bytes:
        return _encode({"model": self._app.model, "messages": sample.messages, **self._settings})

    def _output(self, exchange: Exchange, body: Json, error: str | None = None) -> Output:
        choices = body.get("choices") or [{}]
        message = choices[0].get("message") or {}
        calls = message.get("tool_calls")
        text = message.get("content") or (_encode(calls).decode() if calls else "")
        output = Output(
            text=text,
            outcome="refused" if exchange.outcome == "refused" else "answered",
            error=error,
            body=body,
        )
        return _with_facts(output, exchange)

    def _targets(self) -> list[Target]:
        models = self._house.models
        configured = models.configured().get(self._app.model)
        names = configured.targets if configured is not None else (self._app.model,)
        return [one for one in map(models.target, names) if one is not None]

    def _facts(self, app: str | None) -> Json:
        """All that may change an answer."""
        config = self._house.config
        model = self._app.model
        providers = {one.name.partition("/")[0] for one in self._targets()}
        table = config.apps.get(app or "default", AppConfig())
        is_grounded = not self._app.pipeline_off and "documents" in table.ground
        return {
            "version": __version__, "app": table, "steps": config.steps, "policies": config.policies,
            "refusals": config.refusals, "model": model, "targets": config.models.get(model),
            "providers": {name: config.providers.get(name) for name in sorted(providers)},
            "settings": self._settings,
            "documents": self._house.documents.generation() if is_grounded else None,
        }  # fmt: skip


def _with_facts(output: Output, exchange: Exchange) -> Output:
    usage = exchange.usage
    output.model = exchange.target
    output.cost_nano_usd = exchange.cost_nano_usd if exchange.attempts else 0
    output.input_tokens = 0 if usage is None else usage.input_tokens
    output.output_tokens = 0 if usage is None else usage.output_tokens
    output.latency_ms = round(exchange.total_ns / 1e6, 3)
    output.trace_id = exchange.id
    output.record = to_record(exchange, detect)
    return output


def _failed(error: GreenroomError) -> Output:
    """What went wrong with one sample. Raises: InfrastructureError where it would with every other, too."""
    if isinstance(error, _HOPELESS):
        raise InfrastructureError(str(error)) from error
    outcome = "refused" if isinstance(error, ContentRefused) else "failed"
    return Output(outcome=outcome, error=str(error))  # type: ignore[arg-type]  # one of the two


class FunctionSubject:
    """A function in Python, called with the `Sample`: its text, or an `Output`, is the answer.

    Raises: MalformedRequest where there is no such function.
    """

    def __init__(self, named: str, folder: Path, name: str | None = None) -> None:
        self.name = name or named
        self._function = load_function(named, folder)
        self.fingerprint = fingerprint_of(named, folder)

    async def answer(self, sample: Sample) -> Output:
        """One call; what the function raises makes the sample a failed one."""
        began = perf_counter_ns()
        try:
            given = await call(self._function, sample)
        except InfrastructureError:
            raise
        except Exception as error:  # noqa: BLE001  # the user's own function: one case must not end the run
            return Output(outcome="failed", error=f"{type(error).__name__}: {error}"[:500])
        output = given if isinstance(given, Output) else Output(text=str(given), cost_nano_usd=0)
        output.latency_ms = output.latency_ms or round((perf_counter_ns() - began) / 1e6, 3)
        return output


__all__ = ["FunctionSubject", "PipelineSubject"]
