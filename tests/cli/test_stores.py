"""`keys`, `docs`, `db` and `doctor`: the data folder from the command line."""

import fcntl
import os
import socket
from pathlib import Path

import pytest

from greenroom.store.database import lock_folder
from greenroom.store.keys import KeyStore, digest_of
from tests.cli.conftest import Run

HANDBOOK = "# Leave\n\nEverybody has thirty days of leave a year.\n"


def test_a_key_is_printed_alone_and_only_its_digest_is_kept(run: Run, folder: Path) -> None:
    done = run(
        "keys", "create", "bot", "--requests-per-minute", "5", "--budget-usd", "1.5", "--app", "support"
    )
    secret = done.out.strip()

    store = KeyStore(folder / "data" / "keys.db")
    row = store.lookup_table()[digest_of(secret)]
    store.close()

    assert done.code == 0
    assert (row.name, row.apps, row.limits.requests_per_minute) == ("bot", ("support",), 5)
    assert row.limits.budget_nano_usd == 1_500_000_000
    assert secret not in run("keys", "list").out


def test_limits_change_one_by_one_and_zero_takes_one_away(run: Run) -> None:
    id = run("keys", "create", "bot", "--requests-per-minute", "5", "--parallel", "2", "--json").json["id"]

    changed = run("keys", "limit", id, "--requests-per-minute", "0", "--budget-usd", "0.25", "--json").json

    assert (changed["requests_per_minute"], changed["parallel"], changed["budget_usd"]) == (None, 2, "0.25")
    assert run("keys", "limit", id, "--parallel", "-1").code == 64


def test_a_budget_may_begin_anew_and_limits_may_count_by_day(run: Run) -> None:
    made = run(
        "keys", "create", "bot", "--budget-usd", "20", "--budget-period", "month", "--requests-per-day", "500",
        "--tokens-per-day", "100000", "--json",
    ).json  # fmt: skip

    told = run("keys", "limit", made["id"], "--budget-period", "week")
    listed = run("keys", "list").out

    assert (made["budget_usd"], made["budget_period"]) == ("20", "month")
    assert (made["requests_per_day"], made["tokens_per_day"]) == (500, 100_000)
    assert "500 requests a day" in told.out
    assert "20 US dollars a week" in told.out
    assert "500/day" in listed
    assert "20/week" in listed
    assert run("keys", "create", "x", "--budget-period", "hour").code == 64


def test_a_revoked_key_is_listed_only_when_asked_for(run: Run) -> None:
    id = run("keys", "create", "bot", "--json").json["id"]

    revoked = run("keys", "revoke", id)

    assert revoked.code == 0
    assert run("keys", "list", "--json").json == []
    assert [one["id"] for one in run("keys", "list", "--all", "--json").json] == [id]


@pytest.mark.parametrize(
    "words", [("keys", "revoke", "key_0"), ("keys", "limit", "key_0"), ("trace", "show", "0")]
)
def test_what_does_not_exist_is_a_finding(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words)

    assert done.code == 1
    assert len(done.err.splitlines()) == 1


def test_an_expiry_is_kept(run: Run) -> None:
    made = run("keys", "create", "bot", "--expires", "2199-01-31", "--json").json

    assert made["expires_at"].startswith("2199-01-3")
    assert run("keys", "create", "bot", "--expires", "2999-01-31").code == 64
    assert run("keys", "create", "bot", "--expires", "2020-01-31").code == 64


def test_documents_are_added_found_and_removed(run: Run, folder: Path) -> None:
    (folder / "handbook" / "people").mkdir(parents=True)
    (folder / "handbook" / "people" / "leave.md").write_text(HANDBOOK, encoding="utf-8")
    (folder / "handbook" / "logo.png").write_bytes(b"\x89PNG")

    added = run("docs", "add", "handbook", "--collection", "handbook", "--json")
    listed = run("docs", "list", "--json").json
    found = run("docs", "search", "how many days of leave", "--json")
    missed = run("docs", "search", "zeppelin")
    removed = run("docs", "remove", listed[0]["id"])

    assert [one["filename"] for one in added.json] == ["people · leave.md"]
    assert [one["collection"] for one in listed] == ["handbook"]
    assert "thirty days" in found.json[0]["text"]
    assert (found.code, missed.code, removed.code) == (0, 1, 0)
    assert run("docs", "list", "--json").json == []


