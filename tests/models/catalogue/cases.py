"""Models, files and machines, with what they need and where they have room, worked out by hand.

`file` is the size of a published GGUF file (the hub's own, as catalogues of several public programs name it;
Llama 3.3 70B as llama.cpp's tools/quantize/README.md has it, to 0.1 GB). `cache` is in MiB: KiB for a token
(layers × heads of keys and values × numbers of a head × 2 × 2 bytes: 32 × 8 × 128 × 4 = 128 KiB for Llama 3.1 8B,
which llama.cpp logs as 256 MiB for 2,048 cells; 56 for Qwen 2.5 7B, logged as 224 MiB for 4,096) times tokens. A
layer with a sliding window keeps its window for each answer and a batch of 512: Gemma 2 has 4,096 in every second
layer, Gemma 3 1,024 in 29 of 34, gpt-oss 128 in every second one, which is 768 cells. `compute` is in MiB: a batch
of 512 rows of 32 bits over vocabulary, twice the width, and context; llama.cpp logs 258.5 and 24.0 MiB for Llama 3
8B at 8,192, 304 for Qwen 2.5 7B without the mask. The process takes 64 MiB. Machines have what a person says, in
GiB, nothing held back. Cases within 0.3 % of the limit are left out: files of one kind differ by as much.
"""

from typing import NamedTuple


class Case(NamedTuple):
    """One question."""

    model: str
    quantisation: str
    context: int
    parallel: int
    file: int
    """Bytes."""
    cache: float
    compute: float
    """MiB."""
    ram: int
    vram: int
    """GiB."""
    where: str


