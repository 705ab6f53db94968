"""Every key of the configuration with its type, default and meaning, read from the Structs themselves.

The meaning of a key is the docstring under it in the source, which Python does not keep at run time.
"""

import ast
import difflib
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec import inspect as shapes

from greenroom.config import (
    AppConfig,
    BudgetConfig,
    Config,
    ModelConfig,
    MoneyConfig,
    PriceConfig,
    ProviderConfig,
    ServerConfig,
    StoreConfig,
)
from greenroom.offline.alerts.settings import AlertsConfig, ChannelConfig, RuleConfig
from greenroom.offline.batches.settings import BatchesConfig
from greenroom.offline.deploy.plan import DeployConfig, Margins
from greenroom.offline.drift.canaries import CanariesConfig
from greenroom.offline.drift.plan import DriftConfig
from greenroom.offline.experiments.plan import ArmConfig, ExperimentConfig
from greenroom.offline.export.settings import ExportConfig
from greenroom.offline.finetune.settings import FinetuneConfig
from greenroom.offline.otel.settings import OtelConfig
from greenroom.offline.quality.plan import QualityRule
from greenroom.stages.check.policy import PolicyConfig
from greenroom.stages.check.refusal import RefusalConfig
from greenroom.store.retention import ProjectConfig

NAME = "NAME"
"""Stands for a name the operator chooses: `providers.NAME.kind`."""

TABLES: Mapping[str, type[Struct]] = {
    "server": ServerConfig,
    "store": StoreConfig,
    f"providers.{NAME}": ProviderConfig,
    f"models.{NAME}": ModelConfig,
    f"apps.{NAME}": AppConfig,
    "money": MoneyConfig,
    f"budgets.{NAME}": BudgetConfig,
    f"prices.{NAME}": PriceConfig,
    f"policies.{NAME}": PolicyConfig,
    f"refusals.{NAME}": RefusalConfig,
    "finetune": FinetuneConfig,
    "batches": BatchesConfig,
    "otel": OtelConfig,
    "drift": DriftConfig,
    "canaries": CanariesConfig,
    f"quality.{NAME}": QualityRule,
    "alerts": AlertsConfig,
    f"alerts.rules.{NAME}": RuleConfig,
    f"alerts.channels.{NAME}": ChannelConfig,
    f"experiments.{NAME}": ExperimentConfig,
    f"experiments.{NAME}.arms.{NAME}": ArmConfig,
    "deploy": DeployConfig,
    "deploy.margins": Margins,
    f"projects.{NAME}": ProjectConfig,
    "export": ExportConfig,
}
REQUIRED = object()


class Key(NamedTuple):
    """One key. `default` is REQUIRED where there is none."""

    path: str
    type: str
    default: object
    meaning: str


class Table(NamedTuple):
    """One table and its keys."""

    path: str
    meaning: str
    keys: list[Key]


def tables(steps: Mapping[str, type[Struct]]) -> list[Table]:
    """All tables, those of the steps last."""
    kinds = {**TABLES, **{f"steps.{name}": kind for name, kind in steps.items()}}
    return [_table(path, kind) for path, kind in kinds.items()]


def find(wanted: str, known: list[Table]) -> Table | Key | None:
    """The table or key that a dotted name leads to; `providers.openai.kind` finds `providers.NAME.kind`."""
    parts = wanted.strip("[] ").split(".")
    if len(parts) > 3 and parts[0] == "apps" and parts[2] == "steps":
        parts = parts[2:]
    tables = (one for one in known if _fits(parts, one.path) or _fits([*parts, NAME], one.path))
    keys = (one for table in known for one in table.keys if _fits(parts, one.path))
    return next(tables, None) or next(keys, None)


def _fits(parts: list[str], path: str) -> bool:
    known = path.split(".")
    return len(parts) == len(known) and all(two in (one, NAME) for one, two in zip(parts, known, strict=True))


def nearest(wanted: str, known: list[Table]) -> str | None:
    """The key or table most like a name that leads nowhere."""
    names = [one for table in known for one in (table.path, *(key.path for key in table.keys))]
    close = difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    if close:
        return close[0]
    last = wanted.rpartition(".")[2]
    by_last = {name.rpartition(".")[2]: name for name in names}
    close = difflib.get_close_matches(last, by_last, n=1)
    return by_last[close[0]] if close else None


def schema(steps: Mapping[str, type[Struct]]) -> dict[str, object]:
    """JSON Schema of the whole file, the tables of the steps included."""
    kinds = list(steps.values())
    (whole, *parts), components = msgspec.json.schema_components(
        [Config, *kinds], ref_template="#/$defs/{name}"
    )
    of_steps: dict[str, object] = {
        "type": "object",
        "properties": dict(zip(steps, parts, strict=True)),
        "additionalProperties": False,
    }
    for name in ("Config", "AppConfig"):
        components[name]["properties"]["steps"] = of_steps
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole, "$defs": components}


def toml(value: object) -> str:
    """A default as TOML would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list, frozenset, set)):
        return "[" + ", ".join(toml(one) for one in value) + "]"
    if isinstance(value, Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()
    return str(value)


def _table(path: str, kind: type[Struct]) -> Table:
    info = shapes.type_info(kind)
    assert isinstance(info, shapes.StructType)
    meanings = _meanings(kind)
    heading = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")
    keys = [
        Key(f"{path}.{one.encode_name}", type_words(one.type), _default(one), meanings.get(one.name, ""))
        for one in info.fields
    ]
    return Table(path, heading.partition("]: ")[2] or heading, keys)


def _default(one: shapes.Field) -> object:
    if one.default is not msgspec.NODEFAULT:
        return one.default
    if one.default_factory is not msgspec.NODEFAULT:
        return one.default_factory()
    return REQUIRED


def type_words(info: shapes.Type) -> str:
    """A type in words: `integer, 1 to 1024`."""
    match info:
        case shapes.UnionType():
            return " or ".join(type_words(one) for one in info.types if not isinstance(one, shapes.NoneType))
        case shapes.LiteralType():
            return " | ".join(toml(one) for one in sorted(info.values, key=str))
        case shapes.BoolType():
            return "true or false"
        case shapes.IntType() | shapes.FloatType():
            word = "integer" if isinstance(info, shapes.IntType) else "number"
            return word + _bounds(info)
        case shapes.StrType():
            return "text"
        case shapes.VarTupleType() | shapes.ListType() | shapes.FrozenSetType() | shapes.SetType():
            return f"list of {type_words(info.item_type)}"
        case shapes.DictType() | shapes.StructType():
            return "table"
        case _:
            return "value"


def _bounds(info: shapes.IntType | shapes.FloatType) -> str:
    if info.ge is not None and info.le is not None:
        return f", {info.ge} to {info.le}"
    if info.ge is not None:
        return f", {info.ge} or more"
    if info.gt is not None:
        return f", more than {info.gt}"
    if info.le is not None:
        return f", at most {info.le}"
    return ""


@lru_cache
def _meanings(kind: type[Struct]) -> dict[str, str]:
    """The docstrings under the fields of a Struct, those it inherits first."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if not (issubclass(one, Struct) and one.__module__.startswith("greenroom.")):
            continue
        source = inspect.getsource(sys.modules[one.__module__])
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef) and node.name == one.__name__:
                found |= dict(_documented(node.body))
    return found


def _documented(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, after in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            yield field.target.id, " ".join(after.value.value.split())
