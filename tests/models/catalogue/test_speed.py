"""The estimate of speed beside the real engine: a larger file is slower, and never faster than memory allows."""

import subprocess
import sys
from pathlib import Path

import pytest

from greenroom.models.engine import is_installed

PROGRAM = """
import time
import xllamacpp
from pathlib import Path
from greenroom.models.catalogue.speed import measure_bandwidth
from tests.models import tiny_gguf

def measure(width, hidden, folder):
    tiny_gguf.WIDTH, tiny_gguf.HIDDEN = width, hidden
    path = tiny_gguf.write(Path(folder) / f"{width}.gguf")
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.warmup = str(path), 512, 1, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    def seconds(count):
        began = time.process_time()
        server.handle_completions({"prompt": "a", "n_predict": count, "ignore_eos": True}, lambda *_: False)
        return time.process_time() - began
    seconds(2)
    return path.stat().st_size, 24 / max(seconds(28) - seconds(4), 1e-6)

import sys
small, large = measure(32, 64, sys.argv[1]), measure(512, 8192, sys.argv[1])
print("FOUND", *small, *large)
"""


@pytest.mark.slow  # starts a process of its own
@pytest.mark.skipif(not is_installed(), reason="needs the extra `local`")
def test_a_larger_file_is_slower_and_none_is_faster_than_memory_allows(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )  # fmt: skip

    line = next(one for one in done.stdout.splitlines() if "FOUND" in one)
    small_size, small, large_size, large = map(float, line[line.index("FOUND") + 6 :].split())
    assert large_size > 100 * small_size
    assert large < small
    assert large < 200e9 / large_size  # no core of today reads more than 200 GB a second