CASES = (
    Case("llama-3.2-1b", "Q4_K_M", 4096, 1, 807_694_464, 128, 266.5, 2, 0, "cpu"),
    Case("llama-3.2-1b", "Q4_K_M", 131072, 1, 807_694_464, 4096, 514.5, 4, 0, "nowhere"),
    Case("llama-3.2-1b", "Q4_K_M", 131072, 1, 807_694_464, 4096, 514.5, 8, 0, "cpu"),
    Case("llama-3.2-3b", "Q4_K_M", 8192, 1, 2_019_377_696, 896, 278.5, 4, 0, "cpu"),
    Case("llama-3.2-3b", "Q4_K_M", 32768, 1, 2_019_377_696, 3584, 326.5, 4, 0, "nowhere"),
    Case("llama-3.2-3b", "Q4_K_M", 8192, 4, 2_019_377_696, 3584, 326.5, 8, 0, "cpu"),
    Case("llama-3.1-8b", "Q4_K_M", 8192, 1, 4_920_739_232, 1024, 282.5, 8, 0, "cpu"),
    Case("llama-3.1-8b", "Q4_K_M", 8192, 1, 4_920_739_232, 1024, 282.5, 6, 0, "cpu"),
    Case("llama-3.1-8b", "Q4_K_M", 32768, 1, 4_920_739_232, 4096, 330.5, 8, 0, "nowhere"),
    Case("llama-3.1-8b", "Q4_K_M", 32768, 1, 4_920_739_232, 4096, 330.5, 12, 0, "cpu"),
    Case("llama-3.1-8b", "Q4_K_M", 131072, 1, 4_920_739_232, 16384, 522.5, 24, 0, "cpu"),
    Case("llama-3.1-8b", "Q4_K_M", 131072, 1, 4_920_739_232, 16384, 522.5, 16, 0, "nowhere"),
    Case("llama-3.1-8b", "Q8_0", 8192, 1, 8_540_775_840, 1024, 282.5, 8, 12, "gpu"),
    Case("llama-3.1-8b", "Q8_0", 8192, 2, 8_540_775_840, 2048, 298.5, 8, 8, "split"),
    Case("llama-3.1-8b", "Q6_K", 4096, 1, 6_596_011_424, 512, 274.5, 0, 8, "gpu"),
    Case("llama-3.1-8b", "Q6_K", 4096, 1, 6_596_011_424, 512, 274.5, 0, 6, "nowhere"),
    Case("llama-3.3-70b", "Q4_K_M", 8192, 1, 43_100_000_000, 2560, 298.5, 64, 0, "cpu"),
    Case("llama-3.3-70b", "Q4_K_M", 8192, 1, 43_100_000_000, 2560, 298.5, 32, 24, "split"),
    Case("llama-3.3-70b", "Q4_K_M", 8192, 1, 43_100_000_000, 2560, 298.5, 16, 24, "nowhere"),
    Case("llama-3.3-70b", "Q4_K_M", 131072, 1, 43_100_000_000, 40960, 538.5, 64, 0, "nowhere"),
    Case("llama-3.3-70b", "Q4_K_M", 131072, 1, 43_100_000_000, 40960, 538.5, 0, 96, "gpu"),
    Case("qwen2.5-7b", "Q4_K_M", 4096, 1, 4_683_074_240, 224, 319, 6, 0, "cpu"),
    Case("qwen2.5-7b", "Q4_K_M", 4096, 1, 4_683_074_240, 224, 319, 4, 0, "nowhere"),
    Case("qwen2.5-7b", "Q4_K_M", 32768, 1, 4_683_074_240, 1792, 375, 8, 0, "cpu"),
    Case("qwen2.5-7b", "Q8_0", 16384, 1, 8_098_525_408, 896, 343, 0, 12, "gpu"),
    Case("qwen2.5-7b", "F16", 4096, 1, 15_237_853_536, 224, 319, 16, 0, "cpu"),
    Case("qwen2.5-7b", "F16", 4096, 1, 15_237_853_536, 224, 319, 0, 15, "gpu"),
    Case("qwen2.5-7b", "Q2_K", 4096, 1, 3_015_940_000, 224, 319, 4, 0, "cpu"),
    Case("qwen2.5-14b", "Q4_K_M", 4096, 1, 8_988_110_976, 768, 325, 12, 0, "cpu"),
    Case("qwen2.5-14b", "Q4_K_M", 32768, 1, 8_988_110_976, 6144, 381, 12, 0, "nowhere"),
    Case("qwen2.5-14b", "Q8_0", 8192, 1, 15_701_597_984, 1536, 333, 16, 0, "nowhere"),
    Case("qwen2.5-14b", "Q6_K", 8192, 1, 12_124_684_064, 1536, 333, 0, 16, "gpu"),
    Case("qwen2.5-32b", "Q4_K_M", 8192, 1, 19_851_336_576, 2048, 333, 24, 0, "cpu"),
    Case("qwen2.5-32b", "Q4_K_M", 32768, 1, 19_851_336_576, 8192, 381, 24, 0, "nowhere"),
    Case("qwen2.5-32b", "Q3_K_M", 4096, 1, 15_935_048_320, 1024, 325, 0, 16, "nowhere"),
    Case("qwen2.5-1.5b", "Q4_K_M", 4096, 1, 986_048_768, 112, 310.8, 2, 0, "cpu"),
    Case("qwen2.5-3b", "Q4_K_M", 32768, 2, 1_929_903_264, 2304, 432.8, 4, 0, "nowhere"),
    Case("qwen3-0.6b", "Q8_0", 4096, 1, 639_446_688, 448, 308.8, 2, 0, "cpu"),
    Case("qwen3-1.7b", "Q8_0", 4096, 1, 1_834_426_016, 448, 312.8, 2, 0, "nowhere"),
    Case("qwen3-1.7b", "Q8_0", 4096, 1, 1_834_426_016, 448, 312.8, 4, 0, "cpu"),
    Case("qwen3-4b", "Q4_K_M", 4096, 1, 2_497_280_256, 576, 314.8, 4, 0, "cpu"),
    Case("qwen3-4b", "Q8_0", 32768, 1, 4_280_404_704, 4608, 370.8, 8, 0, "nowhere"),
    Case("qwen3-8b", "Q4_K_M", 8192, 1, 5_027_783_488, 1152, 328.8, 8, 0, "cpu"),
    Case("qwen3-8b", "Q8_0", 32768, 1, 8_709_518_112, 4608, 376.8, 0, 16, "gpu"),
    Case("qwen3-14b", "Q4_K_M", 32768, 1, 9_001_752_960, 5120, 380.8, 16, 0, "cpu"),
    Case("qwen3-30b-a3b", "Q4_K_M", 32768, 1, 18_556_686_912, 3072, 368.8, 24, 0, "cpu"),
    Case("qwen3-30b-a3b", "Q8_0", 4096, 1, 32_483_932_736, 384, 312.8, 32, 0, "cpu"),
    Case("mistral-7b-v0.3", "Q4_K_M", 32768, 1, 4_372_812_000, 4096, 144, 8, 0, "nowhere"),
    Case("mistral-7b-v0.3", "Q4_K_M", 32768, 1, 4_372_812_000, 4096, 144, 10, 0, "cpu"),
    Case("mixtral-8x7b", "Q4_K_M", 4096, 1, 26_441_533_376, 512, 86.5, 24, 0, "nowhere"),
    Case("mixtral-8x7b", "Q4_K_M", 32768, 1, 26_441_533_376, 4096, 142.5, 32, 0, "cpu"),
    Case("gemma-2-9b", "Q4_K_M", 8192, 2, 5_761_057_728, 4116, 546, 8, 0, "nowhere"),
    Case("gemma-3-4b", "Q4_K_M", 131072, 1, 2_489_757_856, 2734, 778, 8, 0, "cpu"),
    Case("gemma-3-4b", "Q4_K_M", 131072, 1, 2_489_757_856, 2734, 778, 4, 0, "nowhere"),
    Case("gemma-3-1b", "Q8_0", 32768, 1, 1_069_306_368, 150, 580.5, 2, 0, "cpu"),
    Case("phi-3.5-mini", "Q4_K_M", 4096, 1, 2_393_232_672, 1536, 82.6, 4, 0, "cpu"),
    Case("phi-3.5-mini", "Q4_K_M", 32768, 1, 2_393_232_672, 12288, 138.6, 16, 0, "cpu"),
    Case("phi-4", "Q4_K_M", 16384, 1, 9_053_114_816, 3200, 248, 16, 0, "cpu"),
    Case("phi-4", "Q8_0", 4096, 1, 15_580_500_160, 800, 224, 16, 0, "cpu"),
    Case("phi-4-mini", "Q4_K_M", 131072, 1, 2_491_874_272, 16384, 658.8, 16, 0, "nowhere"),
    Case("smollm2-1.7b", "Q4_K_M", 8192, 1, 1_055_609_824, 1536, 120, 3, 0, "cpu"),
    Case("gpt-oss-20b", "MXFP4", 131072, 1, 12_109_566_560, 3090, 660, 16, 0, "cpu"),
    Case("gpt-oss-20b", "MXFP4", 32768, 4, 12_109_566_560, 3096, 660, 0, 16, "gpu"),
    Case("gpt-oss-20b", "MXFP4", 8192, 1, 12_109_566_560, 210, 420, 12, 0, "cpu"),
)


