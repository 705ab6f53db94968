"""What local models need of memory, held to files, logs and arithmetic of others."""

from pathlib import Path
from statistics import median

import msgspec
import pytest

from greenroom.models.catalogue.catalogue import open_catalogue
from greenroom.models.catalogue.facts import Model, Shape
from greenroom.models.catalogue.files import active_share, shape_of
from greenroom.models.catalogue.hardware import Gpu, Hardware
from greenroom.models.catalogue.memory import cache_bytes, compute_bytes, fit, need
from greenroom.models.catalogue.weights import BITS, UnknownQuantisation, active_bytes, weight_bytes
from greenroom.models.gguf import Head, read_head
from tests.models import tiny_gguf
from tests.models.catalogue.cases import CASES, FILES, PARAMETERS, Case

MIB, GIB = 1 << 20, 1 << 30


def model_of(name: str) -> Model:
    found = open_catalogue().find(name)
    assert found is not None
    return found


def shape(name: str) -> Shape:
    fact = model_of(name).shape
    assert fact is not None
    return fact.value


def machine(ram: int, vram: int) -> Hardware:
    gpus = (Gpu("card", vram * GIB, vram * GIB),) if vram else ()
    return Hardware(ram_total=ram * GIB, ram_free=ram * GIB, gpus=gpus, said=True)


def test_there_are_at_least_sixty_cases_and_a_third_of_them_have_no_room() -> None:
    assert len(CASES) >= 60
    assert sum(case.where == "nowhere" for case in CASES) >= 20


@pytest.mark.parametrize(
    "case", CASES, ids=lambda one: f"{one.model}-{one.quantisation}-{one.context}-{one.ram}-{one.vram}"
)
def test_a_model_has_room_where_it_was_worked_out_to_have(case: Case) -> None:
    weights = weight_bytes(model_of(case.model), case.quantisation)
    assert weights is not None
    wanted = need(weights, shape(case.model), case.context, case.parallel)

    found = fit(wanted, machine(case.ram, case.vram))

    by_hand = case.file + (case.cache + case.compute + 64) * MIB
    assert found.where == case.where
    assert abs(wanted.total - by_hand) < 0.02 * by_hand
    assert abs(wanted.cache - case.cache * MIB) < 1
    assert found.fits == (found.spare >= 0)


def test_files_have_the_size_that_their_quantisation_says() -> None:
    errors = {}
    for file in FILES:
        model = msgspec.structs.replace(model_of(file.model), file_bytes=None)
        weights = weight_bytes(model, file.quantisation)
        assert weights is not None
        errors[file.model, file.quantisation] = abs(weights / file.bytes - 1)

    assert len(errors) >= 60
    assert median(errors.values()) < 0.003
    assert sum(error < 0.012 for error in errors.values()) >= 0.9 * len(errors)
    assert max(errors.values()) < 0.04


def test_a_published_size_counts_before_a_computed_one() -> None:
    assert weight_bytes(model_of("gpt-oss-20b"), "MXFP4") == 12_109_566_560


@pytest.mark.parametrize(("name", "billions"), PARAMETERS.items())
def test_parameters_are_those_of_the_model_card(name: str, billions: float) -> None:
    fact = model_of(name).parameters

    assert fact is not None
    assert abs(fact.value / 1e9 / billions - 1) < 0.015


@pytest.mark.parametrize(
    ("name", "billions"), [("gpt-oss-20b", 3.6), ("gpt-oss-120b", 5.1), ("mixtral-8x7b", 12.9)]
)
def test_experts_that_are_not_asked_are_not_read(name: str, billions: float) -> None:
    model = model_of(name)
    assert model.active_parameters is not None
    whole, read = weight_bytes(model, "Q8_0"), active_bytes(model, "Q8_0")
    assert whole is not None
    assert read is not None

    assert abs(model.active_parameters.value / 1e9 / billions - 1) < 0.02
    assert read < 0.3 * whole


def test_latent_attention_keeps_one_vector_for_a_token() -> None:
    deepseek = shape("deepseek-v3")

    # 61 layers × (512 + 64) × 2 bytes = 70,272 bytes a token, "about 70 KB" in the report's comparison
    assert cache_bytes(deepseek, 1024) == 1024 * 70_272


