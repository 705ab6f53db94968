"""Estimates before training: what they follow, what they refuse, and that their remedies help."""

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.json import encode
from msgspec.structs import replace

from greenroom.errors import RequestError
from greenroom.offline.finetune.estimate import TYPICAL, estimate
from greenroom.offline.finetune.plan import Hyperparameters, Plan, Scratch
from greenroom.offline.finetune.resources import NANO, Estimate, Machine, TokenCounts
from greenroom.offline.finetune.shape import read_shape
from greenroom.offline.finetune.workload import lora_parameters, mean_longest, workload
from tests.offline.finetune import safe_models

ROWS = TokenCounts(lengths=[100, 200, 300, 400] * 50, is_counted=True)
MEASURED = Machine(memory_bytes=64 << 30, speed=TYPICAL)
LARGE = {
    "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
    "num_key_value_heads": 8, "vocab_size": 128_256, "max_position_embeddings": 8192, "head_dim": 64,
}  # fmt: skip


@pytest.fixture
def base(tmp_path: Path) -> str:
    """A billion parameters, by its configuration alone: no weight is read."""
    (tmp_path / "config.json").write_bytes(encode({**safe_models.CONFIG, **LARGE}))
    return str(tmp_path)


def plan(base: str | None, **changed: Any) -> Plan:  # Any: fields of Plan and of Hyperparameters
    set_ = {name: changed.pop(name) for name in list(changed) if name in Hyperparameters.__struct_fields__}
    return Plan(name="a", base=base, **{"tuning": "full", **changed}, hyperparameters=Hyperparameters(**set_))


def peak(told: Estimate) -> float:
    return told.peak_memory_mb.value


def test_the_parameters_are_those_of_the_published_model(base: str) -> None:
    """Llama 3.2 1B has 1,235,814,400; a LoRA of rank 16 on all its matrices 11,272,192."""
    told = estimate(plan(base, tuning="lora", lora_rank=16), ROWS, MEASURED)

    assert told.parameters - told.trained_parameters == 1_235_814_400
    assert told.trained_parameters == lora_parameters(read_shape(Path(base)), 16) == 11_272_192


def test_memory_follows_tuning_method_batch_and_length(base: str) -> None:
    """All weights take gradients and two moments beside themselves: 16 bytes a parameter."""
    full = estimate(plan(base, batch_size=2), ROWS, MEASURED)
    lora = estimate(plan(base, batch_size=2, tuning="lora"), ROWS, MEASURED)
    dpo = estimate(plan(base, batch_size=2, method="dpo"), ROWS, MEASURED)

    assert peak(full) * 2**20 > 16 * full.parameters
    assert peak(lora) < peak(full) / 2
    assert peak(dpo) > peak(full) + 4 * full.parameters / 2**20, "the base is there twice"
    assert peak(estimate(plan(base, batch_size=1), ROWS, MEASURED)) < peak(full)
    assert peak(estimate(plan(base, batch_size=2, max_length=200), ROWS, MEASURED)) < peak(full)


def test_time_follows_steps_and_threads(base: str) -> None:
    once = estimate(plan(base, max_steps=10), ROWS, MEASURED)
    twice = estimate(plan(base, max_steps=20), ROWS, MEASURED)
    faster = estimate(plan(base, max_steps=10), ROWS, replace(MEASURED, threads=2))

    assert (once.steps, twice.steps) == (10, 20)
    assert twice.tokens == pytest.approx(2 * once.tokens, abs=1)
    assert twice.seconds["training"] == pytest.approx(2 * once.seconds["training"], rel=0.01)
    assert faster.wall_s.value < once.wall_s.value
    assert faster.cpu_s == once.cpu_s


def test_money_is_energy_and_hours_at_their_prices(base: str) -> None:
    machine = replace(MEASURED, watts=100.0, nano_usd_per_kwh=300_000_000, nano_usd_per_hour=2 * NANO)

    told = estimate(plan(base, max_steps=10), ROWS, machine)

    hours = told.wall_s.value / 3600
    assert told.energy_kwh.value == pytest.approx(hours * 0.1)
    assert told.cost_nano_usd.value == pytest.approx(hours * (0.1 * 0.3 + 2) * NANO, abs=1)
    assert told.cost_nano_usd.low < told.cost_nano_usd.value < told.cost_nano_usd.high


def test_what_is_not_known_widens_the_bounds(base: str) -> None:
    """Nothing is refused where the memory is not known; nothing is said to be sure that was not measured."""
    guessed = replace(ROWS, is_counted=False)
    sure = estimate(plan(base), ROWS, MEASURED)
    unsure = estimate(plan(base), guessed, Machine())

    assert sure.wall_s.high == pytest.approx(1.2 * sure.wall_s.value)
    assert sure.peak_memory_mb.low == pytest.approx(0.9 * peak(sure))
    assert unsure.wall_s.high > 3 * unsure.wall_s.value
    assert unsure.fits
    assert "is not known" in unsure.why


