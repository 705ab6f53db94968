"""The names by which telemetry systems know what Greenroom does: OpenTelemetry's, and our own beside them.

Everything that leaves as a span, a metric or an event takes its names, units and bucket bounds from here, so
that `/metrics` and the OTLP export can't differ. Two profiles of the GenAI conventions are spoken: `v1_41`,
the last text of the general conventions (v1.41.1, May 2026), and `next`, the text of their own repository
since (`open-telemetry/semantic-conventions-genai`). All `gen_ai.*` names are in development there: a change
of theirs is a change of this file alone. Nothing of ours begins with `gen_ai.`.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

Profile = Literal["v1_41", "next"]
Spoken = Literal["both", "v1_41", "next"]
"""Which profiles are emitted; spans differ little, metrics much."""
Operation = Literal["chat", "text_completion", "embeddings"]
"""`gen_ai.operation.name` of what models are asked for here."""
INFERENCE: frozenset[Operation] = frozenset({"chat", "text_completion"})

SCHEMA_URL = {
    "v1_41": "https://opentelemetry.io/schemas/1.41.0",
    "next": "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev",
}
SCOPE = "greenroom"
"""The instrumentation scope of all that is emitted."""

# -- attributes

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
"""Seconds, on streams only."""
CONVERSATION = "gen_ai.conversation.id"
OUTPUT_TYPE = "gen_ai.output.type"
CHOICES = "gen_ai.request.choice.count"
MAX_TOKENS = "gen_ai.request.max_tokens"
TEMPERATURE = "gen_ai.request.temperature"
TOP_P = "gen_ai.request.top_p"
TOP_K = "gen_ai.request.top_k"
SEED = "gen_ai.request.seed"
STOP = "gen_ai.request.stop_sequences"
FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty"
PRESENCE_PENALTY = "gen_ai.request.presence_penalty"
STREAM = "gen_ai.request.stream"
REASONING_LEVEL = "gen_ai.request.reasoning.level"
PROMPT_NAME = "gen_ai.prompt.name"
PROMPT_VERSION = "gen_ai.prompt.version"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
"""Those read from and written to a cache among them."""
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
"""Those of reasoning among them."""
CACHE_READ = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE = "gen_ai.usage.cache_write.input_tokens"
CACHE_WRITE_1_41 = "gen_ai.usage.cache_creation.input_tokens"
"""The same in the profile `v1_41`."""
REASONING = "gen_ai.usage.reasoning.output_tokens"
DATA_SOURCE = "gen_ai.data_source.id"
RETRIEVAL_DOCUMENTS = "gen_ai.retrieval.documents"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
TOOL_DEFINITIONS = "gen_ai.tool.definitions"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105  # the name of an attribute
TOKEN_MODALITY = "gen_ai.token.modality"  # noqa: S105  # as above
SERVICE_TIER = "openai.response.service_tier"
ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
USER = "enduser.pseudo.id"

EVALUATION = "gen_ai.evaluation.result"
"""The event that carries one score."""
EVALUATION_NAME = "gen_ai.evaluation.name"
EVALUATION_VALUE = "gen_ai.evaluation.score.value"
EVALUATION_EXPLANATION = "gen_ai.evaluation.explanation"
DETAILS = "gen_ai.client.inference.operation.details"
"""The event that carries texts where spans are not to."""

CONTENT = frozenset(
    {
        SYSTEM_INSTRUCTIONS,
        INPUT_MESSAGES,
        OUTPUT_MESSAGES,
        TOOL_DEFINITIONS,
        RETRIEVAL_DOCUMENTS,
        "gen_ai.retrieval.query.text",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        EVALUATION_EXPLANATION,
    }
)
"""Attributes that hold what somebody wrote; none leaves unless content is asked for."""

# -- our own attributes

GREENROOM_ID = "greenroom.request.id"
GREENROOM_PROJECT = "greenroom.project"
GREENROOM_APP = "greenroom.app"
GREENROOM_SURFACE = "greenroom.surface"
GREENROOM_OUTCOME = "greenroom.outcome"
GREENROOM_CACHE = "greenroom.cache"
GREENROOM_COST = "greenroom.cost_usd"
"""US dollars, a double."""
GREENROOM_COST_NANO = "greenroom.cost_nano_usd"
"""The same, exact."""
GREENROOM_OVERHEAD = "greenroom.overhead"
"""Our own time, in seconds."""
GREENROOM_ESTIMATED = "greenroom.usage.estimated"
GREENROOM_LANGUAGE = "greenroom.language"
GREENROOM_STAGE = "greenroom.stage"
GREENROOM_STEP = "greenroom.step"
GREENROOM_STEP_OUTCOME = "greenroom.step.outcome"
GREENROOM_CHANGES = "greenroom.step.changes"
"""How many texts a step changed."""
GREENROOM_STEPS = "greenroom.steps"
"""The steps of a stage, in order."""
GREENROOM_STAGE_CHANGED = "greenroom.stage.changed"
GREENROOM_FOUND = "greenroom.retrieval.found"
"""Passages put before the model."""
GREENROOM_ARM = "greenroom.experiment"
"""Experiment and arm, as `name/arm`."""
GREENROOM_SCORE_SOURCE = "greenroom.score.source"
GREENROOM_TARGET = "greenroom.target"
GREENROOM_ATTEMPT = "greenroom.attempt"
"""Counted from 1: which call of this request it was."""
SAFETY_EVENT = "greenroom.safety.finding"
SAFETY_STEP = "greenroom.safety.step"
SAFETY_RULE = "greenroom.safety.rule"
SAFETY_CATEGORY = "greenroom.safety.category"
SAFETY_ACTION = "greenroom.safety.action"
SAFETY_SEVERITY = "greenroom.safety.severity"
SAFETY_SCORE = "greenroom.safety.score"
SAFETY_WHERE = "greenroom.safety.where"
SAFETY_POLICY = "greenroom.safety.policy"

# -- providers

_WELL_KNOWN = {
    "openai": "openai",
    "anthropic": "anthropic",
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "vertex": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "cohere": "cohere",
    "mistral": "mistral_ai",
    "mistral_ai": "mistral_ai",
    "groq": "groq",
    "deepseek": "deepseek",
    "perplexity": "perplexity",
    "xai": "x_ai",
    "x_ai": "x_ai",
    "moonshot": "moonshot_ai",
    "moonshot_ai": "moonshot_ai",
    "watsonx": "ibm.watsonx.ai",
    "llama": "llama.cpp",
    "reader": "greenroom",
}


def provider_name(name: str, kind: str | None = None) -> str:
    """`gen_ai.provider.name` of a provider called `name` in the configuration, of that kind.

    A kind of many services says little: then a well-known name counts, else the name itself.
    """
    if kind is not None and kind != "openai_compatible":
        return _WELL_KNOWN.get(kind, kind)
    return _WELL_KNOWN.get(name.lower(), name)


# -- metrics

SECONDS = "s"
TOKENS = "{token}"
REQUESTS = "{request}"

TOKEN_BOUNDS = tuple(float(4**power) for power in range(14))
"""1 to 67,108,864 in powers of four."""
DURATION_BOUNDS = tuple(round(0.01 * 2**power, 2) for power in range(14))
"""10 ms to 81.92 s, each twice the one before."""
PER_TOKEN_BOUNDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
FIRST_TOKEN_BOUNDS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
STEP_BOUNDS = (
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    1.0,
)  # fmt: skip
"""Of our own steps, in seconds: most take less than a millisecond."""


class Metric(NamedTuple):
    """One instrument. `bounds` are upper ones, inclusive, without the last, endless bucket."""

    name: str
    kind: Literal["histogram", "counter"]
    unit: str
    description: str
    bounds: Sequence[float] = ()
    profiles: frozenset[Profile] = frozenset({"v1_41", "next"})

    @property
    def prometheus(self) -> str:
        """Its name in Prometheus' text format: dots become underscores, the unit and `_total` are added."""
        name = re.sub(r"[^a-zA-Z0-9_:]", "_", self.name)
        if self.unit == SECONDS and not name.endswith("_seconds"):
            name += "_seconds"
        return name + "_total" if self.kind == "counter" else name

    def is_in(self, spoken: Spoken) -> bool:
        """Whether it is emitted when these profiles are spoken."""
        return spoken == "both" or spoken in self.profiles


