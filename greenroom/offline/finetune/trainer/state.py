"""The state of a training between two steps, as safetensors and JSON: optimizer, schedule, chance.

torch's own `save` writes pickles, and reading one runs what is in it; so nothing here uses it.
"""

import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from safetensors.torch import load_file, save_file

State = dict[str, Any]  # Any: what torch's `state_dict` returns


def save_optimizer(optimizer: Any, folder: Path) -> None:  # Any: torch's or Accelerate's
    """`optimizer.safetensors`: tensors `{parameter}.{name}`; `optimizer.json`: groups, plain numbers."""
    state: State = optimizer.state_dict()
    tensors: dict[str, torch.Tensor] = {}
    plain: dict[str, Any] = {}  # Any: numbers
    for parameter, values in state["state"].items():
        for name, value in values.items():
            key = f"{parameter}.{name}"
            if isinstance(value, torch.Tensor):
                tensors[key] = value.detach().cpu().contiguous()
            else:
                plain[key] = value
    save_file(tensors, folder / "optimizer.safetensors")
    (folder / "optimizer.json").write_bytes(
        msgspec.json.encode({"groups": state["param_groups"], "plain": plain})
    )


def load_optimizer(optimizer: Any, folder: Path) -> None:  # Any: torch's or Accelerate's
    """What `save_optimizer` wrote, into an optimizer over the same parameters.

    Raises: OSError, SafetensorError, ValueError when the files are damaged or belong to another model.
    """
    kept = msgspec.json.decode((folder / "optimizer.json").read_bytes())
    state: dict[int, State] = {}
    for key, value in [*load_file(folder / "optimizer.safetensors").items(), *kept["plain"].items()]:
        parameter, _, name = key.partition(".")
        state.setdefault(int(parameter), {})[name] = value
    for group in kept["groups"]:
        group["betas"] = tuple(group["betas"])
    optimizer.load_state_dict({"state": state, "param_groups": kept["groups"]})


def save_schedule(schedule: Any, folder: Path) -> None:  # Any: torch's scheduler
    """`scheduler.json`."""
    (folder / "scheduler.json").write_bytes(msgspec.json.encode(schedule.state_dict()))


def load_schedule(schedule: Any, folder: Path) -> None:  # Any: torch's scheduler
    """What `save_schedule` wrote."""
    schedule.load_state_dict(msgspec.json.decode((folder / "scheduler.json").read_bytes()))


def save_chance(folder: Path) -> None:
    """`chance.safetensors` and `chance.json`: where the generators of random numbers stand."""
    tensors = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["cuda"] = torch.cuda.get_rng_state()
    save_file(tensors, folder / "chance.safetensors")
    kind, words, *rest = np.random.get_state()  # noqa: NPY002 - the one that libraries draw from
    (folder / "chance.json").write_bytes(
        msgspec.json.encode({"python": random.getstate(), "numpy": [kind, np.asarray(words).tolist(), *rest]})
    )


def load_chance(folder: Path) -> None:
    """What `save_chance` wrote."""
    tensors = load_file(folder / "chance.safetensors")
    torch.set_rng_state(tensors["cpu"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])
    kept = msgspec.json.decode((folder / "chance.json").read_bytes())
    version, words, gauss = kept["python"]
    random.setstate((version, tuple(words), gauss))
    kind, drawn, *rest = kept["numpy"]
    np.random.set_state((kind, np.array(drawn, dtype=np.uint32), *rest))  # noqa: NPY002 - as above