def test_what_does_not_fit_is_refused_with_what_would(base: str) -> None:
    """Each remedy, done, fits."""
    machine = replace(MEASURED, memory_bytes=24 << 30)

    told = estimate(plan(base, batch_size=8), ROWS, machine)

    assert not told.fits
    assert re.fullmatch(r"It needs [\d,]+ MB .* and only 24,576 MB can be had\.", told.why)
    assert any(one.startswith("Train a LoRA instead of all weights") for one in told.remedies)
    assert estimate(plan(base, batch_size=8, tuning="lora"), ROWS, machine).fits
    for remedy in told.remedies:
        if found := re.match(r"Set (batch_size|max_length) to (\d+)", remedy):
            assert estimate(plan(base, **{"batch_size": 8, found[1]: int(found[2])}), ROWS, machine).fits


def test_a_shorter_length_says_what_it_leaves_out(base: str) -> None:
    need = peak(estimate(plan(base, tuning="lora", batch_size=1, max_length=150), ROWS, MEASURED))
    machine = replace(MEASURED, memory_bytes=round(need * 1.15 * 2**20))

    told = estimate(plan(base, tuning="lora", batch_size=1), ROWS, machine)

    assert not told.fits
    (remedy,) = [one for one in told.remedies if one.startswith("Set max_length")]
    length = int(remedy.split()[3].rstrip(":"))
    assert f"{sum(one > length for one in ROWS.lengths)} of 200 rows are longer" in remedy


def test_where_nothing_fits_it_says_so(base: str) -> None:
    told = estimate(plan(base), ROWS, replace(MEASURED, memory_bytes=1 << 30))

    assert not told.fits
    (remedy,) = told.remedies
    assert re.fullmatch(r"Take a smaller base, or a machine with [\d,]+ MB of free memory, .*", remedy)


def test_a_model_from_nothing_is_made_smaller() -> None:
    made = plan(None, start="from_scratch", scratch=Scratch(size=16))
    need = peak(estimate(replace(made, scratch=Scratch(size=8)), ROWS, MEASURED))

    told = estimate(made, ROWS, replace(MEASURED, memory_bytes=round(need * 1.12 * 2**20)))

    assert told.first_steps > 0
    sizes = [int(one.split()[3].rstrip(":")) for one in told.remedies if one.startswith("Set size")]
    assert sizes
    assert 8 <= sizes[0] < 16


@pytest.mark.parametrize(
    ("counts", "changed", "said"),
    [
        (TokenCounts(lengths=[]), {}, "There is no row"),
        (TokenCounts(lengths=[500, 600]), {"max_length": 100}, "Every row is longer than 100 tokens; the shortest has 500"),
    ],
)  # fmt: skip
def test_rows_that_can_not_be_trained_on_are_told(
    base: str, counts: TokenCounts, changed: dict[str, int], said: str
) -> None:
    with pytest.raises(RequestError, match=said):
        estimate(plan(base, **changed), counts, MEASURED)


def test_a_base_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"There is no 'config.json'"):
        estimate(plan(str(tmp_path)), ROWS, MEASURED)


def test_the_longest_of_some_rows() -> None:
    """Of two of 1, 2, 3, 4, drawn with repetition: (1·1 + 2·3 + 3·5 + 4·7) / 16."""
    assert mean_longest([4, 2, 1, 3], 2) == pytest.approx(50 / 16)
    assert mean_longest([7], 5) == 7
    assert mean_longest([1, 9], 1) == 5


def test_packing_leaves_fewer_tokens_to_compute(base: str) -> None:
    rows = TokenCounts(lengths=[30, 40, 200] * 40, is_counted=True)
    shape = read_shape(Path(base))

    single = workload(plan(base, packing=False, epochs=1, batch_size=8), rows, shape)
    packed = workload(plan(base, packing=True, epochs=1, batch_size=8), rows, shape)

    assert packed.passes[0].tokens < single.passes[0].tokens
    assert packed.passes[0].tokens >= sum(rows.lengths)


def test_it_is_told_as_json(base: str) -> None:
    told = estimate(plan(base), ROWS, MEASURED).to_json()

    assert set(told["peak_memory_mb"]) == {"value", "low", "high"}
    assert sum(told["memory"].values()) == pytest.approx(told["peak_memory_mb"]["value"], rel=0.01)
    assert sum(told["seconds"].values()) == pytest.approx(told["cpu_s"]["value"], rel=0.01)
    assert encode(told)
