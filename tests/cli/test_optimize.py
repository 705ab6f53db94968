"""`greenroom optimize` and `greenroom models compare` against a scripted provider on a real socket."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from greenroom.assembly.prompts import new_version, registry_of
from greenroom.exchange import usd
from greenroom.prompts.version import Message, PromptVersion, Variable
from greenroom.store.keys import KeyStore
from greenroom.store.ledger import LedgerStore
from greenroom.store.prompts import PromptStore
from greenroom.store.usage import Asked, usage
from tests.cli.conftest import Run
from tests.offline.scripted_provider import RULES, ScriptedProvider, rows

TEXTS = {
    "dates": ("en", "Answer the customer's question."),
    "amounts": ("pt", "Responda à pergunta do cliente."),
    "coins": ("en", "Guess the side of the coin."),
}
OPTIONS = ("--metric", "exact", "--app", "lean", "--reflection-model", "lab/editor", "--max-tokens", "200")


@pytest.fixture
def provider(folder: Path) -> Iterator[ScriptedProvider]:
    """A configuration that knows the provider, data of every task, and a prompt for each."""
    with ScriptedProvider() as made:
        (folder / "greenroom.toml").write_text(made.config(), encoding="utf-8")
        for task in (*TEXTS, "told"):
            lines = [json.dumps(row) + "\n" for row in rows(task, 48)]
            (folder / f"{task}.jsonl").write_text("".join(lines), encoding="utf-8")
        (folder / "data").mkdir()
        store = PromptStore(folder / "data" / "prompts.db")
        store.add([new_version(prompt(name)) for name in TEXTS], who="test")
        store.close()
        yield made


def prompt(name: str) -> PromptVersion:
    language, text = TEXTS[name]
    return PromptVersion(
        name=name, language=language,  # type: ignore[arg-type]  # one of the three
        messages=(Message(role="system", text=text), Message(role="user", text="{{question}}")),
        variables={"question": Variable()},
    )  # fmt: skip


def arguments(task: str, budget: str = "0.2") -> Sequence[str]:
    return ("optimize", "--prompt", f"{task}@1", "--data", f"{task}.jsonl", "--budget-usd", budget, *OPTIONS)


@pytest.mark.slow  # some hundred exchanges through the whole pipeline
@pytest.mark.parametrize(("task", "language"), [("dates", "en"), ("amounts", "pt")])
def test_a_gain_is_found_saved_without_a_label_and_not_paid_twice(
    run: Run, provider: ScriptedProvider, folder: Path, task: str, language: str
) -> None:
    ran = run(*arguments(task))

    assert ran.code == 0, ran.out + ran.err
    assert f"Saved as {task}@2, without a label." in ran.out
    assert re.search(r"Better: exact 0\.000 → 0\.[7-9]", ran.out)
    assert provider.earned_nano <= 200_000_000
    store = PromptStore(folder / "data" / "prompts.db")
    registry = registry_of(store)
    store.close()
    assert registry.labels == {}
    assert RULES[language] in registry.versions[task][2].messages[0].text
    assert registry.versions[task][2].note.startswith("greenroom optimize opt_")
    calls = len(provider.asked)

    again = run(*arguments(task), "--json")

    assert again.code == 0
    assert len(provider.asked) == calls
    assert again.json["saved"] == f"{task}@2"
    assert again.json["result"]["spent_nano"] == provider.earned_nano


@pytest.mark.slow  # as above
def test_where_nothing_helps_nothing_is_saved_and_the_key_that_was_named_has_paid(
    run: Run, provider: ScriptedProvider, folder: Path
) -> None:
    with closing(KeyStore(folder / "data" / "keys.db")) as keys:
        key, _ = keys.create("team", "mine")

    ran = run(*arguments("coins", "0.04"), "--key", key.id)

    assert ran.code == 2
    assert "No better than what you have" in ran.out
    assert "Saved" not in ran.out
    assert provider.earned_nano <= 40_000_000
    with closing(LedgerStore(folder / "data" / "ledger.db")) as books:
        (paid,) = usage(books, Asked(("project", "key")))
    assert (paid["project"], paid["key"], paid["cost_usd"]) == ("team", key.id, usd(provider.earned_nano))


@pytest.mark.slow  # starts a process
def test_a_run_that_is_killed_goes_on_and_pays_only_what_was_on_its_way_again(
    run: Run, provider: ScriptedProvider, folder: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-m", "greenroom", *arguments("dates")], cwd=folder, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while len(provider.asked) < 25 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(provider.asked) >= 25

    ran = run(*arguments("dates"))

    assert ran.code == 0, ran.out + ran.err
    asked = [json.dumps(one, sort_keys=True) for one in provider.asked]
    assert len(asked) - len(set(asked)) <= 8


@pytest.mark.slow  # as above
def test_a_provider_that_dies_is_no_verdict(run: Run, provider: ScriptedProvider) -> None:
    provider.dies_after = 30

    ran = run(*arguments("dates"))

    assert ran.code == 3
    assert "the same command goes on" in ran.err
    provider.dies_after = None
    assert run(*arguments("dates")).code == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param(("--prompt", "datez"), "Did you mean 'dates'?", id="prompt"),
        pytest.param(("--data", "none.jsonl"), "'none.jsonl' can't be read", id="data"),
        pytest.param(("--data", "traces:apps=x"), "'apps=x' is no condition for traces", id="condition"),
        pytest.param(("--metric", "exacto"), "Did you mean 'exact'?", id="metric"),
        pytest.param(("--metric", "latency"), "Choose a metric of quality", id="goal"),
        pytest.param(("--key", "key_x"), "There is no key with the id 'key_x'", id="key"),
        pytest.param(("--budget-usd", "0"), "must be greater than zero", id="budget"),
    ],
)
def test_what_can_not_work_is_said_before_anything_is_paid(
    run: Run, provider: ScriptedProvider, changed: tuple[str, str], said: str
) -> None:
    given = [*arguments("dates")]
    if changed[0] in given:
        given[given.index(changed[0]) + 1] = changed[1]
    else:
        given += changed

    ran = run(*given)

    assert ran.code == 64
    assert said in ran.err
    assert provider.asked == []


def test_a_price_nobody_knows_needs_a_cap_on_calls(
    run: Run, provider: ScriptedProvider, folder: Path
) -> None:
    config = provider.config().partition("[prices")[0]
    (folder / "greenroom.toml").write_text(config, encoding="utf-8")

    ran = run(*arguments("dates"))

    assert ran.code == 64
    assert "The price of 'dates@1' is not known" in ran.err
    assert provider.asked == []


@pytest.mark.slow  # some hundred exchanges
def test_models_are_compared_with_a_picture_and_nothing_is_paid_twice(
    run: Run, provider: ScriptedProvider, folder: Path
) -> None:
    given = (
        "models", "compare", "--models", "lab/worker,lab/novice", "--data", "told.jsonl", "--scorers",
        "exact,contains", "--app", "lean", "--budget-usd", "0.5", "--max-tokens", "100",
    )  # fmt: skip

    ran = run(*given, "--report", "report.html")

    assert ran.code == 0, ran.out + ran.err
    assert "Best by exact: lab/worker" in ran.out
    assert "A  lab/worker" in ran.out
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert ">lab/novice</text>" in page
    assert len(provider.asked) == 96
    again = run(*given, "--json")
    assert again.code == 0
    assert len(provider.asked) == 96
    assert again.json["spent_nano"] == provider.earned_nano
    novice = again.json["standings"][1]["measures"]
    assert [one["told"] for one in novice if one["name"] in ("exact", "cost_usd")] == ["worse", "better"]


def test_without_a_budget_a_dollar_is_the_most(run: Run, provider: ScriptedProvider, folder: Path) -> None:
    lines = [json.dumps(row) + "\n" for row in rows("told", 6)]
    (folder / "few.jsonl").write_text("".join(lines), encoding="utf-8")

    ran = run(
        "models", "compare", "--models", "lab/worker,lab/novice", "--data", "few.jsonl", "--scorers", "exact"
    )

    assert ran.code == 2, ran.out + ran.err  # six rows decide nothing
    assert " of $1\n" in ran.err


def test_few_samples_do_not_decide_and_the_code_is_2(
    run: Run, provider: ScriptedProvider, folder: Path
) -> None:
    lines = [json.dumps(row) + "\n" for row in rows("told", 8)]
    (folder / "few.jsonl").write_text("".join(lines), encoding="utf-8")

    ran = run(
        "models", "compare", "--models", "lab/worker,lab/editor", "--data", "few.jsonl", "--scorers", "exact",
        "--max-calls", "40", "--against", "lab/editor",
    )  # fmt: skip

    assert ran.code in (2, 3)
