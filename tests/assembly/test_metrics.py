"""Metrics of what was recorded: the conventions' names and buckets, bounded labels, sums over processes."""

import re
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from greenroom.assembly.exposition import lines_of, with_help
from greenroom.assembly.metrics import MOST_ERRORS, MOST_MODELS, Known, readings
from greenroom.assembly.workers import added
from greenroom.exchange import Attempt, Exchange, StepRecord
from greenroom.gateway.record import row_of
from greenroom.store.cells import Cell, Gathered, Kind
from greenroom.usage import Usage
from greenroom.wire import semconv
from tests.seeded import answering
from tests.server_process import ADMIN, ServerProcess
from tests.store.exchanges import make_exchange, make_masked

KNOWN = Known(apps={"default"}, models={"openai/small"}, kinds={"openai": "openai"}, hosted={"here"})


def cells_of(*exchanges: Exchange) -> dict[Kind, Cell]:
    gathered = Gathered()
    gathered.add((row_of(one), one) for one in exchanges)
    return {Kind(*key): cell for key, cell in gathered.since_start().cells.items()}


def streamed(id: str, *, total_s: float, first_s: float, tokens: int, pieces: int) -> Exchange:
    exchange = make_exchange(id)
    exchange.request.stream = True
    exchange.total_ns, exchange.first_token_ns = int(total_s * 1e9), int(first_s * 1e9)
    exchange.model_ns = exchange.total_ns
    exchange.usage = Usage(input_tokens=300, cached_tokens=200, output_tokens=tokens, reasoning_tokens=7)
    exchange.pieces = pieces
    return exchange


def shown(cells: dict[Kind, Cell], known: Known = KNOWN, spoken: semconv.Spoken = "both") -> list[str]:
    return with_help("\n".join(lines_of(readings(cells, known, spoken)))).splitlines()


def test_a_stream_is_told_in_both_profiles_by_the_buckets_of_the_conventions() -> None:
    lines = shown(cells_of(streamed("a", total_s=2.0, first_s=0.5, tokens=16, pieces=11)))
    labels = 'gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="small"'
    for name, bound, before in (
        ("gen_ai_client_operation_duration_seconds", "2.56", "1.28"),
        ("gen_ai_client_inference_duration_seconds", "2.56", "1.28"),
        ("gen_ai_client_operation_time_to_first_chunk_seconds", "0.64", "0.32"),
        ("gen_ai_client_inference_time_to_first_chunk_seconds", "0.64", "0.32"),
        ("gen_ai_client_operation_time_per_output_chunk_seconds", "0.16", "0.08"),
        ("gen_ai_client_inference_time_per_output_chunk_seconds", "0.16", "0.08"),
        ("gen_ai_client_inference_operation_input_tokens", "1024", "256"),
        ("gen_ai_client_inference_operation_output_tokens", "16", "4"),
    ):
        assert f'{name}_bucket{{{labels},le="{before}"}} 0' in lines, name
        assert f'{name}_bucket{{{labels},le="{bound}"}} 1' in lines, name
        assert f"{name}_count{{{labels}}} 1" in lines
    assert f'gen_ai_client_token_usage_bucket{{{labels},gen_ai_token_type="input",le="1024"}} 1' in lines
    text = f'{{{labels},gen_ai_token_modality="text"}}'
    assert f"gen_ai_client_inference_usage_input_tokens_total{text} 300" in lines
    assert f"gen_ai_client_inference_usage_cache_read_input_tokens_total{text} 200" in lines
    assert f"gen_ai_client_inference_usage_reasoning_output_tokens_total{text} 7" in lines
    bounds = [
        float(bound)
        for bound in re.findall(
            r'gen_ai_client_operation_duration_seconds_bucket\{.*le="([^"+]+)"', "\n".join(lines)
        )
    ]
    assert tuple(bounds) == semconv.DURATION_BOUNDS


def test_each_profile_can_be_had_alone() -> None:
    cells = cells_of(streamed("a", total_s=2.0, first_s=0.5, tokens=16, pieces=11))
    old = {one.metric.name for one in readings(cells, KNOWN, "v1_41")}
    new = {one.metric.name for one in readings(cells, KNOWN, "next")}
    assert "gen_ai.client.token.usage" in old - new
    assert "gen_ai.client.inference.usage.input_tokens" in new - old
    assert "gen_ai.client.operation.duration" in old - new
    assert "greenroom.request.duration" in old & new


def test_the_names_of_servers_are_for_models_that_run_here() -> None:
    there, here = (streamed(id, total_s=2.0, first_s=0.02, tokens=100, pieces=9) for id in "ab")
    here.target = "here/tiny.gguf"
    lines = "\n".join(shown(cells_of(there, here)))
    found = re.findall(r"gen_ai_server_time_per_output_token_seconds_count\{(.*)\} 1", lines)
    assert len(found) == 1
    assert 'gen_ai_request_model="tiny.gguf"' in found[0]
    assert "gen_ai_server_time_to_first_token_seconds_bucket" in lines


