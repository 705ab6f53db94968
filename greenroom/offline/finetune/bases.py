"""Which model a `model` or `base` names, and whether it is safe to load.

A name is looked up among the bases that the operator set, then among the models that were trained here, then
in the hub's cache on this disk. Nothing is fetched. Only safetensors are loaded: weights in pickles can run
any program when they are opened, and so can code that comes with a model; both are refused. What is read here
is bounded, and neither numpy nor torch is loaded. Blocks: for worker threads.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import DecodeError
from msgspec.json import decode

from greenroom.errors import ModelNotFound, RequestError
from greenroom.offline.finetune.shape import Shape, read_shape
from greenroom.offline.finetune.weights import tensors_of, weight_files

ENTRIES_LIMIT = 10_000
"""Of a folder."""
JSON_LIMIT_BYTES = 64 << 20
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".dill", ".npy", ".npz"})
"""Formats that hold, or may hold, Python's pickles."""
_OTHERS = frozenset({".h5", ".msgpack", ".onnx", ".gguf", ".tflite"})
_CODE = frozenset({"auto_map", "custom_pipelines", "custom_generate"})
"""Fields by which a configuration names Python code to be run."""
_JSONS = (
    "config.json", "tokenizer_config.json", "tokenizer.json", "generation_config.json",
    "special_tokens_map.json", "added_tokens.json", "processor_config.json",
)  # fmt: skip
_TEXTS = ("chat_template.jinja",)
_HUB_NAME = re.compile(
    r"(?P<owner>[A-Za-z0-9][A-Za-z0-9._-]{0,95})/(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,95})"
    r"(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._-]{0,127}))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LICENCE = re.compile(r"^license:[ \t]*[\"']?([A-Za-z0-9][A-Za-z0-9._+-]{0,63})[\"']?[ \t]*$", re.MULTILINE)


class Base(NamedTuple):
    """A model that training may start from."""

    name: str
    """As it was asked for."""
    folder: Path
    shape: Shape
    digest: str
    """SHA-256 of its files' names and contents: weights, configuration, tokenizer, template."""
    size_bytes: int
    """Of the weights."""
    licence: str | None
    """As its README says it."""
    revision: str | None
    """The commit, of a model from the hub."""


def find_base(
    name: str,
    *,
    bases: Mapping[str, str],
    trained: Callable[[str], Path | None] = lambda _: None,
    hub: Path | None = None,
    may_be_folder: bool = False,
) -> Base:
    """The model that a name stands for, checked.

    `bases` is the operator's table, name to folder or hub's name. `trained` gives the folder of a model that
    was trained here, or None; it knows who asks. `hub` is the hub's cache. With `may_be_folder`, which is for
    the operator's own commands, the name may be any folder's path.
    Raises: ModelNotFound for a name that stands for nothing here, RequestError for what is not safe to load.
    """
    said = bases.get(name, name)
    is_set = name in bases
    folder = trained(name) if not is_set else None
    if folder is not None:
        return check_base(folder, name)
    if (is_set or may_be_folder) and (path := Path(said).expanduser()).is_dir():
        return check_base(path, name)
    found = _HUB_NAME.fullmatch(said)
    if found is None or hub is None:
        raise ModelNotFound(_not_found(name, bases), "model")
    repository = hub / f"models--{found['owner']}--{found['name']}"
    revision = _revision(repository, found["revision"] or "main")
    if revision is None:
        raise ModelNotFound(_not_found(name, bases), "model")
    return check_base(repository / "snapshots" / revision, name, root=repository, revision=revision)


def hub_folder(environment: Mapping[str, str], home: Path) -> Path:
    """Where the hub's own programs keep what they fetched: HF_HUB_CACHE, else HF_HOME, else in `~/.cache`."""
    if environment.get("HF_HUB_CACHE"):
        return Path(environment["HF_HUB_CACHE"]).expanduser()
    cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache") / "huggingface"
    return Path(environment.get("HF_HOME") or cache).expanduser() / "hub"


def check_base(folder: Path, name: str, *, root: Path | None = None, revision: str | None = None) -> Base:
    """Look a folder over, and compute its digest. Links may lead anywhere inside `root`, which is the folder.

    Raises: RequestError, which says what is wrong and what helps.
    """
    try:
        files = _files(folder, root or folder)
        _only_safetensors(files)
        _no_code(files)
        shape = read_shape(folder)
        _ = shape.family
        tensors = tensors_of(folder)
        needed = [*weight_files(folder), *(files[one] for one in (*_JSONS, *_TEXTS) if one in files)]
        if "tokenizer.json" not in files:
            raise RequestError("There is no 'tokenizer.json'. Save the tokenizer in its fast form beside it.")
        if sum(one.numbers for one in tensors.values()) < shape.parameters:
            raise RequestError("The weights hold fewer numbers than 'config.json' asks for.")
        return Base(
            name=name,
            folder=folder,
            shape=shape,
            digest=_digest(needed),
            size_bytes=sum(one.size_bytes for one in tensors.values()),
            licence=_licence(files.get("README.md")),
            revision=revision,
        )
    except RequestError as error:
        raise RequestError(f"The model '{name}' can't be trained on. {error}", "model") from None
    except OSError as error:
        raise RequestError(
            f"The model '{name}' can't be trained on. It can't be read: {error.strerror or error}.", "model"
        ) from None


def _files(folder: Path, root: Path) -> dict[str, Path]:
    """The files of a folder by name. Raises RequestError for links that leave `root`, and for too many."""
    inside = root.resolve()
    if not folder.resolve().is_relative_to(inside):
        raise RequestError("Its folder is a link to a place outside of the cache.")
    found: dict[str, Path] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            if entry.is_symlink() and not path.resolve().is_relative_to(inside):
                raise RequestError(f"'{entry.name}' is a link to a place outside. Put the file itself there.")
            if entry.is_file():
                found[entry.name] = path
            elif not entry.is_dir():
                raise RequestError(f"'{entry.name}' is neither a file nor a folder, or leads nowhere.")
            if len(found) > ENTRIES_LIMIT:
                raise RequestError(f"There are more than {ENTRIES_LIMIT:,} files.")
    return found


def _only_safetensors(files: Mapping[str, Path]) -> None:
    """Raise RequestError unless there are safe weights of a whole model. Pickles beside them stay shut."""
    if "adapter_config.json" in files:
        raise RequestError("It is an adapter ('adapter_config.json'). Merge it into its model first.")
    if any(one.endswith(".safetensors") for one in files):
        return
    if pickles := sorted(one for one in files if Path(one).suffix.lower() in PICKLES):
        raise RequestError(
            f"'{pickles[0]}' may hold a pickle, which can run any program when it is opened. Only "
            "safetensors are loaded: take the model's safetensors, or convert it where you trust it, with "
            "save_pretrained(…, safe_serialization=True)."
        )
    if others := sorted(one for one in files if Path(one).suffix.lower() in _OTHERS):
        raise RequestError(f"'{others[0]}' can't be trained on. Take the model's safetensors.")
    raise RequestError("There are no weights in safetensors.")


def _no_code(files: Mapping[str, Path]) -> None:
    """Raise RequestError where a configuration names code, or weights that other libraries unpack."""
    for name in _JSONS:
        if name not in files:
            continue
        if files[name].stat().st_size > JSON_LIMIT_BYTES:
            raise RequestError(f"'{name}' is larger than 64 MB.")
        if name == "tokenizer.json":
            continue  # the largest; its library knows no code
        try:
            said = decode(files[name].read_bytes())
        except (DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise RequestError(f"'{name}' is not JSON: {error}.") from None
        if found := _CODE & set(_keys(said)):
            raise RequestError(
                f"'{name}' names code that comes with the model ('{min(found)}'), which is never run. Take a "
                "model that the transformers library knows by itself."
            )
        if name == "config.json" and isinstance(said, dict) and said.get("quantization_config"):
            raise RequestError(
                "Its weights are quantised ('quantization_config'). Take the model in 16 bits."
            )


def _keys(value: Any) -> Iterable[str]:  # Any: JSON
    """All names of fields, at any depth."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _digest(files: Iterable[Path]) -> str:
    whole = hashlib.sha256()
    for path in sorted(files, key=lambda one: one.name):
        with path.open("rb") as file:
            whole.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()


def _licence(readme: Path | None) -> str | None:
    """What the head of a README in the hub's form says."""
    if readme is None:
        return None
    with readme.open("rb") as file:
        text = file.read(1 << 16).decode("utf-8", "replace").replace("\r\n", "\n")
    if not text.startswith("---\n"):
        return None
    found = _LICENCE.search(text[4:].partition("\n---")[0])
    return found[1] if found is not None else None


def _revision(repository: Path, revision: str) -> str | None:
    """The commit that a branch, tag or commit stands for in the cache, or None."""
    if not _COMMIT.fullmatch(revision):
        try:
            with (repository / "refs" / revision).open("rb") as file:
                revision = file.read(64).decode("ascii", "replace").strip()
        except OSError:
            return None
    is_here = _COMMIT.fullmatch(revision) is not None and (repository / "snapshots" / revision).is_dir()
    return revision if is_here else None


def _not_found(name: str, bases: Mapping[str, str]) -> str:
    known = f" These are set: {', '.join(sorted(bases))}." if bases else ""
    return (
        f"There is no model '{name}' to train on.{known} Set its folder in [finetune.bases], or bring it "
        "into the hub's cache with the hub's own program, like 'hf download OWNER/NAME'."
    )
