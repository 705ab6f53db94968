"""Known providers and what is known of their models.

Facts, not choices: where a service listens, how it takes its key, which of its models is a sensible first
one. Addresses and names were checked on 2026-11-24 against published documentation and client code, not by a
call; every default model has a price in the price book. A fact that is not known is None. Nothing is read and
nobody is called at import.
"""

from typing import Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from greenroom.models.prices import PriceBook

CHECKED_ON: Final = "2026-11-24"

Kind = Literal["openai", "anthropic", "gemini", "openai_compatible"]
Auth = Literal["bearer", "x-api-key", "none"]


class Provider(Struct, kw_only=True, frozen=True):
    """An API that serves models."""

    name: str
    """As it stands before the slash in `provider/model`."""
    kind: Kind
    """The dialect: "anthropic" is translated; the others are called at `base_url` + `/chat/completions`."""
    base_url: str
    key_env: str | None
    """The environment variable that holds its key by custom; None where no key is needed."""
    default_model: str | None
    """What answers when nothing else was chosen; None where only the server knows what it has."""
    auth: Auth
    """How the key goes with a request: `Authorization: Bearer …` or `x-api-key: …`."""

    @property
    def is_local(self) -> bool:
        """Whether it is a server on this machine."""
        return self.key_env is None


def _hosted(name: str, base_url: str, default_model: str, kind: Kind = "openai_compatible") -> Provider:
    return Provider(
        name=name,
        kind=kind,
        base_url=base_url,
        key_env=f"{name.upper()}_API_KEY",
        default_model=default_model,
        auth="x-api-key" if kind == "anthropic" else "bearer",
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


PROVIDERS: Final[dict[str, Provider]] = {
    one.name: one
    for one in (
        _hosted("openai", "https://api.openai.com/v1", "gpt-5-mini", "openai"),
        _hosted("anthropic", "https://api.anthropic.com", "claude-haiku-4-5", "anthropic"),
        # Google's own endpoint for OpenAI clients.
        _hosted(
            "gemini",
            "https://generativelanguage.googleapis.com/v1beta/openai",
            "gemini-3.5-flash-lite",
            "gemini",
        ),
        _hosted("groq", "https://api.groq.com/openai/v1", "openai/gpt-oss-120b"),
        _hosted("mistral", "https://api.mistral.ai/v1", "mistral-small-latest"),
        _hosted("openrouter", "https://openrouter.ai/api/v1", "openai/gpt-5-mini"),
        _hosted("deepseek", "https://api.deepseek.com/v1", "deepseek-flash"),
        _hosted("xai", "https://api.x.ai/v1", "grok-4.3"),
        _hosted("together", "https://api.together.xyz/v1", "openai/gpt-oss-120b"),
        _hosted(
            "fireworks", "https://api.fireworks.ai/inference/v1", "accounts/fireworks/models/gpt-oss-120b"
        ),
        _local("ollama", 11434),
        _local("llama-server", 8080),
        _local("lmstudio", 1234),
        _local("vllm", 8000),
    )
}
"""By name, in the order in which keys and ports are tried."""

_BY_HOST = {urlsplit(one.base_url).hostname: one.name for one in PROVIDERS.values() if not one.is_local}


def seller(base_url: str) -> str | None:
    """The provider whose address this is, or None: under whose name prices may be looked up.

    A provider that is configured with an address of its own is somebody else, whatever it is called.
    """
    return _BY_HOST.get(urlsplit(base_url).hostname)


def context_window(target: str, book: PriceBook | None = None) -> int | None:
    """How many tokens the model of `provider/model` takes in all, or None when that is not known."""
    provider, _, model = target.partition("/")
    return (book or PriceBook.load()).context_window(provider, model)