def test_a_failed_call_has_its_kind_of_error_and_no_tokens() -> None:
    failed = make_exchange("a", outcome="failed")
    failed.target, failed.usage, failed.error, failed.status = None, None, "upstream_timeout", 504
    failed.attempts[-1] = Attempt(target="openai/small", error="upstream_timeout", ns=10**9)
    lines = shown(cells_of(failed))
    labels = (
        'error_type="upstream_timeout",gen_ai_operation_name="chat",gen_ai_provider_name="openai",'
        'gen_ai_request_model="small"'
    )
    assert f"gen_ai_client_inference_duration_seconds_count{{{labels}}} 1" in lines
    assert f'gen_ai_client_inference_operation_input_tokens_bucket{{{labels},le="1"}} 1' in lines
    assert 'greenroom_answers_total{app="default",error="upstream_timeout",status="504"} 1' in lines


def test_findings_steps_and_money_are_told_by_our_names() -> None:
    exchange = make_masked("a")
    exchange.steps.append(StepRecord("check", "topics", ns=30_000))
    lines = shown(cells_of(exchange))
    category = exchange.steps[1].verdicts[0].category
    assert f'greenroom_safety_findings_total{{action="mask",app="default",category="{category}"}} 1' in lines
    assert 'greenroom_steps_total{app="default",outcome="changed",stage="check",step="pii"} 1' in lines
    assert 'greenroom_step_duration_seconds_bucket{stage="check",step="topics",le="2.5e-05"} 0' in lines
    assert 'greenroom_step_duration_seconds_bucket{stage="check",step="topics",le="5e-05"} 1' in lines
    assert 'greenroom_cost_total{app="default",model="openai/small"} 0.000123000' in lines


def test_names_that_clients_make_up_do_not_become_series() -> None:
    exchanges = []
    for number in range(3 * MOST_MODELS):
        exchange = make_exchange(str(number), app=f"app-{number}")
        exchange.target = f"openai/model-{number}"
        exchange.error = f"code-{number}"
        exchanges.append(exchange)
        refused = make_exchange(f"r{number}", outcome="failed")
        refused.target = f"openai/never-{number}"
        exchanges.append(refused)
    exchanges.append(make_exchange("configured"))
    found = readings(cells_of(*exchanges), KNOWN)
    values = {name: {value for one in found for key, value in one.labels if key == name} for name in (
        "app", "model", "error", "gen_ai.request.model",
    )}  # fmt: skip
    assert values["app"] == {"default", "other"}
    assert len(values["model"]) == MOST_MODELS + 1
    assert "openai/small" in values["model"]
    assert not any("never" in value for value in values["model"] | values["gen_ai.request.model"])
    assert len(values["error"] - {""}) == MOST_ERRORS + 1


def test_what_stands_in_labels_is_escaped() -> None:
    exchange = make_exchange("a")
    exchange.target = 'openai/"x"\n# TYPE y counter'
    known = KNOWN._replace(models={exchange.target})
    line = next(one for one in shown(cells_of(exchange), known) if one.startswith("greenroom_calls_total"))
    assert line == 'greenroom_calls_total{app="default",model="openai/\\"x\\"\\n# TYPE y counter"} 1'


def test_histograms_of_several_processes_add_up_bound_by_bound() -> None:
    one, two = ("\n".join(shown(cells_of(*(make_exchange(f"{n}{k}") for k in range(n))))) for n in (2, 3))
    lines = added([one, two]).splitlines()
    name = "greenroom_request_duration_seconds"
    told = [line for line in lines if line.startswith(f"{name}_")]
    bounds = [re.findall(r'le="([^"]+)"', line)[0] for line in told if "_bucket" in line]
    assert bounds == sorted(bounds, key=float)
    assert told[-1].endswith("} 5")
    assert lines.count(f"# TYPE {name} histogram") == 1
    assert f"# HELP {name} {semconv.REQUEST_DURATION.description}" in lines


@pytest.mark.slow  # starts a process
def test_promtool_takes_what_a_server_tells(tmp_path: Path) -> None:
    with answering() as url:
        config = f'[providers.there]\nkind = "openai_compatible"\nbase_url = "{url}"\n'
        with ServerProcess(tmp_path / "data", config) as server:
            for _ in range(3):
                assert server.ask(model="there/quick")[0] == 200
            time.sleep(0.2)
            asked = urllib.request.Request(
                f"{server.url}/metrics", headers={"authorization": f"Bearer {ADMIN}"}
            )
            with urllib.request.urlopen(asked) as answer:
                text = answer.read().decode()
    assert re.search(r"^gen_ai_client_inference_duration_seconds_count\{.*\} 3$", text, re.MULTILINE)
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian package prometheus)")
    told = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30, check=False
    )
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")