class File(NamedTuple):
    """A published file."""

    model: str
    quantisation: str
    bytes: int


FILES = (
    File("llama-3.2-1b", "Q4_K_M", 807_694_464),
    File("llama-3.2-3b", "Q4_K_M", 2_019_377_696),
    File("llama-3.1-8b", "Q4_K_S", 4_692_673_952),
    File("llama-3.1-8b", "Q6_K", 6_596_011_424),
    File("llama-3.1-8b", "Q8_0", 8_540_775_840),
    File("qwen2.5-7b", "Q4_K_M", 4_683_074_240),
    File("qwen2.5-7b", "Q2_K", 3_015_940_000),
    File("qwen2.5-7b", "Q3_K_M", 3_808_391_072),
    File("qwen2.5-7b", "Q4_0", 4_431_390_848),
    File("qwen2.5-7b", "Q5_0", 5_315_176_576),
    File("qwen2.5-7b", "Q5_K_M", 5_444_831_360),
    File("qwen2.5-7b", "Q6_K", 6_254_198_880),
    File("qwen2.5-7b", "Q8_0", 8_098_525_408),
    File("qwen2.5-7b", "F16", 15_237_853_536),
    File("qwen2.5-14b", "Q2_K", 5_770_497_600),
    File("qwen2.5-14b", "Q3_K_M", 7_339_204_160),
    File("qwen2.5-14b", "Q4_0", 8_517_725_856),
    File("qwen2.5-14b", "Q4_K_M", 8_988_110_976),
    File("qwen2.5-14b", "Q5_K_M", 10_508_873_376),
    File("qwen2.5-14b", "Q6_K", 12_124_684_064),
    File("qwen2.5-14b", "Q8_0", 15_701_597_984),
    File("qwen2.5-14b", "F16", 29_547_716_864),
    File("qwen2.5-32b", "Q2_K", 12_313_098_784),
    File("qwen2.5-32b", "Q3_K_M", 15_935_048_320),
    File("qwen2.5-32b", "Q4_K_M", 19_851_336_576),
    File("qwen2.5-32b", "Q5_K_M", 23_262_157_568),
    File("qwen2.5-32b", "Q6_K", 26_886_155_104),
    File("qwen2.5-32b", "Q8_0", 34_820_885_632),
    File("qwen2.5-1.5b", "Q4_K_M", 986_048_768),
    File("qwen2.5-3b", "Q4_K_M", 1_929_903_264),
    File("qwen2.5-0.5b", "Q4_K_M", 397_807_936),
    File("mistral-7b-v0.3", "Q4_K_M", 4_372_812_000),
    File("mistral-7b-v0.3", "Q3_K_M", 3_522_941_152),
    File("mistral-7b-v0.3", "Q2_K", 2_722_877_664),
    File("gemma-2-9b", "Q4_K_M", 5_761_057_728),
    File("gemma-2-9b", "Q2_K", 3_805_397_952),
    File("gemma-2-2b", "Q4_K_M", 1_708_582_752),
    File("phi-3.5-mini", "Q4_K_M", 2_393_232_672),
    File("phi-4", "Q4_K_M", 9_053_114_816),
    File("phi-4", "Q8_0", 15_580_500_160),
    File("phi-4", "Q6_K", 12_030_251_200),
    File("phi-4", "BF16", 29_323_399_360),
    File("qwen3-8b", "Q4_K_M", 5_027_783_488),
    File("qwen3-8b", "Q8_0", 8_709_518_112),
    File("qwen3-8b", "Q6_K", 6_725_899_040),
    File("qwen3-14b", "Q4_K_M", 9_001_752_960),
    File("qwen3-30b-a3b", "Q2_K", 11_258_610_240),
    File("qwen3-30b-a3b", "Q3_K_M", 14_711_847_488),
    File("qwen3-30b-a3b", "Q4_K_M", 18_556_686_912),
    File("qwen3-30b-a3b", "Q8_0", 32_483_932_736),
    File("qwen3-4b", "Q4_K_M", 2_497_280_256),
    File("qwen3-4b", "Q8_0", 4_280_404_704),
    File("qwen3-4b", "Q5_K_M", 2_889_513_184),
    File("qwen3-32b", "BF16", 65_531_575_936),
    File("gemma-3-4b", "Q4_K_M", 2_489_757_856),
    File("gemma-3-4b", "Q8_0", 4_130_226_336),
    File("gemma-3-4b", "F16", 7_767_474_336),
    File("gemma-3-1b", "Q4_K_M", 806_058_240),
    File("gemma-3-1b", "Q8_0", 1_069_306_368),
    File("smollm2-1.7b", "Q4_K_M", 1_055_609_824),
    File("phi-4-mini", "Q4_K_M", 2_491_874_272),
    File("phi-4-mini", "Q8_0", 4_084_611_040),
    File("qwen3-0.6b", "Q8_0", 639_446_688),
    File("qwen3-1.7b", "Q8_0", 1_834_426_016),
)
"""Published sizes, by which the bits for a number are held. Left out: Mixtral 8x7B as TheBloke has it, made by an early
llama.cpp of another mixture; the catalogue has the size itself.
"""