def test_what_is_no_document_is_named(run: Run, folder: Path) -> None:
    (folder / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")

    done = run("docs", "add", "logo.png")

    assert done.code == 3
    assert "logo.png" in done.err


def test_stores_are_checked_and_copied(run: Run, folder: Path) -> None:
    run("keys", "create", "bot")
    checked = run("db", "check", "--json")
    copied = run("db", "backup", "copies")

    assert (checked.code, copied.code) == (0, 0)
    assert [(one["store"], one["faults"]) for one in checked.json] == [("keys.db", [])]
    assert (folder / "copies" / "keys.db").stat().st_mode & 0o077 == 0


def test_a_copy_holds_the_files_of_its_documents(run: Run, folder: Path) -> None:
    (folder / "leave.md").write_text(HANDBOOK, encoding="utf-8")
    (added,) = run("docs", "add", "leave.md", "--json").json
    (folder / "data" / "files" / ".1-aa.part").write_bytes(b"half")

    first, second = run("db", "backup", "copies"), run("db", "backup", "copies")

    assert "files: 1 copied" in first.out
    assert "files:" not in second.out
    copied = folder / "copies" / "files"
    assert [one.name for one in copied.iterdir()] == [added["id"]]
    assert (copied / added["id"]).read_text(encoding="utf-8") == HANDBOOK
    assert (copied / added["id"]).stat().st_mode & 0o077 == 0


def test_a_document_in_two_collections_leaves_one(run: Run, folder: Path) -> None:
    (folder / "leave.md").write_text(HANDBOOK, encoding="utf-8")
    for collection in ("one", "two"):
        run("docs", "add", "leave.md", "--collection", collection)

    unclear = run("docs", "remove", "leave.md")
    removed = run("docs", "remove", "leave.md", "--collection", "one")

    assert (unclear.code, removed.code) == (64, 0)
    assert [one["collection"] for one in run("docs", "list", "--json").json] == ["two"]


def test_all_stores_are_brought_up_to_date(run: Run) -> None:
    done = run("db", "migrate")

    assert done.code == 0
    assert {line.partition(":")[0] for line in done.out.splitlines()} >= {
        "documents.db",
        "keys.db",
        "traces.db",
    }
    assert run("db", "migrate").out.count("up to date") == len(done.out.splitlines())


def test_a_damaged_store_is_a_finding(run: Run, folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "traces.db").write_bytes(b"SQLite format 3\x00" + b"\xff" * 8192)

    done = run("db", "check")

    assert done.code == 1
    assert "traces.db" in done.out


def test_without_stores_there_is_nothing_to_check(run: Run) -> None:
    assert run("db", "check").code == 3


def test_the_doctor_finds_nothing_in_a_fresh_folder(run: Run, folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "greenroom.toml").write_text(f"[server]\nport = {port}\n", encoding="utf-8")

    done = run("doctor", "--json")

    assert done.code == 0, done.out
    assert {one["what"] for one in done.json} >= {
        "python",
        "configuration",
        "data folder",
        "server",
        "port",
        "disk",
    }
    assert not (folder / "data").exists()


@pytest.mark.parametrize(
    ("endpoint", "content", "state", "said"),
    [
        ("http://127.0.0.1:4318", "spans", "fine", "with texts (in spans)"),
        (
            "https://collector.example/otlp",
            "none",
            "fine",
            "https://collector.example as http/protobuf, without texts",
        ),
        ("http://collector.example:4318", "both", "warning", "not encrypted"),
    ],
)
def test_the_doctor_says_what_leaves_by_opentelemetry(
    run: Run, folder: Path, endpoint: str, content: str, state: str, said: str
) -> None:
    text = f'[server]\nport = 0\n[otel]\nendpoint = "{endpoint}"\ncontent = "{content}"\n'
    (folder / "greenroom.toml").write_text(text, encoding="utf-8")

    (found,) = [one for one in run("doctor", "--json").json if one["what"] == "opentelemetry"]

    assert found["state"] == state
    assert said in found["said"]


def test_the_doctor_names_what_mends_it(run: Run, folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (folder / "greenroom.toml").write_text(
            f"[server]\nport = {port}\n[providers.openai]\nkind = 'openai'\napi_key_env = 'NO_SUCH_KEY'\n",
            encoding="utf-8",
        )

        done = run("doctor", "--json")

    wrong = {one["what"]: one["mend"] for one in done.json if one["state"] == "wrong"}
    assert done.code == 3
    assert wrong == {"port": f"greenroom serve --port {port + 1}", "key of openai": "export NO_SUCH_KEY=…"}


def test_the_doctor_knows_a_running_server_and_leaves_its_lock_alone(run: Run, folder: Path) -> None:
    lock = lock_folder(folder / "data")

    done = run("doctor", "--json")

    server = next(one for one in done.json if one["what"] == "server")
    assert str(os.getpid()) in server["said"]
    descriptor = os.open(folder / "data" / "greenroom.lock", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
    lock.release()
