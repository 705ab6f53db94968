"""`python -m greenroom.offline.finetune.trainer.survey FOLDER`: a job looked at before it is run.

Counts the tokens of its rows as the run will, and tries how fast this machine is, in about a second after
the libraries are loaded. Prints a `Survey` as JSON; writes nothing. See `greenroom.offline.finetune.survey`.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from greenroom.offline.finetune.plan import EXIT_FAILED, Plan, Scratch
from greenroom.offline.finetune.resources import Speed, Survey, TokenCounts
from greenroom.offline.finetune.trainer.__main__ import EXIT_USAGE, QUIET
from greenroom.offline.finetune.trainer.folder import Folder, TrainingRefused
from greenroom.offline.finetune.trainer.heartbeat import resident_mib

USAGE = "Usage: python -m greenroom.offline.finetune.trainer.survey FOLDER"
TRIES = 7
_ROWS, _WIDTH, _INNER = 1024, 256, 768
"""Of the product of matrices that is timed."""
_SUM = 1 << 22
"""Numbers of the sum that is timed: 16 MB, more than processors keep at hand."""
_CALLS = 2000


def main(arguments: list[str]) -> int:
    """Print the survey. What is wrong with the job goes to stderr, with EXIT_FAILED."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print(USAGE, file=sys.stderr)
        return EXIT_USAGE
    os.environ.update(QUIET)
    folder = Folder(Path(arguments[0]), writes=False)
    try:
        plan = folder.plan()
        if plan.start != "from_scratch":
            from greenroom.offline.finetune.trainer import tuning  # noqa: F401, PLC0415 - as the run will
        from greenroom.offline.finetune.trainer import finish  # noqa: F401, PLC0415 - the same

        start_s, start_mb = time.process_time(), resident_mib()
        found = Survey(tokens=count(folder, plan), speed=_speed(start_s, start_mb))
    except TrainingRefused as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED
    print(msgspec.json.encode(found).decode())
    return 0


def count(folder: Folder, plan: Plan) -> TokenCounts:
    """The tokens of a job's rows, as the run will cut them. Raises: TrainingRefused."""
    from greenroom.offline.finetune.trainer.chat import Chat  # noqa: PLC0415 - loads torch
    from greenroom.offline.finetune.trainer.weights import load_tokenizer  # noqa: PLC0415 - the same

    documents, size = _documents(folder, plan)
    is_scratch = plan.start == "from_scratch"
    if is_scratch or plan.base is None:
        from greenroom.offline.finetune.dial import dial  # noqa: PLC0415 - with the next
        from greenroom.offline.finetune.trainer import scratch  # noqa: PLC0415 - loads torch

        vocabulary = dial((plan.scratch or Scratch()).size).vocabulary
        tokenizer = scratch.learn_tokenizer(documents, vocabulary)
    else:
        tokenizer = load_tokenizer(Path(plan.base), folder)
    chat = Chat(tokenizer)
    lengths: dict[str, list[int]] = {"train.jsonl": [], "valid.jsonl": []}
    learned = 0
    for name, found in lengths.items():
        for row in folder.rows(name):
            if plan.method == "dpo":
                pair = chat.pair(row)
                found.append(pair.longest)
                continue
            tokens = chat.row(row)
            if tokens.learned:
                found.append(len(tokens.ids))
                learned += tokens.learned if name == "train.jsonl" else 0
    has_text = plan.scratch is not None and plan.scratch.text is not None
    text = (
        sum(len(tokenizer(one, add_special_tokens=False)["input_ids"]) + 1 for one in documents)
        if has_text
        else 0
    )
    return TokenCounts(
        lengths=lengths["train.jsonl"],
        valid_lengths=lengths["valid.jsonl"],
        learned=learned,
        text_tokens=text or (sum(lengths["train.jsonl"]) if is_scratch else 0),
        text_bytes=size if is_scratch else 0,
        vocabulary=len(tokenizer) if is_scratch else None,
        is_counted=True,
    )


def _documents(folder: Folder, plan: Plan) -> tuple[list[str], int]:
    """The plain text that is read first, and its bytes; from nothing without one, what the rows say."""
    from greenroom.offline.finetune.trainer import scratch  # noqa: PLC0415 - loads torch
    from greenroom.offline.finetune.trainer.process import _said  # noqa: PLC0415 - the same

    texts: list[str] = []
    if plan.scratch is not None and plan.scratch.text is not None:
        texts = scratch.plain_text(Path(plan.scratch.text))
    elif plan.start == "from_scratch":
        texts = [text for row in folder.rows("train.jsonl") for text in _said(row)]
    return texts, sum(len(one.encode(errors="replace")) for one in texts)


def _speed(start_s: float, start_mb: float) -> Speed:
    """Of one thread, each the median of several tries, in CPU time."""
    import torch  # noqa: PLC0415 - after the environment is set

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    left, right = torch.randn(_ROWS, _WIDTH), torch.randn(_WIDTH, _INNER)
    large, small = torch.randn(_SUM), torch.randn(16)
    out = torch.empty_like(large)

    def call() -> None:
        for _ in range(_CALLS):
            torch.mul(small, 0.999)

    product_s = _timed(lambda: [torch.mm(left, right) for _ in range(10)]) / 10
    sum_s = _timed(lambda: torch.add(large, large, out=out))
    call_s = _timed(call) / _CALLS
    torch.set_num_threads(threads)
    return Speed(
        flops=2 * _ROWS * _WIDTH * _INNER / product_s,
        bytes_per_s=3 * 4 * _SUM / sum_s,
        calls_per_s=1 / call_s,
        start_s=start_s,
        start_mb=start_mb,
    )


def _timed(run: Callable[[], object]) -> float:
    """CPU seconds, the median of several tries after one that does not count."""
    run()
    tries = []
    for _ in range(TRIES):
        began = time.process_time()
        run()
        tries.append(time.process_time() - began)
    return max(1e-9, statistics.median(tries))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
