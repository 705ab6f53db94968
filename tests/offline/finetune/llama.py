"""llama.cpp in a process of its own, asked over HTTP: `python -m tests.offline.finetune.llama < questions`.

Questions come as JSON on stdin, a list of {"model", "adapter", "asks": [{"path", "body"}]}; the answers go to
stdout in the same order.
"""

import json
import os
import subprocess
import sys
import urllib.request
from importlib import import_module
from typing import Any


def ask(questions: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """What llama.cpp answers, one list for each model."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.offline.finetune.llama"],
        input=json.dumps(questions), capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[list[dict[str, Any]]] = json.loads(done.stdout.splitlines()[-1])
    return found


def _serve(question: dict[str, Any]) -> list[dict[str, Any]]:
    library = import_module("xllamacpp")
    chosen = library.CommonParams()
    chosen.model.path = question["model"]
    if question.get("adapter"):
        chosen.lora_adapters = [library.CommonAdapterLoraInfo(question["adapter"], 1.0)]
    chosen.n_ctx, chosen.n_parallel, chosen.port, chosen.verbosity = 256, 1, 0, 1
    chosen.warmup = chosen.ui = False
    chosen.cpuparams.n_threads = chosen.cpuparams_batch.n_threads = 1
    server = library.Server(chosen)
    answers = []
    for one in question["asks"]:
        request = urllib.request.Request(
            server.listening_address + one["path"], json.dumps(one["body"]).encode(),
            {"Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=20) as answer:
            answers.append(json.load(answer))
    return answers


if __name__ == "__main__":
    out = json.dumps([_serve(one) for one in json.load(sys.stdin)])
    sys.stdout.write("\n" + out + "\n")
    sys.stdout.flush()
    os._exit(0)
