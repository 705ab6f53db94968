"""What the files of trained models say: size, shape, memory; and as candidates beside the catalogue's."""

from pathlib import Path
from typing import Any

from greenroom.assembly.house import House
from greenroom.assembly.trained import PREFIX
from greenroom.models.catalogue.candidates import LocalFile
from greenroom.models.catalogue.facts import Fact, Model, Shape
from greenroom.models.catalogue.files import active_share, shape_of
from greenroom.models.catalogue.memory import need
from greenroom.models.gguf import Head, NotGGUF, read_head
from greenroom.models.llama import Llama
from greenroom.store.trained import TrainedModel

_FILE, _ENGINE = "file", "engine"


def trained_files(house: House, project: str | None) -> list[LocalFile]:
    """The trained models that a project may use, whose files are whole; None: all."""
    found = []
    for name in house.shelf.names(project):
        model = house.shelf.find(name)
        head = None if model is None else _head(house.data, model)
        if model is None or head is None:
            continue
        size, shape = _size(house.data, model), shape_of(head)
        if shape is not None:
            made = _facts(model, head, shape)
            found.append(LocalFile(name, made, size, round(size * active_share(head)), f"{PREFIX}{name}"))
    return found


def about(house: House, model: TrainedModel) -> dict[str, Any]:  # Any: JSON
    """What lists show of a trained model: job, base, file, and the memory it needs to run."""
    head, size = _head(house.data, model), _size(house.data, model)
    shape = None if head is None else shape_of(head)
    target = house.models.target(f"{PREFIX}{model.name}")
    memory_mb = None
    if shape is not None and target is not None and isinstance(target.provider, Llama):
        settings = target.provider.engine.settings
        memory_mb = round(need(size, shape, settings.context, settings.parallel).total / (1 << 20), 1)
    return {
        "project": model.project,
        "job": model.job,
        "base": model.base or None,
        "kind": model.kind,
        "checkpoint_of": model.checkpoint_of,
        "path": str(house.data / model.gguf),
        "size_bytes": size,
        "memory_mb": memory_mb,
    }


def _head(data: Path, model: TrainedModel) -> Head | None:
    try:
        return read_head(data / (model.base_gguf or model.gguf))
    except NotGGUF:
        return None


def _size(data: Path, model: TrainedModel) -> int:
    """Bytes of all that is loaded."""
    total = 0
    for one in filter(None, (model.gguf, model.base_gguf)):
        try:
            total += (data / one).stat().st_size
        except OSError:
            continue
    return total


def _facts(model: TrainedModel, head: Head, shape: Shape) -> Model:
    return Model(
        name=model.name,
        kind="open",
        input=Fact(["text"], _FILE),
        structured_output=Fact(True, _ENGINE),
        context=Fact(head.context, _FILE) if head.context else None,
        parameters=Fact(head.parameters, _FILE),
        shape=Fact(shape, _FILE),
    )
