"""A table of the configuration to what calls the provider: what is used, what is missing, what is refused."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from Crypto.PublicKey import RSA

from greenroom.assembly.models import Models
from greenroom.assembly.providers import make
from greenroom.config import Config, ProviderConfig, load
from greenroom.errors import ConfigError
from greenroom.models.pool import Pool
from greenroom.models.prices import PriceBook
from greenroom.models.providers import (
    Anthropic,
    Azure,
    Bedrock,
    BuiltIn,
    Cohere,
    Gemini,
    OpenAICompatible,
    Provider,
    Vertex,
    sigv4,
)

KEY = "canary-9d2e"
ACCOUNT = json.dumps(
    {
        "type": "service_account",
        "client_email": "a@p.iam.gserviceaccount.com",
        "private_key": RSA.generate(2048).export_key().decode(),
    }
)


def made(table: str, environment: Mapping[str, str], folder: Path, *, name: str = "x") -> Provider:
    path = folder / "greenroom.toml"
    path.write_text(f"[providers.{name}]\n{table}\n", encoding="utf-8")
    return make(name, load(path).providers[name], environment, Pool(), str(path), lambda _: None)


@pytest.mark.parametrize(
    ("table", "environment", "kind"),
    [
        ('kind = "openai"\napi_key_env = "K"', {"K": KEY}, OpenAICompatible),
        ('kind = "anthropic"\napi_key_env = "K"', {"K": KEY}, Anthropic),
        ('kind = "gemini"\napi_key_env = "K"\napi_version = "v1"', {"K": KEY}, Gemini),
        ('kind = "cohere"\napi_key_env = "K"', {"K": KEY}, Cohere),
        ('kind = "azure"\nbase_url = "https://n.openai.azure.com"\napi_version = "2024-10-21"', {}, Azure),
        ('kind = "vertex"\nproject = "p"\napi_key_env = "K"', {"K": ACCOUNT}, Vertex),
        ('kind = "vertex"\nregion = "eu"', {"GOOGLE_CLOUD_PROJECT": "p"}, Vertex),
        ('kind = "bedrock"\napi_key_env = "K"\nregion = "us-east-1"', {"K": KEY}, Bedrock),
        ('kind = "bedrock"\napi_key_env = "K"', {"K": KEY, "AWS_REGION": "eu-west-1"}, Bedrock),
        ('kind = "openai_compatible"\nbase_url = "http://127.0.0.1:1/v1"', {}, OpenAICompatible),
        ('kind = "reader"', {}, BuiltIn),
    ],
)
def test_each_kind_is_made(table: str, environment: dict[str, str], kind: type, tmp_path: Path) -> None:
    assert type(made(table, environment, tmp_path)) is kind


def test_the_file_that_google_names_is_read(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(ACCOUNT, encoding="utf-8")
    environment = {
        "GOOGLE_CLOUD_PROJECT": "p",
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "key.json"),
    }

    assert type(made('kind = "vertex"', environment, tmp_path)) is Vertex


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('kind = "azure"', "azure.com"),
        ('kind = "vertex"', "GOOGLE_CLOUD_PROJECT"),
        ('kind = "vertex"\nproject = "p"\napi_key_env = "K"', "service account"),
        ('kind = "vertex"\nproject = "p"\napi_key_file = "/nowhere"', "key file can't be read"),
        ('kind = "bedrock"', "AWS_REGION"),
        ('kind = "gemini"\nbase_url = "https://generativelanguage.googleapis.com/v1beta/openai"', "openai_compatible"),
        ('kind = "gemini"\nbase_url = "https://h?key=1"', "plain http"),
        ('kind = "cohere"\napi_key_env = "NONE"', "NONE is not set"),
        ('kind = "bedrock"\nregion = "r"\napi_key_env = "BAD"', "line break"),
        ('kind = "openai"\nregion = "r"', "does not use 'region'"),
        ('kind = "gemini"\nproject = "p"', "does not use 'project'"),
        ('kind = "azure"\nprofile = "p"', "does not use 'profile'"),
        ('kind = "reader"\nbase_url = "http://h"', "does not use 'base_url'"),
        ('kind = "vertex"\nregion = "a/../b"', "region"),
        ('kind = "azure"\nbase_url = "https://h"\napi_version = "1&x=2"', "api_version"),
    ],
)  # fmt: skip
def test_what_is_missing_or_cannot_be_is_named(table: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        made(table, {"K": KEY, "BAD": f"{KEY}\r\nX: y"}, tmp_path)

    assert said in str(caught.value)
    assert "providers.x" in str(caught.value)
    assert KEY not in str(caught.value)


def test_signing_without_its_library_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sigv4, "is_installed", lambda: False)

    with pytest.raises(ConfigError, match=sigv4.INSTALL):
        made('kind = "bedrock"\nregion = "us-east-1"', {}, tmp_path)


@pytest.mark.parametrize(
    ("environment", "target"),
    [
        ({"GEMINI_API_KEY": KEY}, "gemini/gemini-3.5-flash-lite"),
        ({"COHERE_API_KEY": KEY}, "cohere/command-a-03-2025"),
        ({"AZURE_OPENAI_API_KEY": KEY, "AWS_BEARER_TOKEN_BEDROCK": KEY}, "greenroom/reader"),
    ],
)
def test_a_key_in_the_environment_is_enough_where_nothing_else_is_needed(
    environment: dict[str, str], target: str, tmp_path: Path
) -> None:
    models = Models(Config(), environment, Pool(), PriceBook.load(), "no file")
    chosen = models.choose()

    assert (chosen.target if chosen is not None else "greenroom/reader") == target


@pytest.mark.parametrize(
    ("table", "model", "cost"),
    [
        ('kind = "vertex"\nproject = "p"', "gemini-3.5-flash-lite", 300),
        ('kind = "vertex"\nproject = "p"', "claude-haiku-4-5@20251001", 1000),
        ('kind = "bedrock"\nregion = "r"\napi_key_env = "K"', "global.anthropic.claude-haiku-4-5-20251001-v1:0", 1000),
        ('kind = "azure"\nbase_url = "https://n.openai.azure.com"', "gpt-5-mini", 250),
        ('kind = "azure"\nbase_url = "https://n.example.org"', "gpt-5-mini", None),
        ('kind = "cohere"', "command-a-03-2025", 2500),
    ],
)  # fmt: skip
def test_prices_are_those_of_who_sells(table: str, model: str, cost: int | None, tmp_path: Path) -> None:
    path = tmp_path / "greenroom.toml"
    path.write_text(f"[providers.mine]\n{table}\n", encoding="utf-8")
    models = Models(load(path), {"K": KEY}, Pool(), PriceBook.load(), str(path))
    target = models.target(f"mine/{model}")

    assert target is not None
    assert (target.price and target.price.periods[0].rates.input // 1000) == cost


def test_quirks_belong_to_the_address_and_not_to_the_name(tmp_path: Path) -> None:
    own = 'kind = "openai_compatible"\nbase_url = "http://127.0.0.1:1/v1"'
    theirs = 'kind = "openai_compatible"\nbase_url = "https://api.groq.com/openai/v1"'

    near, far = made(own, {}, tmp_path, name="groq"), made(theirs, {}, tmp_path)

    assert isinstance(near, OpenAICompatible)
    assert isinstance(far, OpenAICompatible)
    assert near._quirks is None
    assert far._quirks is not None
    assert far._quirks.one_answer


def test_a_known_name_of_another_kind_brings_no_address(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        made('kind = "openai_compatible"', {}, tmp_path, name="gemini")
    assert ProviderConfig(kind="gemini").api_version is None
