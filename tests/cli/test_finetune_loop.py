"""`greenroom finetune loop`, the short form; `make test-loop` runs the whole one."""

import os
import re
import resource
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.server_process import environment_of

IS_WHOLE = os.environ.get("LOOP") == "whole"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.finetune,
    pytest.mark.timeout(900 if IS_WHOLE else 300),
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("torch", "xllamacpp", "scipy")),
        reason="needs the extras finetune, local and eval: make install-finetune",
    ),
]


def test_from_an_empty_folder_to_an_answering_model(tmp_path: Path) -> None:
    folder = tmp_path / "house"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)

    done = subprocess.run(
        [sys.executable, "-m", "greenroom", "finetune", "loop", str(folder), *([] if IS_WHOLE else ["--short"])],
        capture_output=True, text=True, check=False, env=environment_of(), cwd=tmp_path,
    )  # fmt: skip

    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = done.stdout + done.stderr
    print(told)
    print(f"{after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime:.0f} seconds of CPU")
    assert done.returncode == 0, told
    exact = re.search(r"([\d.]+)% of rows that no training saw", told)
    assert exact is not None
    assert float(exact[1]) >= (98 if IS_WHOLE else 80)
    assert '→  {"do":"heat"' in told
    assert list(folder.glob("data/finetune/*/model-Q8_0.gguf"))
    card = next(folder.glob("data/finetune/*/card.json")).read_text(encoding="utf-8")
    assert "sha256" in card


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "greenroom", "finetune", "loop", str(tmp_path)],
        capture_output=True, text=True, check=False, env=environment_of(), cwd=tmp_path,
    )  # fmt: skip

    assert done.returncode == 64
    assert "is not an empty folder" in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["mine.txt"]
