"""What is known of providers and models."""

from urllib.parse import urlsplit

import pytest

from greenroom.models.catalog import PROVIDERS, Provider, context_window, seller
from greenroom.models.prices import PriceBook

KEYS = {
    "azure": "AZURE_OPENAI_API_KEY",
    "vertex": "GOOGLE_APPLICATION_CREDENTIALS",
    "bedrock": "AWS_BEARER_TOKEN_BEDROCK",
}
AUTH = {"anthropic": "x-api-key", "gemini": "x-goog-api-key", "azure": "api-key"}

hosted = pytest.mark.parametrize(
    "provider", [one for one in PROVIDERS.values() if not one.is_local], ids=lambda one: one.name
)
local = pytest.mark.parametrize(
    "provider", [one for one in PROVIDERS.values() if one.is_local], ids=lambda one: one.name
)


@hosted
def test_a_hosted_provider_is_called_over_tls_with_a_key(provider: Provider) -> None:
    assert provider.base_url is None or urlsplit(provider.base_url).scheme == "https"
    assert not (provider.base_url or "").endswith("/")
    assert provider.key_env == KEYS.get(provider.name, f"{provider.name.upper()}_API_KEY")
    assert provider.auth == AUTH.get(provider.kind, "bearer")


@hosted
def test_a_hosted_providers_default_model_has_a_price(provider: Provider) -> None:
    assert (provider.default_model is None) == (provider.name == "azure")
    model = provider.default_model or "gpt-5-mini"
    assert PriceBook.load().price(provider.name, model) is not None


@local
def test_a_local_server_is_on_loopback_and_takes_no_key(provider: Provider) -> None:
    assert urlsplit(provider.base_url or "").hostname == "127.0.0.1"
    assert (provider.key_env, provider.auth, provider.default_model) == (None, "none", None)


@pytest.mark.parametrize(
    ("target", "tokens"),
    [
        ("openai/gpt-4o", 128_000),
        ("anthropic/claude-haiku-4-5", 200_000),
        ("openrouter/openai/gpt-5-mini", 400_000),
        ("openai/no-such-model", None),
        ("ollama/llama3", None),
        ("greenroom/reader", None),
        ("gpt-4o", None),
        ("", None),
    ],
)
def test_context_windows(target: str, tokens: int | None) -> None:
    assert context_window(target) == tokens


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://API.OpenAI.com/v1/", "openai"),
        ("https://generativelanguage.googleapis.com/v1beta/openai", "gemini"),
        ("https://mine.openai.azure.com", "azure"),
        ("https://mine.services.ai.azure.com/openai/v1", "azure"),
        ("https://europe-west4-aiplatform.googleapis.com", "vertex"),
        ("https://aiplatform.googleapis.com", "vertex"),
        ("https://aiplatform.eu.rep.googleapis.com", "vertex"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com", "bedrock"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com.example.org", None),
        ("https://openai.azure.com.example.org", None),
        ("http://127.0.0.1:8000/v1", None),
        ("https://api.openai.com.example.org/v1", None),
        ("not an address", None),
    ],
)
def test_only_a_providers_own_address_sells_at_its_price(address: str, name: str | None) -> None:
    assert seller(address) == name