@pytest.mark.parametrize(
    ("name", "context", "mib"), [("llama-3.1-8b", 8192, 282.5), ("qwen2.5-7b", 16384, 336.0)]
)
def test_compute_buffers_are_at_least_those_in_logs_of_llama_cpp(name: str, context: int, mib: float) -> None:
    found = compute_bytes(shape(name), context) / MIB

    assert mib <= found + 2 <= mib * 1.05 + 2


def test_more_context_and_more_answers_never_need_less() -> None:
    for name in ("qwen3-8b", "gemma-3-4b", "gpt-oss-20b", "deepseek-v3"):
        sizes = [need(1, shape(name), context, 2).total for context in (1, 300, 4096, 50_000, 131_072)]
        assert sizes == sorted(sizes)
        assert need(1, shape(name), 4096, 4).total >= need(1, shape(name), 4096, 1).total


def test_nothing_has_room_where_the_memory_is_not_known() -> None:
    found = fit(need(1, shape("smollm2-135m"), 128), Hardware())

    assert not found.fits
    assert "not known" in found.why


def test_a_share_of_a_probed_machine_is_left_to_others() -> None:
    probed = Hardware(ram_total=16 * GIB, ram_free=8 * GIB)

    assert probed.usable_ram == 8 * GIB - int(16 * GIB * 0.05)
    assert Hardware(ram_total=2 * GIB, ram_free=GIB).usable_ram == GIB - 256 * MIB
    assert Hardware(ram_total=GIB, ram_free=100 * MIB).usable_ram == 0


def test_shared_memory_is_not_counted_twice() -> None:
    apple = Hardware(
        ram_total=16 * GIB,
        ram_free=12 * GIB,
        gpus=(Gpu("Apple GPU", 12 * GIB, 12 * GIB),),
        unified=True,
        said=True,
    )

    assert fit(need(20 * GIB, shape("qwen3-8b"), 4096), apple).where == "nowhere"
    assert fit(need(8 * GIB, shape("qwen3-8b"), 4096), apple).where == "gpu"


@pytest.mark.parametrize("wrong", ["", "Q4", "q4_k_m", "../x"])
def test_an_unknown_quantisation_is_named_with_those_that_are_known(wrong: str) -> None:
    with pytest.raises(UnknownQuantisation, match="Q4_K_M"):
        weight_bytes(model_of("qwen3-8b"), wrong)


def test_more_bits_make_larger_files() -> None:
    for name in ("qwen3-8b", "llama-3.2-1b", "qwen2.5-0.5b"):
        order = ("Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "F16")
        sizes = [weight_bytes(model_of(name), one) for one in order]
        assert all(size is not None for size in sizes)
        assert sizes == sorted(sizes, key=lambda size: size or 0)
    assert set(order) <= set(BITS)


def test_a_file_says_its_own_shape(tmp_path: Path) -> None:
    head = read_head(tiny_gguf.write(tmp_path / "x.gguf"))

    found = shape_of(head)

    assert found is not None
    assert (found.layers, found.hidden, found.heads, found.vocab) == (
        1,
        tiny_gguf.WIDTH,
        tiny_gguf.HEADS,
        260,
    )
    assert not found.tied
    assert active_share(head) == 1.0


def test_heads_with_windows_and_experts_are_read_as_their_architecture_means_them() -> None:
    numbers = {
        "block_count": 34, "embedding_length": 2560, "attention.head_count": 8, "attention.head_count_kv": 4,
        "attention.key_length": 256, "attention.sliding_window": 1024,
    }  # fmt: skip
    gemma = Head("gemma3", "", 1, 131_072, True, 1, numbers, 262_144, False)
    experts = Head(
        "qwen3moe", "", 1, None, True, 1, {"expert_count": 128, "expert_used_count": 8}, 1, True, 0.9
    )

    found = shape_of(gemma)

    assert found == msgspec.structs.replace(shape("gemma-3-4b"), intermediate=0)
    assert active_share(experts) == pytest.approx(0.1 + 0.9 / 16)
    assert shape_of(experts) is None
