"""The names of telemetry: what the conventions say, and no two alike."""

import pytest

from greenroom.wire import semconv


def test_the_buckets_are_those_of_the_conventions() -> None:
    assert semconv.TOKEN_USAGE.bounds == (
        1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
    )  # fmt: skip
    assert semconv.OPERATION_DURATION.bounds == (
        0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
    )  # fmt: skip


def test_no_two_metrics_of_both_profiles_have_one_name_in_prometheus() -> None:
    names = [
        form
        for metric in semconv.METRICS
        for form in (
            [metric.prometheus + end for end in ("", "_bucket", "_sum", "_count")]
            if metric.kind == "histogram"
            else [metric.prometheus]
        )
    ]

    assert len(set(names)) == len(names)


def test_names_in_prometheus_carry_their_unit() -> None:
    assert semconv.OPERATION_DURATION.prometheus == "gen_ai_client_operation_duration_seconds"
    assert semconv.TOKEN_USAGE.prometheus == "gen_ai_client_token_usage"
    assert (
        semconv.INFERENCE_CACHE_READ.prometheus
        == "gen_ai_client_inference_usage_cache_read_input_tokens_total"
    )


@pytest.mark.parametrize(
    ("spoken", "operation", "expected"),
    [("both", "chat", True), ("v1_41", "chat", True), ("next", "chat", False), ("next", "embeddings", True)],
)
def test_the_old_duration_is_left_to_what_is_no_inference(
    spoken: semconv.Spoken, operation: str, expected: bool
) -> None:
    assert semconv.spoken_for(semconv.OPERATION_DURATION, operation, spoken) is expected


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("work", "azure", "azure.ai.openai"),
        ("groq", "openai_compatible", "groq"),
        ("ours", "openai_compatible", "ours"),
        ("Mistral", None, "mistral_ai"),
    ],
)
def test_providers_are_called_as_the_conventions_call_them(
    name: str, kind: str | None, expected: str
) -> None:
    assert semconv.provider_name(name, kind) == expected
