"""A LiteLLM configuration as a `greenroom.toml`, and what of it could not be said.

Pure: takes the decoded file, gives TOML and sentences. Nothing of the file is dropped in silence: every key
that has no counterpart here is named with its place. Checked against LiteLLM's documentation of October 2026.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, get_args

from greenroom.config import PLAIN, ProviderKind
from greenroom.models.catalog import PROVIDERS

# A section, parameter or value is whatever YAML holds: Any stands for "looked at by name".
_Table = dict[str, Any]

KINDS = frozenset(get_args(ProviderKind)) - {"llama"}  # which runs a file of this machine
_PREFIXES = {
    "openai": "openai", "text-completion-openai": "openai", "anthropic": "anthropic", "gemini": "gemini",
    "azure": "azure", "azure_ai": "azure", "vertex_ai": "vertex", "bedrock": "bedrock", "cohere": "cohere",
    "cohere_chat": "cohere", "groq": "groq", "mistral": "mistral", "deepseek": "deepseek", "xai": "xai",
    "together_ai": "together", "fireworks_ai": "fireworks", "openrouter": "openrouter", "ollama": "ollama",
    "ollama_chat": "ollama", "hosted_vllm": "vllm", "vllm": "vllm", "lm_studio": "lmstudio",
    "llamafile": "llama-server",
}  # fmt: skip
"""What stands before the slash in LiteLLM → our provider."""
_PLACES = (
    ("api_version", "api_version", "azure"),
    ("vertex_project", "project", "vertex"),
    ("vertex_location", "region", "vertex"),
    ("aws_region_name", "region", "bedrock"),
    ("aws_profile_name", "profile", "bedrock"),
)
"""Their parameter, our key, and the kind of provider that has it."""
_AWS_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_DIALECTS = frozenset({"anthropic", "gemini", "azure", "vertex", "bedrock", "cohere"})
"""Kinds that an address of its own does not turn into just any OpenAI-compatible service."""
_ROUTES = {
    "simple-shuffle": "weighted", "least-busy": "least_busy", "latency-based-routing": "fastest",
    "cost-based-routing": "cheapest", "usage-based-routing": "least_busy",
    "usage-based-routing-v2": "least_busy",
}  # fmt: skip
_MOST_RETRIES = 5
_ENVIRONMENT = "os.environ/"
_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


class Translated(NamedTuple):
    """What came of a file."""

    toml: str
    left_out: list[str]
    """A sentence each: the place, and why it is not in the file or what to do instead."""


class _Deployment(NamedTuple):
    target: str
    weight: float | None
    timeout_s: float | None
    first_token_s: float | None
    order: int


def translate(file: object) -> Translated:
    """Translate a decoded LiteLLM proxy configuration. Raises: ValueError for what is none."""
    if not isinstance(file, dict) or not isinstance(file.get("model_list"), list):
        raise ValueError("There is no list 'model_list' in it")  # noqa: TRY004  # the file is wrong, no type
    return _Translation(file).run()


class _Translation:
    def __init__(self, file: _Table) -> None:
        self._file = file
        self._left_out: list[str] = []
        self._providers: dict[str, _Table] = {}
        self._groups: dict[str, list[_Deployment]] = {}
        self._router = self._section("router_settings")
        self._settings = self._section("litellm_settings")
        self._general = self._section("general_settings")

    def run(self) -> Translated:
        for number, entry in enumerate(self._file["model_list"]):
            self._deployment(f"model_list[{number}]", entry)
        models = self._models()
        self._rest()
        return Translated(_toml(self._providers, models, self._left_out), self._left_out)

    def _section(self, name: str) -> _Table:
        found = self._file.get(name)
        if found is not None and not isinstance(found, dict):
            self._left_out.append(f"{name}: it is no table, so nothing of it was read.")
        return dict(found) if isinstance(found, dict) else {}

    # models and providers

    def _deployment(self, place: str, entry: object) -> None:
        if not isinstance(entry, dict) or not isinstance(entry.get("litellm_params"), dict):
            self._left_out.append(f"{place}: it has no litellm_params.")
            return
        params = dict(entry["litellm_params"])
        where = f"{place}.litellm_params"
        asked, name = params.pop("model", None), entry.get("model_name")
        if not isinstance(asked, str) or not isinstance(name, str) or not name:
            self._left_out.append(f"{place}: it names no model.")
            return
        prefix, slash, model = asked.partition("/")
        if not slash:
            prefix, model = ("anthropic" if asked.startswith("claude") else "openai"), asked
        base_url = params.pop("api_base", None) or params.pop("base_url", None)
        known = _PREFIXES.get(prefix)
        if known is None and base_url is None:
            self._left_out.append(f"{where}.model: there is no provider for '{prefix}/…' here.")
            return
        provider = self._provider(where, known or prefix, base_url, params)
        if provider is None:
            return
        if model == "*" or name == "*" or "*" in name:
            self._left_out.append(
                f"{place}: names with * are not needed: ask for any model of it as '{provider}/NAME'."
            )
            return
        weight = params.pop("weight", None)
        for rate in ("rpm", "tpm"):
            found = params.pop(rate, None)
            weight = found if weight is None else weight
            if found is not None:
                self._left_out.append(
                    f"{where}.{rate}: became the weight of the target; limits belong to keys here."
                )
        parallel = params.pop("max_parallel_requests", None)
        if isinstance(parallel, int) and parallel > 0:
            self._providers[provider]["parallel"] = parallel
        deployment = _Deployment(
            f"{provider}/{model}", _number(weight), _number(params.pop("timeout", None)),
            _number(params.pop("stream_timeout", None)), int(_number(params.pop("order", None)) or 0),
        )  # fmt: skip
        self._groups.setdefault(name, []).append(deployment)
        for rest in params:
            self._left_out.append(f"{where}.{rest}: has no counterpart; clients send it with the request.")
        for rest in entry:
            if rest not in {"model_name", "litellm_params", "model_info"}:
                self._left_out.append(f"{place}.{rest}: has no counterpart.")
        info = entry.get("model_info")
        for rest in info if isinstance(info, dict) else ():
            if rest != "id":
                self._left_out.append(f"{place}.model_info.{rest}: facts of models come from the price book.")

    def _provider(self, where: str, name: str, base_url: object, params: _Table) -> str | None:
        """The name of the provider table for these parameters; made when there is none yet."""
        table: _Table = {}
        known = PROVIDERS.get(name)
        kind = known.kind if known is not None else name
        key = params.pop("api_key", None)
        if isinstance(base_url, str) and base_url.startswith(_ENVIRONMENT):
            self._left_out.append(
                f"{where}.api_base: addresses are written out here; put that of {base_url} in."
            )
            base_url = None
        if isinstance(base_url, str):
            url = base_url.rstrip("/")
            if kind not in _DIALECTS:
                kind = "openai_compatible"
            if name == "ollama" and not url.endswith("/v1"):
                url += "/v1"
            table["base_url"] = url
        elif known is not None and kind == "openai_compatible":
            table["base_url"] = known.base_url
        if kind not in KINDS:
            self._left_out.append(f"{where}.model: providers of the kind '{kind}' can't be called from here.")
            return None
        table = {"kind": kind, **table}
        if isinstance(key, str) and key.startswith(_ENVIRONMENT):
            table["api_key_env"] = key.removeprefix(_ENVIRONMENT)
        elif isinstance(key, str) and key:
            self._left_out.append(
                f"{where}.api_key: a key in the file is not taken over. Name a variable with api_key_env, or "
                "seal it with 'greenroom providers set-key'."
            )
        elif known is not None and known.needs_only_key and "base_url" not in table:
            table["api_key_env"] = known.key_env
        self._put_place(where, kind, table, params)
        headers = params.pop("extra_headers", None) or params.pop("headers", None)
        if isinstance(headers, dict):
            table["headers"] = {str(one): str(value) for one, value in headers.items()}
        return self._named(name, table)

    def _put_place(self, where: str, kind: str, table: _Table, params: _Table) -> None:
        """Versions, projects and regions, for the kinds that have them."""
        for theirs, ours, of in _PLACES:
            if of != kind or theirs not in params:
                continue
            value = params.pop(theirs)
            if isinstance(value, str) and value.startswith(_ENVIRONMENT):
                self._left_out.append(f"{where}.{theirs}: it is written out here; put that of {value} in.")
            elif isinstance(value, str) and re.match(PLAIN, value):
                table[ours] = value
            else:
                self._left_out.append(f"{where}.{theirs}: it is no plain name.")
        given = params.pop("vertex_credentials", None) if kind == "vertex" else None
        if isinstance(given, str) and given.startswith(_ENVIRONMENT):
            table["api_key_env"] = given.removeprefix(_ENVIRONMENT)
        elif isinstance(given, str) and not given.lstrip().startswith("{"):
            table["api_key_file"] = given
        elif given is not None:
            self._left_out.append(
                f"{where}.vertex_credentials: a key in the file is not taken over; put it in its own file "
                "and name that with api_key_file."
            )
        for name in _AWS_KEYS if kind == "bedrock" else ():
            if params.pop(name, None) is not None:
                self._left_out.append(
                    f"{where}.{name}: AWS's keys come from {name.upper()}, or from the profile that is named."
                )

    def _named(self, name: str, table: _Table) -> str:
        name = re.sub(r"[^A-Za-z0-9_-]", "-", name) or "provider"
        number = 1
        while True:
            tried = name if number == 1 else f"{name}-{number}"
            found = self._providers.setdefault(tried, table)
            if {**found, "parallel": None} == {**table, "parallel": None}:
                return tried
            number += 1

    def _models(self) -> dict[str, _Table]:
        strategy = self._router.pop("routing_strategy", "simple-shuffle")
        route = _ROUTES.get(strategy) if isinstance(strategy, str) else None
        if route is None:
            self._left_out.append(
                f"router_settings.routing_strategy: '{strategy}' is not known; targets stay in their order."
            )
        retries = self._one_of("num_retries")
        timeout_s = self._one_of("timeout", "request_timeout")
        first_token_s = _number(self._router.pop("stream_timeout", None))
        fallbacks = self._fallbacks()
        models: dict[str, _Table] = {}
        for name, deployments in self._groups.items():
            deployments.sort(key=lambda one: one.order)
            targets = list(dict.fromkeys(one.target for one in deployments))
            own = len(targets)
            for other in fallbacks.pop(name, ()):
                found = self._groups.get(other)
                if found is None:
                    self._left_out.append(f"fallbacks: '{other}', to which '{name}' falls back, is no model.")
                for one in found or ():
                    if one.target not in targets:
                        targets.append(one.target)
            table: _Table = {"targets": targets}
            self._put_route(name, table, route or "ordered", deployments, own)
            if retries is not None:
                table["retries"] = min(int(retries), _MOST_RETRIES)
            for key, value in (("timeout_s", timeout_s), ("first_token_s", first_token_s)):
                stated = next(
                    (found for one in deployments if (found := getattr(one, key)) is not None), value
                )
                if stated is not None and stated > 0:
                    table[key] = stated
            models[name] = table
        for name in fallbacks:
            self._left_out.append(f"fallbacks: '{name}' is no model of the list.")
        self._aliases(models)
        return models

    def _put_route(
        self, name: str, table: _Table, route: str, deployments: Iterable[_Deployment], own: int
    ) -> None:
        targets = table["targets"]
        if own < 2 and len(targets) > 1:
            return  # one of its own, and what it falls back to: in order
        if own >= 2 and route != "ordered":
            table["route"] = route
            weights = {one.target: one.weight for one in deployments if one.weight is not None}
            if route == "weighted" and len(targets) > own:
                weights |= dict.fromkeys(targets[own:], 0.0)  # a last resort, as a fallback is
            elif len(targets) > own:
                self._left_out.append(
                    f"fallbacks: those of '{name}' are targets like the others under route {route}."
                )
            if weights:
                table["weights"] = weights

    def _one_of(self, *names: str) -> float | None:
        found = None
        for name in names:
            for section in (self._router, self._settings):
                value = _number(section.pop(name, None))
                found = value if found is None else found
        return found

    def _fallbacks(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for section, place in ((self._router, "router_settings"), (self._settings, "litellm_settings")):
            listed = section.pop("fallbacks", None)
            for one in listed if isinstance(listed, list) else ():
                for name, others in one.items() if isinstance(one, dict) else ():
                    if isinstance(others, list):
                        found.setdefault(str(name), []).extend(str(other) for other in others)
            for kind in ("context_window_fallbacks", "content_policy_fallbacks", "default_fallbacks"):
                if section.pop(kind, None):
                    self._left_out.append(f"{place}.{kind}: only failures of a target lead to the next one.")
        return found

    def _aliases(self, models: dict[str, _Table]) -> None:
        aliases = self._router.pop("model_group_alias", None)
        for alias, leads_to in aliases.items() if isinstance(aliases, dict) else ():
            name = leads_to.get("model") if isinstance(leads_to, dict) else leads_to
            if isinstance(name, str) and name in models and alias not in models:
                models[str(alias)] = dict(models[name])
            else:
                self._left_out.append(f"router_settings.model_group_alias.{alias}: '{name}' is no model.")

    # what is left

    def _rest(self) -> None:
        master = self._general.pop("master_key", None)
        if master:
            said = str(master).removeprefix(_ENVIRONMENT) if str(master).startswith(_ENVIRONMENT) else "it"
            self._left_out.append(
                f"general_settings.master_key: give {said} as GREENROOM_ADMIN_KEY; clients get keys of their "
                "own by 'greenroom keys create'."
            )
        if self._settings.pop("drop_params", None):
            self._left_out.append(
                "litellm_settings.drop_params: what a provider can't carry is always left out and named in "
                "x-greenroom-dropped."
            )
        for name, said in (
            ("cache", "answers are not cached unless an app says so"),
            ("cache_params", "answers are not cached unless an app says so"),
            ("max_budget", "give it as a budget: see docs/money.md"),
            ("budget_duration", "give it as a budget: see docs/money.md"),
            ("success_callback", "every exchange is recorded here; see /requests"),
            ("callbacks", "every exchange is recorded here; see /requests"),
            ("guardrails", "the steps of the check stage do this; see docs/checks.md"),
        ):
            if name in self._settings:
                self._settings.pop(name)
                self._left_out.append(f"litellm_settings.{name}: {said}.")
        for place, section in (
            ("router_settings", self._router),
            ("litellm_settings", self._settings),
            ("general_settings", self._general),
        ):
            self._left_out += [f"{place}.{name}: has no counterpart." for name in section]
        known = {"model_list", "router_settings", "litellm_settings", "general_settings"}
        self._left_out += [f"{name}: has no counterpart." for name in self._file if name not in known]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if value >= 0 else None


def _toml(providers: Mapping[str, _Table], models: Mapping[str, _Table], left_out: Iterable[str]) -> str:
    lines = ["# Translated from a LiteLLM configuration by 'greenroom import litellm'."]
    lines += [f"# Not taken over: {_one_line(one)}" for one in left_out]
    for kind, tables in (("providers", providers), ("models", models)):
        for name, table in tables.items():
            lines += ["", f"[{kind}.{_key(name)}]"]
            lines += [f"{key} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _key(name: str) -> str:
    return name if _BARE.match(name) else _value(name)


def _value(value: object) -> str:
    match value:
        case str():
            escaped = "".join(
                f"\\u{ord(one):04X}"
                if ord(one) < 32 or ord(one) == 127
                else {'"': '\\"', "\\": "\\\\"}.get(one, one)
                for one in value
            )
            return f'"{escaped}"'
        case float() if value == int(value):
            return str(int(value))
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            return (
                "{ " + ", ".join(f"{_key(str(one))} = {_value(that)}" for one, that in value.items()) + " }"
            )
    return str(value)
