"""`config` and `init`: what the file may say, and what is wrong with it."""

import re
import tomllib
from pathlib import Path

import pytest

from greenroom.assembly.steps import STEPS, step_configs
from greenroom.cli import reference
from greenroom.config import Config, load
from tests.cli.conftest import Run

WRONG = [
    ("[server]\nprot = 1\n", ("greenroom.toml", "line 2", "did you mean 'port'?")),
    ("[server]\nport = 99999\n", ("line 2", "server.port")),
    ("[server\n", ("greenroom.toml", "line 1")),
    ("\n[steps.pii]\nacton = 'mask'\n", ("line 3", "did you mean 'action'?")),
    ("[steps.pi]\nmode = 'off'\n", ("no step 'pi'",)),
    ("[apps.x.steps.pii]\nmode = 'on'\n", ("apps.x.steps.pii.mode",)),
    ("[apps.x]\ncheck = ['clean']\n", ("'clean' is no step of check", "apps.x.check")),
    ("[apps.x]\nmodel = 'fast'\n", ("'fast'", "apps.x.model")),
    ("[models.fast]\ntargets = ['nobody/m']\n", ("'nobody/m'", "models.fast.targets")),
]


@pytest.mark.parametrize(("text", "told"), WRONG)
def test_a_wrong_file_is_a_finding_with_its_place(
    run: Run, folder: Path, text: str, told: tuple[str, ...]
) -> None:
    (folder / "greenroom.toml").write_text(text, encoding="utf-8")

    done = run("config", "check")

    assert done.code == 1
    assert [part for part in told if part not in done.err] == []


def test_without_a_file_the_defaults_hold(run: Run) -> None:
    assert run("config", "check").code == 0


def test_the_answer_as_json(run: Run, folder: Path) -> None:
    (folder / "mine.toml").write_text("[server]\nport = 1\n", encoding="utf-8")

    done = run("config", "check", "--config", "mine.toml", "--json")

    assert done.json == {"file": "mine.toml", "ok": True, "error": None}


def test_init_writes_a_file_that_equals_the_defaults(run: Run, folder: Path) -> None:
    done = run("init")

    assert done.code == 0
    assert load(folder / "greenroom.toml") == Config()
    assert run("config", "check").code == 0


def test_init_replaces_nothing_unasked(run: Run, folder: Path) -> None:
    (folder / "greenroom.toml").write_text("# mine\n", encoding="utf-8")

    refused = run("init")
    kept = (folder / "greenroom.toml").read_text(encoding="utf-8")
    forced = run("init", "--force")

    assert (refused.code, kept, forced.code) == (64, "# mine\n", 0)
    assert "--force" in refused.err


def test_the_file_of_init_holds_with_all_its_comments_taken_away(run: Run, folder: Path) -> None:
    run("init", "full.toml")
    text = (folder / "full.toml").read_text(encoding="utf-8")
    opened = re.sub(r"^#(?! )", "", text, flags=re.MULTILINE)

    tables = tomllib.loads(opened)

    assert set(tables["steps"]) == set(STEPS)
    assert tables["providers"]["openai"]["kind"] == "openai"


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("server.port", ("integer, 0 to 65535", "default 8484")),
        ("providers.openai.kind", ('"openai"', '"reader"', "required")),
        ("store.capture", ("What of the texts is kept", 'default "redacted"')),
        ("server", ("server.port", "server.drain_s")),
        ("steps.pii.action", ('"mask"',)),
        ("apps.support.steps.pii.action", ("steps.pii.action", '"mask"')),
        ("steps.fit", ("steps.fit.mode", "steps.fit.on_error")),
        ("alerts.rules.slow.above", ("alerts.rules.NAME.above", "fires while the figure is above")),
        ("experiments.a.arms.b", ("experiments.NAME.arms.NAME.share", "required")),
        ("deploy.margins", ("deploy.margins.failed", "default 0.01")),
    ],
)
def test_a_key_is_explained(run: Run, key: str, told: tuple[str, ...]) -> None:
    done = run("config", "explain", key)

    assert done.code == 0
    assert [part for part in told if part not in done.out] == []


def test_an_unknown_key_names_the_nearest(run: Run) -> None:
    done = run("config", "explain", "server.prot")

    assert done.code == 64
    assert "'server.port'" in done.err


def test_explain_alone_lists_all_tables(run: Run) -> None:
    done = run("config", "explain", "--json")

    assert {one["table"] for one in done.json} >= {
        "server",
        "store",
        "apps.NAME",
        "steps.pii",
        "steps.unmask",
    }


def test_every_table_of_the_file_is_explained_and_written_by_init(run: Run, folder: Path) -> None:
    run("init")
    written = tomllib.loads(
        re.sub(r"^#(?! )", "", (folder / "greenroom.toml").read_text(), flags=re.MULTILINE)
    )
    tables = set(Config.__struct_fields__)

    assert tables <= {one.path.partition(".")[0] for one in reference.tables(step_configs())}
    assert tables <= set(written)


def test_every_table_says_what_it_is_for() -> None:
    assert [one.path for one in reference.tables(step_configs()) if not one.meaning] == []


def test_the_schema_knows_the_tables_of_the_steps(run: Run) -> None:
    schema = run("config", "schema").json

    steps = schema["$defs"]["Config"]["properties"]["steps"]["properties"]
    assert set(steps) == set(STEPS)
    assert schema["$ref"] == "#/$defs/Config"
    assert "action" in schema["$defs"][steps["pii"]["$ref"].rpartition("/")[2]]["properties"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param('[store]\nurl = "postgresql://u:hush@h/db"\n', "store.url must begin with", id="store"),
        pytest.param(
            '[providers.x]\nkind = "openai_compatible"\nbase_url = "http://u:hush@h/v1"\n', "providers.x: base_url",
            id="base_url",
        ),
        pytest.param('[steps.pii]\nactoin = "mask"\n', "(at 'steps.pii.actoin')", id="step"),
    ],
)  # fmt: skip
def test_what_a_start_would_refuse_is_found_and_no_password_is_shown(
    run: Run, folder: Path, text: str, said: str
) -> None:
    (folder / "greenroom.toml").write_text(text, encoding="utf-8")

    done = run("config", "check")

    assert done.code == 1
    assert said in done.out + done.err
    assert "hush" not in done.out + done.err


def test_a_file_that_is_not_utf_8_is_told_so(run: Run, folder: Path) -> None:
    (folder / "greenroom.toml").write_bytes(b"# \xff")

    done = run("config", "check")

    assert "is not UTF-8 text (at byte 2)" in done.out + done.err


def test_the_command_line_checks_and_explains_policies(run: Run, folder: Path) -> None:
    (folder / "greenroom.toml").write_text(
        '[models.near]\ntargets = ["greenroom/reader"]\n[policies.local]\naction = "route"\nroute_to = "near"\n',
        encoding="utf-8",
    )

    assert run("config", "check").code == 0
    assert "block" in run("config", "explain", "policies.local.action").out
    assert run("init", "fresh.toml").code == 0
    assert run("--config", "fresh.toml", "config", "check").code == 0
    (folder / "greenroom.toml").write_text(
        '[policies.one]\naction = "mask"\nrule = "emial"\n', encoding="utf-8"
    )
    assert "did you mean 'email'?" in run("config", "check").err