_OLD: frozenset[Profile] = frozenset({"v1_41"})
_NEXT: frozenset[Profile] = frozenset({"next"})

TOKEN_USAGE = Metric(
    "gen_ai.client.token.usage", "histogram", TOKENS, "Tokens of one request, by type.", TOKEN_BOUNDS, _OLD
)
OPERATION_DURATION = Metric(
    "gen_ai.client.operation.duration",
    "histogram",
    SECONDS,
    "How long calls of models took.",
    DURATION_BOUNDS,
)
"""In both profiles; in `next` only of what is no inference: embeddings, say."""
OPERATION_FIRST_CHUNK = Metric(
    "gen_ai.client.operation.time_to_first_chunk", "histogram", SECONDS,
    "Until the first content of streams.", DURATION_BOUNDS, _OLD,
)  # fmt: skip
OPERATION_PER_CHUNK = Metric(
    "gen_ai.client.operation.time_per_output_chunk", "histogram", SECONDS,
    "From one piece of a stream to the next, on average.", DURATION_BOUNDS, _OLD,
)  # fmt: skip
SERVER_DURATION = Metric(
    "gen_ai.server.request.duration", "histogram", SECONDS,
    "How long models took that are run here.", DURATION_BOUNDS,
)  # fmt: skip
SERVER_PER_TOKEN = Metric(
    "gen_ai.server.time_per_output_token", "histogram", SECONDS,
    "Time per token after the first, of models that are run here.", PER_TOKEN_BOUNDS,
)  # fmt: skip
SERVER_FIRST_TOKEN = Metric(
    "gen_ai.server.time_to_first_token", "histogram", SECONDS,
    "Until the first token, of models that are run here.", FIRST_TOKEN_BOUNDS,
)  # fmt: skip
INFERENCE_DURATION = Metric(
    "gen_ai.client.inference.duration",
    "histogram",
    SECONDS,
    "How long inference took.",
    DURATION_BOUNDS,
    _NEXT,
)
INFERENCE_FIRST_CHUNK = Metric(
    "gen_ai.client.inference.time_to_first_chunk", "histogram", SECONDS,
    "Until the first content of streams.", DURATION_BOUNDS, _NEXT,
)  # fmt: skip
INFERENCE_PER_CHUNK = Metric(
    "gen_ai.client.inference.time_per_output_chunk", "histogram", SECONDS,
    "From one piece of a stream to the next, on average.", DURATION_BOUNDS, _NEXT,
)  # fmt: skip
INFERENCE_INPUT = Metric(
    "gen_ai.client.inference.usage.input_tokens", "counter", TOKENS,
    "Tokens asked, cached ones among them.", profiles=_NEXT,
)  # fmt: skip
INFERENCE_OUTPUT = Metric(
    "gen_ai.client.inference.usage.output_tokens", "counter", TOKENS,
    "Tokens answered, those of reasoning among them.", profiles=_NEXT,
)  # fmt: skip
INFERENCE_CACHE_READ = Metric(
    "gen_ai.client.inference.usage.cache_read.input_tokens", "counter", TOKENS,
    "Of the tokens asked, those read from the provider's cache.", profiles=_NEXT,
)  # fmt: skip
INFERENCE_CACHE_WRITE = Metric(
    "gen_ai.client.inference.usage.cache_write.input_tokens", "counter", TOKENS,
    "Of the tokens asked, those written to the provider's cache.", profiles=_NEXT,
)  # fmt: skip
INFERENCE_REASONING = Metric(
    "gen_ai.client.inference.usage.reasoning.output_tokens", "counter", TOKENS,
    "Of the tokens answered, those of reasoning.", profiles=_NEXT,
)  # fmt: skip
INFERENCE_REQUEST_INPUT = Metric(
    "gen_ai.client.inference.operation.input_tokens", "histogram", TOKENS,
    "Tokens asked in one request.", TOKEN_BOUNDS, _NEXT,
)  # fmt: skip
INFERENCE_REQUEST_OUTPUT = Metric(
    "gen_ai.client.inference.operation.output_tokens", "histogram", TOKENS,
    "Tokens answered to one request.", TOKEN_BOUNDS, _NEXT,
)  # fmt: skip

