"""Subjects of evaluations: an app or a model through the whole pipeline, in process; functions in Python.

What a subject's fingerprint holds decides which answers of earlier runs are used again: the app's table, the
steps, policies, models and providers it uses, the settings, the documents, and the version of Greenroom.
"""

import asyncio
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
    QuotaExceeded,
    RequestError,
    StoreError,
    Unauthorized,
    UpstreamAuth,
)
from greenroom.exchange import Exchange
from greenroom.gateway.access import Grant
from greenroom.gateway.purse import BudgetExceeded, PriceUnknown, worst_cost
from greenroom.gateway.record import to_record
from greenroom.models.attempt import Target
from greenroom.offline.evals.keyed import LONGEST_WAIT_S
from greenroom.offline.evals.sample import Json, Output, Sample
from greenroom.offline.evals.scorers.functions import call, fingerprint_of, load_function
from greenroom.prompts.ready import Ready
from greenroom.stages.language import detect
from greenroom.stages.preprocess.template import PINNED

_encode = Encoder(order="deterministic").encode
_HOPELESS = (
    BudgetExceeded, ConfigError, ExtraMissing, Forbidden, ModelNotFound, PriceUnknown, StoreError,
    Unauthorized, UpstreamAuth,
)  # fmt: skip
"""What every other sample would meet, too."""
_KEPT_OUT = ((b"cache-control", b"no-store"),)
"""An answer of the app's own cache is nobody's answer to this question."""


class PipelineSubject:
    """An app, a model before the default app's steps, or an app with another model; and a prompt, if so.

    Every call is an exchange like any other: recorded, charged to `House.own_key`, tagged `eval=NAME`.
    `prompt` is `name`, `name@3` or `name@label`, what it means is settled at once, and it stands in the place
    of the app's own. Raises: InfrastructureError where there is no such app, model or prompt.
    """

    def __init__(
        self,
        house: House,
        *,
        app: str | None = None,
        model: str | None = None,
        prompt: str | None = None,
        settings: Mapping[str, Any] | None = None,  # Any: fields of the chat dialect
        name: str | None = None,
    ) -> None:
        self._house = house
        self._asked = model or app or "default"
        self._named = app or model or "default"
        self._settings = dict(settings or {})
        self._headers = {
            **dict(_KEPT_OUT), b"x-greenroom-app": self._named.encode("latin-1", "replace")
        }  # fmt: skip
        self.name = name or " ".join(one for one in (app, model, prompt) if one) or "default"
        try:
            self._app = house.gateway.rooms.find(self._named)
            if app and model:
                other = house.gateway.rooms.find(model)
                self._app = self._app._replace(
                    model=other.model, call=other.call, why="the evaluation names it"
                )
            self._prompt = None if prompt is None else house.prompt_shelf.registry.ready(prompt)
            if self._prompt is not None and not self._app.is_prompted:
                self._app = house.gateway.rooms.prompted(self._app)
        except RequestError as error:
            raise InfrastructureError(str(error)) from error
        self._app = self._app._replace(trial=None, shadow=None)  # experiments are about live traffic
        self.fingerprint = sha256(_encode(self._facts(app))).hexdigest()

    async def answer(self, sample: Sample) -> Output:
        """One exchange. Raises: InfrastructureError."""
        if not self._has_question(sample):
            return Output(
                outcome="failed", error="The sample has no messages, and there is no prompt to fill."
            )
        began = perf_counter_ns()
        try:
            exchange, grant = await self._admitted(sample)
        except GreenroomError as error:
            return _failed(error)
        exchange.tags["eval"] = self.name[:512]
        if self._prompt is not None:
            version = self._prompt.version
            exchange.context[PINNED] = f"{version.name}@{version.number}"
        try:
            body = await self._house.gateway.whole(exchange, self._app, grant, began)
        except ContentRefused as error:
            return self._output(exchange, {}, str(error))
        except GreenroomError as error:
            failed = _failed(error)
            return _with_facts(failed, exchange)
        return self._output(exchange, decode(body))

    async def _admitted(self, sample: Sample) -> tuple[Exchange, Grant]:
        """An exchange that may run, once it is its turn under the key's limits. Raises: RequestError."""
        while True:
            try:
                exchange, _, grant = self._house.begin(self._body(sample), self._headers)
            except BudgetExceeded:
                raise
            except QuotaExceeded as error:
                if error.retry_after_s > LONGEST_WAIT_S:
                    raise InfrastructureError(str(error)) from error
                await asyncio.sleep(error.retry_after_s + 0.05)
            else:
                return exchange, grant

    def worst_nano_usd(self, sample: Sample) -> int | None:
        """By the price book and `max_tokens`; None where the settings do not bound the answer."""
        own = None if self._prompt is None else self._prompt.version.settings.max_tokens
        longest = self._settings.get("max_completion_tokens") or self._settings.get("max_tokens") or own
        if longest is None or (
            self._prompt is not None and self._prompt.version.techniques.self_consistency > 1
        ):
            return None
        prices = [one.price for one in self._targets()]
        if not prices or any(one is None for one in prices):
            return None
        exchange, _, grant = self._house.begin(self._body(sample), self._headers)
        grant.release(0)
        exchange.request.max_tokens = int(longest)
        return max(worst_cost(exchange, one, 0) for one in prices if one is not None)

    def _has_question(self, sample: Sample) -> bool:
        """Whether the sample says what to ask."""
        return bool(sample.messages) or self._prompt is not None

    def _body(self, sample: Sample) -> bytes:
        body = {"model": self._asked, "messages": sample.messages, **self._settings}
        if self._prompt is not None:
            variables, body["messages"] = _filling(self._prompt, sample)
            body["prompt"] = {"variables": variables}
        return _encode(body)

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
        answering = self._app.model
        own = None if self._prompt is None else self._prompt.version.settings.model
        if own is not None and self._asked in self._house.prompt_shelf.free:
            answering = own  # as it is where nothing else says who answers
        configured = models.configured().get(answering)
        names = configured.targets if configured is not None else (answering,)
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
            "prompt": None if self._prompt is None else (self._prompt.version, self._prompt.pinned),
            "documents": self._house.documents.generation() if is_grounded else None,
            **self._project(),
        }  # fmt: skip

    def _project(self) -> Json:
        """The project, where it is another than usual: it has collections of its own."""
        house = self._house
        project = "default" if house.asks_as is None else house.own_key().caller.project
        return {} if project == "default" else {"project": project}


def _filling(prompt: Ready, sample: Sample) -> tuple[Json, tuple[Json, ...]]:
    """Variables and messages. A question without a name is the one variable that must be a text."""
    needed = [name for name, one in prompt.variables.items() if one.is_required and one.type == "string"]
    question = sample.messages[-1].get("content") if sample.messages else None
    if sample.variables or len(needed) != 1 or not isinstance(question, str):
        return sample.variables, sample.messages
    return {needed[0]: question}, sample.messages[:-1]


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