PARAMETERS = {
    "llama-3.2-1b": 1.23, "llama-3.2-3b": 3.21, "llama-3.1-8b": 8.03, "llama-3.3-70b": 70.6, "qwen2.5-0.5b": 0.49,
    "qwen2.5-1.5b": 1.54, "qwen2.5-3b": 3.09, "qwen2.5-7b": 7.61, "qwen2.5-14b": 14.7, "qwen2.5-32b": 32.5,
    "qwen2.5-72b": 72.7, "qwen3-0.6b": 0.6, "qwen3-1.7b": 1.7, "qwen3-4b": 4.0, "qwen3-8b": 8.2, "qwen3-14b": 14.8,
    "qwen3-32b": 32.8, "qwen3-30b-a3b": 30.5, "qwen3-235b-a22b": 235, "mistral-7b-v0.3": 7.25, "mixtral-8x7b": 46.7,
    "gemma-2-2b": 2.61, "gemma-2-9b": 9.24, "gemma-2-27b": 27.2, "phi-3.5-mini": 3.82, "phi-4-mini": 3.84,
    "phi-4": 14.7, "smollm2-135m": 0.135, "smollm2-360m": 0.362, "smollm2-1.7b": 1.71, "gpt-oss-20b": 20.9,
    "gpt-oss-120b": 116.8,
}  # fmt: skip
"""Billions, as model cards and reports say it."""
