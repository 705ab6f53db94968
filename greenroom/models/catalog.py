"""Known providers and what is known of their models.

Facts, not choices: where a service listens, how it takes its key, which of its models is a sensible first
one, and how it differs from OpenAI where it speaks that dialect. All of it was checked on 2026-11-26 against
published documentation and client code, not by a call; every default model has a price in the price book. A
fact that is not known is None. Nothing is read and nobody is called at import.
"""

from typing import Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from greenroom.models.prices import PriceBook
from greenroom.wire.quirks import Quirks

Kind = Literal["openai", "anthropic", "gemini", "azure", "vertex", "bedrock", "cohere", "openai_compatible"]
Auth = Literal["bearer", "x-api-key", "x-goog-api-key", "api-key", "none"]


class Provider(Struct, kw_only=True, frozen=True):
    """An API that serves models."""

    name: str
    """As it stands before the slash in `provider/model`."""
    kind: Kind
    """The dialect: "openai" and "openai_compatible" are called as they are, the others translated."""
    base_url: str | None
    """None where it belongs to the customer: Azure's resource, or a region."""
    key_env: str | None
    """The environment variable that holds its key by custom; None where no key is needed."""
    default_model: str | None
    """What answers when nothing else was chosen; None where only the server knows what it has."""
    auth: Auth
    """How the key goes with a request: `Authorization: Bearer …`, or the header that is named."""
    quirks: Quirks | None = None
    """How its chat completions differ from OpenAI's."""

    @property
    def is_local(self) -> bool:
        """Whether it is a server on this machine."""
        return self.base_url is not None and self.base_url.startswith("http://127.0.0.1")

    @property
    def needs_only_key(self) -> bool:
        """Whether it can be called with nothing but its key."""
        return self.key_env is not None and self.base_url is not None


_AUTH: dict[Kind, Auth] = {"anthropic": "x-api-key", "gemini": "x-goog-api-key", "azure": "api-key"}


def _hosted(
    name: str, base_url: str | None, default_model: str | None, kind: Kind = "openai_compatible",
    *, key_env: str | None = None, quirks: Quirks | None = None,
) -> Provider:  # fmt: skip
    return Provider(
        name=name,
        kind=kind,
        base_url=base_url,
        key_env=key_env or f"{name.upper()}_API_KEY",
        default_model=default_model,
        auth=_AUTH.get(kind, "bearer"),
        quirks=quirks,
    )


def _local(name: str, port: int) -> Provider:
    return Provider(
        name=name,
        kind="openai_compatible",
        base_url=f"http://127.0.0.1:{port}/v1",
        key_env=None,
        default_model=None,
        auth="none",
    )


_OSS = "openai/gpt-oss-120b"
_OLD_LIMIT = {"max_completion_tokens": "max_tokens"}

# console.groq.com/docs/openai: these fields end in a 400, and n may only be 1.
_GROQ = Quirks(refused=frozenset({"logprobs", "logit_bias", "top_logprobs"}), one_answer=True, no_names=True)
# Mistral's API reference: other names for two fields, roles system, user, assistant and tool; fields that are
# not in it are refused. Counts come with the last piece of a stream without being asked for.
_MISTRAL = Quirks(
    renamed={**_OLD_LIMIT, "seed": "random_seed"},
    refused=frozenset({
        "logprobs", "logit_bias", "top_logprobs", "user", "store", "service_tier", "modalities", "verbosity",
    }),
    unneeded=frozenset({"stream_options"}),
    no_developer=True,
)  # fmt: skip
# DeepSeek's API reference: `max_tokens`; roles system, user, assistant and tool.
_DEEPSEEK = Quirks(renamed=_OLD_LIMIT, no_developer=True)
# inference-docs.cerebras.ai/resources/openai: these fields end in a 400.
_CEREBRAS = Quirks(
    refused=frozenset({
        "frequency_penalty", "logit_bias", "presence_penalty", "parallel_tool_calls", "service_tier",
    })
)  # fmt: skip

PROVIDERS: Final[dict[str, Provider]] = {
    one.name: one
    for one in (
        _hosted("openai", "https://api.openai.com/v1", "gpt-5-mini", "openai"),
        _hosted("anthropic", "https://api.anthropic.com", "claude-haiku-4-5", "anthropic"),
        _hosted("gemini", "https://generativelanguage.googleapis.com", "gemini-3.5-flash-lite", "gemini"),
        _hosted("groq", "https://api.groq.com/openai/v1", _OSS, quirks=_GROQ),
        _hosted("mistral", "https://api.mistral.ai/v1", "mistral-small-latest", quirks=_MISTRAL),
        _hosted("openrouter", "https://openrouter.ai/api/v1", "openai/gpt-5-mini"),
        _hosted("deepseek", "https://api.deepseek.com/v1", "deepseek-flash", quirks=_DEEPSEEK),
        _hosted("xai", "https://api.x.ai/v1", "grok-4.3"),
        _hosted("together", "https://api.together.xyz/v1", _OSS),
        _hosted(
            "fireworks", "https://api.fireworks.ai/inference/v1", "accounts/fireworks/models/gpt-oss-120b"
        ),
        _hosted("cohere", "https://api.cohere.com", "command-a-03-2025", "cohere"),
        _hosted("cerebras", "https://api.cerebras.ai/v1", "gpt-oss-120b", quirks=_CEREBRAS),
        _hosted("perplexity", "https://api.perplexity.ai", "sonar"),
        _hosted("moonshot", "https://api.moonshot.ai/v1", "kimi-k2.5"),
        _hosted("minimax", "https://api.minimax.io/v1", "MiniMax-M2"),
        _hosted("zai", "https://api.z.ai/api/paas/v4", "glm-4.7"),
        _hosted("novita", "https://api.novita.ai/openai/v1", _OSS),
        _hosted("baseten", "https://inference.baseten.co/v1", _OSS),
        _hosted("azure", None, None, "azure", key_env="AZURE_OPENAI_API_KEY"),
        _hosted("vertex", None, "gemini-3.5-flash-lite", "vertex", key_env="GOOGLE_APPLICATION_CREDENTIALS"),
        _hosted(
            "bedrock",
            None,
            "global.anthropic.claude-haiku-4-5-20251001-v1:0",
            "bedrock",
            key_env="AWS_BEARER_TOKEN_BEDROCK",
        ),
        _local("ollama", 11434),
        _local("llama-server", 8080),
        _local("lmstudio", 1234),
        _local("vllm", 8000),
    )
}
"""By name, in the order in which keys and ports are tried."""

_BY_HOST = {urlsplit(one.base_url).hostname: one.name for one in PROVIDERS.values() if one.needs_only_key}
_BY_END = {
    ".openai.azure.com": "azure",
    ".cognitiveservices.azure.com": "azure",
    ".services.ai.azure.com": "azure",
    "aiplatform.googleapis.com": "vertex",
    ".rep.googleapis.com": "vertex",
}


def seller(base_url: str) -> str | None:
    """The provider whose address this is, or None: under whose name prices may be looked up.

    A provider that is configured with an address of its own is somebody else, whatever it is called.
    """
    host = urlsplit(base_url).hostname or ""
    if host.startswith("bedrock-runtime.") and host.endswith(".amazonaws.com"):
        return "bedrock"
    by_end = next((name for end, name in _BY_END.items() if host.endswith(end)), None)
    return _BY_HOST.get(host) or by_end


def context_window(target: str, book: PriceBook | None = None) -> int | None:
    """How many tokens the model of `provider/model` takes in all, or None when that is not known."""
    provider, _, model = target.partition("/")
    return (book or PriceBook.load()).context_window(provider, model)
