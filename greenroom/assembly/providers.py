"""A `[providers.NAME]` table to what calls that provider: its address, its key, its region."""

from collections.abc import Callable, Mapping
from pathlib import Path

from greenroom.config import ProviderConfig
from greenroom.errors import ConfigError
from greenroom.grounding.passages import units
from greenroom.grounding.stems import language_of, tokens
from greenroom.models.catalog import PROVIDERS, seller
from greenroom.models.origin import Origin
from greenroom.models.pool import Pool
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
    google_token,
    sigv4,
    vertex,
)
from greenroom.models.reader import Reader

Environment = Mapping[str, str]


def reader() -> Reader:
    """The built-in reader."""
    return Reader(tokens, language_of, units)


def make(
    name: str, provider: ProviderConfig, environment: Environment, pool: Pool, source: str,
    sealed: Callable[[str], str | None],
) -> Provider:  # fmt: skip
    """What calls a provider. Raises ConfigError for what is missing or can't be; no key is said."""
    where = f"{source}: providers.{name}"
    if provider.kind == "reader":
        return BuiltIn(name, reader())
    key = _key(where, provider, environment) or sealed(name)
    try:
        match provider.kind:
            case "vertex":
                return _vertex(where, name, provider, key, environment, pool)
            case "bedrock":
                return _bedrock(where, name, provider, key, environment, pool)
        return _plain(where, name, provider, key, pool)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}.") from None


def _plain(where: str, name: str, provider: ProviderConfig, key: str | None, pool: Pool) -> Provider:
    """One with an address and a key."""
    known = PROVIDERS.get(name)
    if known is None or not _alike(known.kind, provider.kind):
        known = PROVIDERS.get(provider.kind)
    base_url = provider.base_url or (known.base_url if known is not None else None)
    if base_url is None:
        example = "https://NAME.openai.azure.com" if provider.kind == "azure" else "http://127.0.0.1:8000/v1"
        raise ConfigError(f'{where} needs a base_url, for instance "{example}".')
    check_address(where, base_url)
    headers, version = provider.headers, provider.api_version
    match provider.kind:
        case "anthropic":
            return Anthropic(name, base_url, key, pool, headers)
        case "cohere":
            return Cohere(name, base_url, key, pool, headers)
        case "azure":
            return Azure(name, base_url, key, pool, headers, version)
        case "gemini":
            if base_url.rstrip("/").endswith("/openai"):
                raise ConfigError(
                    f"{where}: the kind 'gemini' speaks Gemini's own dialect. Leave base_url out, or call "
                    "Google's surface for OpenAI clients with the kind 'openai_compatible'."
                )
            return Gemini(name, base_url, key, pool, headers, version or "v1beta")
    sold_by = seller(base_url)
    quirks = PROVIDERS[sold_by].quirks if sold_by is not None else None
    return OpenAICompatible(name, base_url, key, pool, headers, quirks=quirks)


def _alike(known: str, kind: str) -> bool:
    return known == kind or {known, kind} == {"openai", "openai_compatible"}


def _vertex(
    where: str, name: str, provider: ProviderConfig, key: str | None, environment: Environment, pool: Pool
) -> Vertex:
    project = provider.project or environment.get("GOOGLE_CLOUD_PROJECT")
    if not project:
        raise ConfigError(f"{where} needs a Google Cloud project: project or GOOGLE_CLOUD_PROJECT.")
    if key is None and (file := environment.get("GOOGLE_APPLICATION_CREDENTIALS")):
        key = read_file(where, file, "the file that GOOGLE_APPLICATION_CREDENTIALS names")
    host = environment.get("GCE_METADATA_HOST") or google_token.METADATA_HOST
    tokens = google_token.source_of(key) if key is not None else google_token.Machine(host)
    region = provider.region or "global"
    base_url = provider.base_url or vertex.address(region)
    check_address(where, base_url)
    return Vertex(
        name, base_url, tokens, pool, provider.headers, project=project, region=region,
        api_version=provider.api_version or "v1beta1",
    )  # fmt: skip


def _bedrock(
    where: str, name: str, provider: ProviderConfig, key: str | None, environment: Environment, pool: Pool
) -> Bedrock:
    region = provider.region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if not region:
        raise ConfigError(f'{where} needs a region, for instance "us-east-1", or AWS_REGION.')
    base_url = provider.base_url or f"https://bedrock-runtime.{region}.amazonaws.com"
    check_address(where, base_url)
    if key is not None:
        return Bedrock(name, base_url, key, pool, provider.headers)
    if not sigv4.is_installed():
        raise ConfigError(
            f"{where}: signing calls needs a library that is not installed: {sigv4.INSTALL}. Without it, "
            "give a Bedrock API key with api_key_env."
        )
    access, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if provider.profile is not None or not (access and secret):
        signer = sigv4.Signer(region, profile=provider.profile)
    else:
        token = environment.get("AWS_SESSION_TOKEN")
        signer = sigv4.Signer(region, access_key=access, secret_key=secret, session_token=token)
    return Bedrock(name, base_url, None, pool, provider.headers, signer)


def check_address(where: str, base_url: str) -> None:
    """Raise ConfigError unless `base_url` can be called; it may hold a password and is not said."""
    try:
        Origin.parse(base_url)
    except ValueError:
        raise ConfigError(
            f"{where}: base_url must be a plain http:// or https:// address, without credentials or '?'."
        ) from None


def _key(where: str, provider: ProviderConfig, environment: Environment) -> str | None:
    if provider.api_key_env is not None:
        key = environment.get(provider.api_key_env)
        if not key:
            raise ConfigError(f"{where}: the environment variable {provider.api_key_env} is not set.")
        return key.strip()
    if provider.api_key_file is not None:
        return read_file(where, provider.api_key_file, "the key file", "Check api_key_file and its rights.")
    return None


def read_file(where: str, file: str, what: str, remedy: str = "Check it and its rights.") -> str:
    """What a file that the configuration names holds, its ends stripped. Raises: ConfigError."""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{where}: {what} can't be read. {remedy}") from None