REQUEST_DURATION = Metric(
    "greenroom.request.duration", "histogram", SECONDS,
    "From the first byte read to the last one sent.", DURATION_BOUNDS,
)  # fmt: skip
OVERHEAD = Metric(
    "greenroom.request.overhead", "histogram", SECONDS, "Our own time in a request.", STEP_BOUNDS
)
STEP_DURATION = Metric("greenroom.step.duration", "histogram", SECONDS, "How long steps took.", STEP_BOUNDS)
FINDINGS = Metric("greenroom.safety.findings", "counter", "{finding}", "What checks found, by what was done.")
COST = Metric("greenroom.cost", "counter", "{USD}", "US dollars, where prices are known.")

METRICS = (
    TOKEN_USAGE, OPERATION_DURATION, OPERATION_FIRST_CHUNK, OPERATION_PER_CHUNK, SERVER_DURATION,
    SERVER_PER_TOKEN, SERVER_FIRST_TOKEN, INFERENCE_DURATION, INFERENCE_FIRST_CHUNK, INFERENCE_PER_CHUNK,
    INFERENCE_INPUT, INFERENCE_OUTPUT, INFERENCE_CACHE_READ, INFERENCE_CACHE_WRITE, INFERENCE_REASONING,
    INFERENCE_REQUEST_INPUT, INFERENCE_REQUEST_OUTPUT, REQUEST_DURATION, OVERHEAD, STEP_DURATION, FINDINGS,
    COST,
)  # fmt: skip
"""All instruments."""


def spoken_for(metric: Metric, operation: str, spoken: Spoken) -> bool:
    """Whether a metric is emitted for an operation when these profiles are spoken."""
    if metric is OPERATION_DURATION and spoken == "next":
        return operation not in INFERENCE
    if metric.name.startswith("gen_ai.client.inference."):
        return metric.is_in(spoken) and operation in INFERENCE
    return metric.is_in(spoken)
