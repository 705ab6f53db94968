"""The commands of docs/finetune-data.md run as they stand, and its rows are rows."""

import json
import re
import shlex
from pathlib import Path

import pytest

from greenroom.offline.finetune.rows.form import faults
from greenroom.store.scores import Score
from greenroom.store.traces import TraceStore
from tests.cli.conftest import Run, folder, quiet, run
from tests.offline.scripted_provider import ScriptedProvider, rows
from tests.store.exchanges import entry_of, make_exchange

__all__ = ["folder", "quiet", "run"]

PAGE = (Path(__file__).parent.parent.parent / "docs" / "finetune-data.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
            for line in block.splitlines()]  # fmt: skip
ROWS = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]
TOWNS = [
    "Oslo",
    "Bergen",
    "Narvik",
    "Hamar",
    "Larvik",
    "Moss",
    "Molde",
    "Voss",
    "Halden",
    "Harstad",
    "Horten",
    "Alta",
    "Leknes",
    "Namsos",
    "Lom",
]


def lay_out(folder: Path, provider: ScriptedProvider) -> None:
    """What the page takes for granted: a strong model, traffic with consent, scores, an experiment, questions."""
    config = provider.config().replace(
        "[models.usual]", '[models.strong]\ntargets = ["lab/worker"]\n\n[models.usual]'
    )
    (folder / "greenroom.toml").write_text(config + '\n[apps.default]\nmodel = "usual"\n', encoding="utf-8")
    (folder / "questions.csv").write_text(
        "input,expected\n" + "".join(f"{one['question']},{one['expected']}\n" for one in rows("teams", 20))
    )
    turns = [
        {
            "messages": [
                {"role": "user", "content": f"Who lives in {town}?"},
                {"role": "assistant", "content": f"{town}ers."},
            ]
        }
        for town in TOWNS
    ]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, turns)))
    (folder / "held.jsonl").write_text(json.dumps(turns[0]).replace("Oslo", "Drammen"))
    (folder / "data").mkdir()
    store = TraceStore(folder / "data" / "traces.db")
    for at in range(80):
        tags = {"consent": "true", "experiment": f"tone/{'warm' if at % 2 else 'cold'}"}
        asked = f"Is {TOWNS[at // 2 % 15]} {at // 30} by the sea?"
        store.write([entry_of(make_exchange(f"t{at}", asked, f"Answer {at}.", tags=tags, session=f"s{at}"))])
        store.score(
            "default", f"t{at}", Score(name="helpful", value=0.8 + 0.2 * (at % 2) if at < 70 else 0.1)
        )
    store.score("default", "t3", Score(name="helpful", value=0.1, source="judge"))
    store.score("default", "t4", Score(name="helpful", value=1.0))
    store.close()


@pytest.mark.slow  # a hundred exchanges through the whole pipeline
def test_the_commands_do_what_the_page_says(run: Run, folder: Path) -> None:
    ends = {"check": 0, "data": 0, "distill": 0, "score": 0, "should": 2}
    with ScriptedProvider() as provider:
        lay_out(folder, provider)
        assert len(COMMANDS) == 8

        for command in COMMANDS:
            _, *arguments = shlex.split(command.replace("TRACE_ID", "t7"))
            ran = run(*arguments)
            assert ran.code == ends[arguments[1]], (command, ran)

    assert (folder / "clean" / "train.lineage.jsonl").is_file()
    assert len((folder / "taught.jsonl").read_text().splitlines()) == 20
    pairs = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    assert len(pairs) >= 10


def test_the_rows_of_the_page_are_fit() -> None:
    talk, pair = ROWS

    assert [*faults(talk, "supervised"), *faults(pair, "dpo")] == []
