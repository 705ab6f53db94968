"""What a machine has: read from trees of files and programs like those of real machines."""

import stat
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from greenroom.models.catalogue.hardware import Gpu, Hardware, parse_hardware, parse_size, probe
from greenroom.models.catalogue.speed import measure_bandwidth, speed

GIB = 1 << 30
MEMINFO = "MemTotal:       16777216 kB\nMemFree:         1000000 kB\nMemAvailable:   12582912 kB\n"


def nothing(command: Sequence[str]) -> str:
    return ""


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_linux_says_what_is_there_and_what_can_be_had(tmp_path: Path) -> None:
    found = probe(tree(tmp_path, {"proc/meminfo": MEMINFO}), nothing, "linux")

    assert (found.ram_total, found.ram_free) == (16 * GIB, 12 * GIB)
    assert (found.gpus, found.limited) == ((), False)
    assert found.processors >= 1


@pytest.mark.parametrize(
    ("cgroup", "files"),
    [
        (
            "0::/a/b\n",
            {
                "sys/fs/cgroup/a/b/memory.max": "max\n",
                "sys/fs/cgroup/a/memory.max": str(4 * GIB),
                "sys/fs/cgroup/a/memory.current": str(3 * GIB),
                "sys/fs/cgroup/a/memory.stat": f"anon 5\ninactive_file {2 * GIB}\n",
            },
        ),
        (
            "9:memory:/docker/x\n8:cpu:/\n",
            {
                "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": str(4 * GIB),
                "sys/fs/cgroup/memory/docker/x/memory.usage_in_bytes": str(GIB),
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            },
        ),
    ],
    ids=["v2", "v1"],
)
def test_a_container_may_take_what_its_group_may(tmp_path: Path, cgroup: str, files: dict[str, str]) -> None:
    root = tree(tmp_path, {"proc/meminfo": MEMINFO, "proc/self/cgroup": cgroup, **files})

    found = probe(root, nothing, "linux")

    assert (found.ram_total, found.ram_free, found.limited) == (4 * GIB, 3 * GIB, True)


def test_a_group_without_a_limit_changes_nothing(tmp_path: Path) -> None:
    files = {"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/../..\n", "sys/fs/cgroup/memory.max": "max"}

    assert probe(tree(tmp_path, files), nothing, "linux").ram_free == 12 * GIB


def test_a_machine_that_says_nothing_has_nothing_known(tmp_path: Path) -> None:
    broken = {"proc/meminfo": "MemTotal: many kB\n\xff", "proc/self/cgroup": "::::\nx\n0:\n"}

    assert probe(tmp_path, nothing, "linux").ram_total == 0
    assert probe(tree(tmp_path, broken), nothing, "linux").ram_total == 0
    assert probe(tmp_path, nothing, "darwin").ram_total == 0


def test_cards_are_read_as_nvidia_smi_prints_them(tmp_path: Path) -> None:
    printed = "NVIDIA H100, 80GB, 81559, 80000\nNVIDIA RTX, 24576, [N/A]\nTesla T4, 15360, 15101\n\nx\n"

    found = probe(tmp_path, lambda command: printed if command[0] == "nvidia-smi" else "", "linux")

    assert found.gpus == (
        Gpu("NVIDIA H100, 80GB", 81559 << 20, 80000 << 20),
        Gpu("Tesla T4", 15360 << 20, 15101 << 20),
    )
    assert found.usable_vram < sum(one.free for one in found.gpus)


def test_an_apple_machine_shares_its_memory() -> None:
    answers = {
        "hw.memsize": str(32 * GIB),
        "hw.optional.arm64": "1\n",
        "vm_stat": "Mach Virtual Memory Statistics: (page size of 16384 bytes)\n"
        "Pages free:   600000.\nPages active:  10.\nPages inactive:  448576.\n",
    }

    found = probe(run=lambda command: answers.get(command[-1], ""), platform="darwin")

    assert found.unified
    assert found.ram_total == 32 * GIB
    assert found.ram_free == 1_048_576 * 16384
    assert found.gpus == (Gpu("Apple GPU", 24 * GIB, found.ram_free),)


def test_a_program_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("greenroom.models.catalogue.hardware.PATIENCE_S", 0.3)
    began = time.monotonic()

    found = probe()

    assert time.monotonic() - began < 5
    assert found.gpus == ()
    assert found.ram_total > 0


@pytest.mark.parametrize(
    ("text", "size"),
    [("16GB", 16 * 10**9), ("16 GiB", 16 * GIB), ("1.5g", 15 * 10**8), ("800mb", 8 * 10**8), ("1024", 1024)],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "much", "16GB,,", "ram", "ram=x", "ram=1GB,ram=2GB", "disk=1GB", "ram=99999999999TB"]
)
def test_a_wrong_description_is_told_with_a_right_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"ram=16GB|16GB or 12GiB|more than any"):
        parse_hardware(text)


def test_a_description_stands_for_the_machine() -> None:
    found = parse_hardware("ram=16GB,vram=24GB,bandwidth=900GB")

    assert found == Hardware(
        ram_total=16 * 10**9, ram_free=16 * 10**9, gpus=(Gpu("GPU", 24 * 10**9, 24 * 10**9),),
        gpu_bandwidth=900e9, said=True,
    )  # fmt: skip
    assert parse_hardware("none") == Hardware()
    assert parse_hardware("auto", lambda: found) is found


def test_bandwidth_is_measured_in_the_time_that_is_given() -> None:
    began = time.monotonic()

    found = measure_bandwidth(0.3, threads=2, block_bytes=8 << 20)

    assert time.monotonic() - began < 3
    assert 1e8 < found < 1e13


def test_half_the_bytes_are_twice_the_speed() -> None:
    fast, slow = speed(20e9, 2_000_000_000), speed(20e9, 4_000_000_000)

    assert fast.usual == pytest.approx(2 * slow.usual)
    assert slow.usual == pytest.approx(3.0)
    assert slow.low < slow.usual < slow.high
    assert speed(20e9, 2_000_000_000, 1 << 30).usual < fast.usual


@pytest.mark.parametrize(("bandwidth", "size"), [(0, 1), (1, 0), (-1, 1)])
def test_nothing_is_not_fast(bandwidth: float, size: int) -> None:
    with pytest.raises(ValueError, match="above 0"):
        speed(bandwidth, size)
