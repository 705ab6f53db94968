"""What `ops/` holds loads where it is meant to: Prometheus' own tool reads the rules, Grafana's schema the board."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from greenroom.assembly import metrics
from greenroom.assembly.exposition import HELP
from greenroom.wire.semconv import METRICS

OPS = Path(__file__).parent.parent / "ops"
RULES = OPS / "prometheus" / "greenroom.rules.yml"
BOARD = OPS / "grafana" / "greenroom.json"
OWN = (metrics.REQUESTS, metrics.TOKENS, metrics.RETRY_COST, metrics.UNPRICED, metrics.CALLS, metrics.STEPS)
promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian package prometheus)"
)


def tool(*arguments: str | Path, entered: str | None = None, cwd: Path | None = None) -> None:
    """Have promtool look at something; its complaints fail the test."""
    found = subprocess.run(
        ["promtool", *map(str, arguments)],
        input=entered, capture_output=True, text=True, timeout=30, check=False, cwd=cwd,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr


# Grafana's schema (kinds/dashboard/dashboard_kind.cue of grafana/grafana), as far as it is closed: what it does
# not name is refused. `Any`: what it leaves to plugins.


class _Closed(Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    pass


class _Source(_Closed, kw_only=True):
    type: str | None = None
    uid: str | None = None


class _Grid(_Closed, kw_only=True):
    h: Annotated[int, Meta(gt=0)]
    w: Annotated[int, Meta(gt=0, le=24)]
    x: Annotated[int, Meta(ge=0, lt=24)]
    y: Annotated[int, Meta(ge=0)]


class _Field(_Closed, kw_only=True):
    display_name: str | None = None
    description: str | None = None
    unit: str | None = None
    decimals: float | None = None
    min: float | None = None
    max: float | None = None
    no_value: str | None = None
    custom: dict[str, Any] | None = None


class _FieldConfig(_Closed, kw_only=True):
    defaults: _Field
    overrides: list[dict[str, Any]]


class _Panel(_Closed, kw_only=True):
    type: Annotated[str, Meta(min_length=1)]
    id: Annotated[int, Meta(ge=0)]
    title: str = ""
    description: str = ""
    targets: list[dict[str, Any]] = []
    datasource: _Source | None = None
    grid_pos: _Grid
    options: dict[str, Any] = {}
    field_config: _FieldConfig | None = None
    collapsed: bool = False
    panels: list[dict[str, Any]] = []


class _Variable(Struct, rename="camel", kw_only=True):
    type: Literal["query", "adhoc", "constant", "datasource", "interval", "textbox", "custom", "system"]
    name: str
    hide: Literal[0, 1, 2]
    skip_url_sync: bool
    label: str | None = None
    query: str | dict[str, Any] | None = None
    datasource: _Source | None = None


class _Link(_Closed, kw_only=True):
    title: str
    type: Literal["link", "dashboards"]
    icon: str
    tooltip: str
    url: str
    tags: list[str]
    as_dropdown: bool
    target_blank: bool
    include_vars: bool
    keep_time: bool


class _Templating(_Closed, kw_only=True):
    list: list[_Variable]


class _Annotations(_Closed, kw_only=True):
    list: list[dict[str, Any]]


class _Time(_Closed, kw_only=True):
    start: str = msgspec.field(name="from")
    to: str


class _Board(_Closed, kw_only=True):
    uid: Annotated[str, Meta(min_length=8, max_length=40)]
    title: str
    description: str = ""
    tags: list[str] = []
    style: Literal["light", "dark"]
    timezone: str
    editable: bool
    graph_tooltip: Literal[0, 1, 2]
    time: _Time
    fiscal_year_start_month: Annotated[int, Meta(ge=0, lt=12)] = 0
    week_start: str = ""
    refresh: str
    schema_version: Annotated[int, Meta(ge=36)]
    version: int
    panels: list[_Panel]
    templating: _Templating
    annotations: _Annotations
    links: list[_Link]


@pytest.fixture(scope="module")
def board() -> _Board:
    return msgspec.json.decode(BOARD.read_bytes(), type=_Board)


def expressions(board: _Board) -> list[str]:
    """All queries, with the board's own words filled in."""
    return [
        str(target["expr"]).replace("$__rate_interval", "5m").replace("$app", ".*")
        for panel in board.panels
        for target in panel.targets
    ]


def test_the_panels_of_the_board_do_not_lie_on_each_other(board: _Board) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board.panels:
        place = panel.grid_pos
        cells = {(x, y) for x in range(place.x, place.x + place.w) for y in range(place.y, place.y + place.h)}
        assert place.x + place.w <= 24
        assert not cells & taken
        taken |= cells
    assert len({panel.id for panel in board.panels}) == len(board.panels)


def test_the_board_and_the_rules_ask_for_metrics_that_there_are(board: _Board) -> None:
    known = {metric.prometheus for metric in (*METRICS, *OWN)} | HELP.keys()
    known |= set(re.findall(r"record: (\S+)", RULES.read_text()))
    known |= {f"{name}_{end}" for name in known for end in ("bucket", "sum", "count")}
    asked = " ".join([*expressions(board), RULES.read_text()])
    names = set(re.findall(r"\b(?:greenroom|gen_ai)[_:][a-z0-9_:]+(?=[{\[\s)])", asked))
    labels = {"gen_ai_request_model", "gen_ai_provider_name"}
    assert len(names) > 15
    assert names - known - labels == set()


@promtool
def test_promtool_takes_the_configuration_the_rules_and_the_queries_of_the_board(
    board: _Board, tmp_path: Path
) -> None:
    folder = tmp_path / "prometheus"
    shutil.copytree(OPS / "prometheus", folder)
    (folder / "greenroom.key").write_text("gr-key")
    tool("check", "config", "--lint=all", "--lint-fatal", folder / "prometheus.yml")
    tool("test", "rules", folder / "greenroom.test.yml")
    asked = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(expressions(board))]
    queries = tmp_path / "queries.yml"
    queries.write_text(json.dumps({"groups": [{"name": "board", "rules": asked}]}))
    tool("check", "rules", queries)
