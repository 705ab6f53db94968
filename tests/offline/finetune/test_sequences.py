"""Rows side by side: none sees another, all come once before any comes again, state survives as it was."""

from pathlib import Path
from typing import Any

import pytest

from tests.offline.finetune.needs import needs_training

pytestmark = [pytest.mark.finetune, pytest.mark.slow, needs_training]  # torch takes seconds to load


def rows(*lengths: int) -> Any:  # Any: torch is loaded in the tests only
    from greenroom.offline.finetune.trainer.chat import Tokens

    return [
        Tokens(ids := list(range(10 * n + 1, 10 * n + 1 + length)), ids) for n, length in enumerate(lengths)
    ]


@pytest.fixture(scope="module")
def model() -> Any:
    from greenroom.offline.finetune.dial import dial
    from greenroom.offline.finetune.trainer.scratch import draw_model, learn_tokenizer

    return draw_model(dial(2), learn_tokenizer(["abc"], 300), 64, seed=1)


def test_a_packed_row_is_read_as_if_it_were_alone(model: Any) -> None:
    import torch

    from greenroom.offline.finetune.trainer.sequences import collate, pack, single

    packed = collate(pack(rows(4, 3), 16), pad=0)
    alone = collate(single(rows(4, 3)), pad=0)
    with torch.no_grad():
        inputs = {name: packed[name] for name in ("input_ids", "position_ids")}
        together = model(**inputs, use_cache=False).logits[0]
        apart = model(input_ids=alone["input_ids"], use_cache=False).logits

    assert torch.allclose(together[:4], apart[0], atol=1e-5)
    assert torch.allclose(together[4:7], apart[1, :3], atol=1e-5)


def test_what_fills_up_and_what_begins_a_row_is_not_learned() -> None:
    from greenroom.offline.finetune.trainer.chat import IGNORED
    from greenroom.offline.finetune.trainer.sequences import collate, pack

    batch = collate(pack(rows(4, 2, 7), 7), pad=0)

    assert batch["labels"].tolist() == [
        [IGNORED, 22, 23, 24, 25, 26, 27],
        [IGNORED, 2, 3, 4, IGNORED, 12, IGNORED],
    ]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 0, 1, 0]]


def test_every_sequence_comes_once_before_any_comes_again() -> None:
    from greenroom.offline.finetune.trainer.sequences import step_of

    taken = [number for step in range(10) for number in step_of(10, 3, step, seed=5)]

    assert all(sorted(taken[start : start + 10]) == list(range(10)) for start in (0, 10, 20))
    assert taken[:10] != taken[10:20]
    assert step_of(10, 3, 7, seed=5) == taken[21:24]  # whoever asks for it first


def test_a_stream_loses_no_token_and_parts_texts() -> None:
    from greenroom.offline.finetune.trainer.sequences import stream

    sequences = stream([[1, 2, 3], [4, 5]], between=0, room=4)

    assert [sequence.ids for sequence in sequences] == [[1, 2, 3, 0], [4, 5, 0]]


def test_an_optimizer_goes_on_as_if_it_had_never_stopped(model: Any, tmp_path: Path) -> None:
    import torch

    from greenroom.offline.finetune.trainer.state import load_optimizer, save_optimizer

    def trained(halfway: bool) -> list[Any]:
        weights = [torch.nn.Parameter(torch.ones(3, 2)), torch.nn.Parameter(torch.zeros(2))]
        optimizer = torch.optim.AdamW(weights, lr=0.1, betas=(0.9, 0.95))
        for step in range(4):
            if halfway and step == 2:
                save_optimizer(optimizer, tmp_path)
                optimizer = torch.optim.AdamW(weights, lr=0.5)
                load_optimizer(optimizer, tmp_path)
            for weight in weights:
                weight.grad = torch.full_like(weight, step + 1.0)
            optimizer.step()
        return [weight.tolist() for weight in weights]

    assert trained(halfway=True) == trained(halfway=False)


def test_chance_goes_on_where_it_stood(tmp_path: Path) -> None:
    import random

    import numpy as np
    import torch

    from greenroom.offline.finetune.trainer.state import load_chance, save_chance

    def draw() -> list[float]:
        return [random.random(), float(np.random.random()), float(torch.rand(1))]  # noqa: NPY002 - what libraries use

    save_chance(tmp_path)
    drawn = draw()
    load_chance(tmp_path)

    assert draw() == drawn


def test_the_rate_rises_and_falls_to_nearly_nothing() -> None:
    from greenroom.offline.finetune.trainer.loop import share_of_rate

    shares = [share_of_rate(step, 100) for step in range(1, 101)]

    assert max(shares) == shares[4] == 1.0
    assert shares[0] == pytest.approx(0.2)
    assert shares[-1] == pytest.approx(1 / 96)


def test_a_checkpoint_that_can_t_be_read_gives_way_to_the_one_before(tmp_path: Path) -> None:
    from greenroom.offline.finetune.plan import Plan
    from greenroom.offline.finetune.trainer.folder import Folder
    from greenroom.offline.finetune.trainer.heartbeat import Heartbeat
    from greenroom.offline.finetune.trainer.run import STATE, Run

    folder = Folder(tmp_path)
    run = Run(folder, Plan(name="a"), Heartbeat(folder))
    for step in (1, 2):
        run.keep("training", step, lambda _: None)
    damaged = folder.checkpoints / "2" / STATE
    damaged.write_bytes(b"x" * damaged.stat().st_size)

    kept = run.newest()

    assert kept is not None
    assert kept.path.name == "1"
    assert run.spent.step == 1
    assert "Checkpoint 2 can't be read" in (tmp_path / "events.jsonl").read_text(encoding="utf-8")


def test_patience_ends_when_looks_bring_nothing(tmp_path: Path) -> None:
    from greenroom.offline.finetune.plan import Hyperparameters, Plan
    from greenroom.offline.finetune.trainer.folder import Folder
    from greenroom.offline.finetune.trainer.heartbeat import Heartbeat
    from greenroom.offline.finetune.trainer.run import Run

    folder = Folder(tmp_path)
    run = Run(folder, Plan(name="a", hyperparameters=Hyperparameters(patience=2)), Heartbeat(folder))

    gains = [run.look(step, {"valid_loss": loss}) for step, loss in enumerate((3.0, 2.0, 2.5, 2.0))]

    assert gains == [True, True, False, False]
    assert run.is_patience_over
    assert run.spent.best_number == 1


def test_a_loss_that_is_no_number_is_refused_with_a_remedy() -> None:
    from greenroom.offline.finetune.trainer.folder import TrainingRefused
    from greenroom.offline.finetune.trainer.run import must_be_finite

    with pytest.raises(TrainingRefused, match=r"step 7 .* Set learning_rate lower"):
        must_be_finite(float("nan"), 7)
