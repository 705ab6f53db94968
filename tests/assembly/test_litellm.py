"""LiteLLM configurations translated: what becomes what, and that nothing is dropped in silence."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.assembly.litellm import translate
from greenroom.config import Config
from greenroom.tables import decode_table


def one(**params: Any) -> dict[str, Any]:  # Any: YAML
    return {"model_name": params.pop("name", "m"), "litellm_params": params}


def config_of(file: object) -> Config:
    text = translate(file).toml
    return decode_table(tomllib.loads(text), Config, "translation", text)


def test_targets_weights_and_fallbacks() -> None:
    config = config_of(
        {
            "model_list": [
                one(name="fast", model="openai/gpt-5-mini", api_key="os.environ/KEY_A", weight=3),
                one(name="fast", model="anthropic/claude-haiku-4-5", api_key="os.environ/KEY_B", weight=1),
                one(name="near", model="ollama/llama3.2", api_base="http://127.0.0.1:11434"),
            ],
            "router_settings": {"num_retries": 9, "timeout": 40, "stream_timeout": 7},
            "litellm_settings": {"fallbacks": [{"fast": ["near"]}]},
        }
    )

    fast = config.models["fast"]
    assert fast.targets == ("openai/gpt-5-mini", "anthropic/claude-haiku-4-5", "ollama/llama3.2")
    assert (fast.route, fast.retries, fast.timeout_s, fast.first_token_s) == ("weighted", 5, 40, 7)
    assert fast.weights == {
        "openai/gpt-5-mini": 3, "anthropic/claude-haiku-4-5": 1, "ollama/llama3.2": 0,
    }  # fmt: skip
    assert config.providers["openai"].api_key_env == "KEY_A"
    assert config.providers["ollama"].base_url == "http://127.0.0.1:11434/v1"


def test_one_target_with_a_fallback_is_asked_in_order() -> None:
    file = {
        "model_list": [one(name="a", model="openai/x"), one(name="b", model="groq/y")],
        "router_settings": {"fallbacks": [{"a": ["b"]}], "routing_strategy": "least-busy"},
    }

    model = config_of(file).models["a"]

    assert (model.route, model.targets) == ("ordered", ("openai/x", "groq/y"))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("least-busy", "least_busy"), ("latency-based-routing", "fastest"),
        ("cost-based-routing", "cheapest"), ("usage-based-routing-v2", "least_busy"),
    ],
)  # fmt: skip
def test_strategies(theirs: str, ours: str) -> None:
    file = {
        "model_list": [one(model="openai/x"), one(model="openai/y")],
        "router_settings": {"routing_strategy": theirs},
    }

    assert config_of(file).models["m"].route == ours


def test_the_same_provider_under_two_keys_becomes_two_tables() -> None:
    config = config_of(
        {
            "model_list": [
                one(model="openai/x", api_key="os.environ/KEY_A"),
                one(model="openai/x", api_key="os.environ/KEY_B"),
                one(model="openai/z", api_key="os.environ/KEY_A"),
            ]
        }
    )

    assert {name: table.api_key_env for name, table in config.providers.items()} == {
        "openai": "KEY_A", "openai-2": "KEY_B",
    }  # fmt: skip
    assert config.models["m"].targets == ("openai/x", "openai-2/x", "openai/z")


def test_a_key_in_the_file_is_never_written() -> None:
    found = translate({"model_list": [one(model="openai/x", api_key="sk-canary-123")]})

    assert "sk-canary-123" not in found.toml
    assert any("api_key" in said and "set-key" in said for said in found.left_out)
    assert "sk-canary-123" not in "".join(found.left_out)


def test_aliases_and_what_has_no_counterpart_are_said() -> None:
    file = {
        "model_list": [one(model="openai/x", temperature=0.3), one(name="n", model="nobody/y"), "odd", {}],
        "router_settings": {"model_group_alias": {"gpt-4": "m", "gone": "nothing"}, "redis_host": "h"},
        "litellm_settings": {"cache": True, "fallbacks": [{"m": ["missing"]}, {"who": ["m"]}]},
        "general_settings": {"master_key": "os.environ/MASTER", "database_url": "postgresql://u:p@h"},
        "environment_variables": {"A": "b"},
    }
    found = translate(file)

    said = "\n".join(found.left_out)
    for place in (
        "model_list[0].litellm_params.temperature", "model_list[1].litellm_params.model", "model_list[2]",
        "model_list[3]", "model_group_alias.gone", "router_settings.redis_host", "litellm_settings.cache",
        "'missing'", "'who'", "give MASTER as GREENROOM_ADMIN_KEY", "general_settings.database_url",
        "environment_variables",
    ):  # fmt: skip
        assert place in said
    assert "u:p@h" not in found.toml
    assert config_of(file).models["gpt-4"].targets == ("openai/x",)


@pytest.mark.parametrize("file", [None, [], "x", {}, {"model_list": {}}, {"model_list": None}])
def test_what_is_no_configuration_is_refused(file: object) -> None:
    with pytest.raises(ValueError, match="model_list"):
        translate(file)


TEXT = st.text(max_size=12) | st.sampled_from(["openai/x", "os.environ/A", "*", 'a"b\n', "azure/d"])
YAML = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=True) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
PARAMS = st.dictionaries(
    st.sampled_from(
        ["model", "api_base", "api_key", "weight", "rpm", "timeout", "extra_headers", "max_parallel_requests"]
    ),
    YAML,
)


@given(
    st.lists(st.fixed_dictionaries({"model_name": TEXT, "litellm_params": PARAMS}) | YAML, max_size=4),
    st.dictionaries(
        st.sampled_from(["routing_strategy", "num_retries", "timeout", "fallbacks", "model_group_alias"]),
        YAML,
    ),
)
def test_whatever_the_file_holds_the_translation_loads_or_names_the_value(
    model_list: list[Any], router: dict[str, Any]
) -> None:
    found = translate({"model_list": model_list, "router_settings": router})

    tables = tomllib.loads(found.toml)
    assert set(tables) <= {"providers", "models"}
    decode_table(tables, Config, "translation", found.toml)


def test_places_and_keys_of_clouds_go_where_they_belong() -> None:
    def entry(model: str, **params: object) -> dict[str, object]:
        return {"model_name": model, "litellm_params": {"model": model, **params}}

    made = translate(
        {
            "model_list": [
                entry("azure/mine", api_base="https://n.openai.azure.com/", api_version="2024-10-21", api_key="os.environ/A"),
                entry("vertex_ai/gemini-3.5-flash", vertex_project="p", vertex_location="eu", vertex_credentials="k.json"),
                entry("bedrock/a.b-v1:0", aws_region_name="us-east-1", aws_access_key_id="AKIA"),
                entry("vertex_ai/claude-x", vertex_project="p q", vertex_credentials='{"private_key":"hush"}'),
                entry("cohere/command-a", api_key="os.environ/C"),
            ]
        }
    )  # fmt: skip

    tables = tomllib.loads(made.toml)["providers"]
    assert tables["azure"] == {
        "kind": "azure", "base_url": "https://n.openai.azure.com", "api_key_env": "A", "api_version": "2024-10-21",
    }  # fmt: skip
    assert tables["vertex"] == {"kind": "vertex", "project": "p", "region": "eu", "api_key_file": "k.json"}
    assert tables["bedrock"] == {"kind": "bedrock", "region": "us-east-1"}
    assert tables["cohere"] == {"kind": "cohere", "api_key_env": "C"}
    assert "hush" not in made.toml
    said = "\n".join(made.left_out)
    assert "aws_access_key_id: AWS's keys come from AWS_ACCESS_KEY_ID" in said
    assert "vertex_credentials: a key in the file is not taken over" in said
    assert "vertex_project: it is no plain name" in said
