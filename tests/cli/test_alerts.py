"""`greenroom alerts`: exit codes, silences by duration, and tests of channels on a real socket."""

from pathlib import Path

from greenroom.store.alerts import FILE, Alerts, Notice
from tests.cli.conftest import Run
from tests.receivers import receiving

NOTICE = Notice("failures", "threshold", "", "support", "critical", "25 % failed.")


def test_what_fires_is_exit_code_1_until_somebody_looks_after_it(run: Run, folder: Path) -> None:
    quiet = run("alerts", "list")
    alerts = Alerts(folder / "data" / FILE)
    alerts.tell(NOTICE)
    firing = run("alerts", "list", "--json")
    told = run("alerts", "ack", "1", "--why", "mine")
    after = run("alerts", "list", "--json")
    shown = run("alerts", "show", "1", "--json")

    assert (quiet.code, quiet.out) == (0, "")
    assert (firing.code, firing.json[0]["state"]) == (1, "firing")
    assert told.out == "Alert 1 is acknowledged.\n"
    assert (after.code, after.json[0]["state"]) == (0, "acknowledged")
    assert shown.json["history"][-1]["why"] == "mine"
    alerts.clear("failures", "", "support")
    alerts.close()
    assert run("alerts", "list", "--past", "--json").json[0]["ended_at"] is not None


def test_a_silence_has_an_end_and_can_be_ended(run: Run, folder: Path) -> None:
    alerts = Alerts(folder / "data" / FILE)
    alerts.tell(NOTICE)
    alerts.close()

    made = run("alerts", "silence", "failures", "--duration", "8h", "--json").json
    silent = run("alerts", "list", "--json")
    ended = run("alerts", "silence", "--end", str(made["id"]))

    assert (silent.code, silent.json[0]["state"]) == (0, "silenced")
    assert ended.code == 0
    assert run("alerts", "list").code == 1


def test_what_cannot_be_is_wrong_usage_or_a_finding(run: Run) -> None:
    codes = [
        run("alerts", "silence", "failures", "--duration", "soon").code,
        run("alerts", "silence", "failures", "--duration", "9999d").code,
        run("alerts", "silence").code,
        run("alerts", "ack", "7").code,
        run("alerts", "show", "7").code,
        run("alerts", "test", "nobody").code,
    ]

    assert codes == [64, 64, 64, 1, 1, 1]


def test_a_channel_is_tried_and_its_refusal_is_exit_code_3(run: Run, folder: Path) -> None:
    with receiving() as receiver:
        (folder / "greenroom.toml").write_text(
            f'[alerts.channels.chat]\nkind = "slack"\nurl = "{receiver.url}"\nprivate = true\n',
            encoding="utf-8",
        )
        taken = run("alerts", "test", "chat")
        receiver.answer = b"HTTP/1.1 410 Gone\r\n\r\n"
        refused = run("alerts", "test", "chat")

    assert (taken.code, taken.out) == (0, "The channel 'chat' took it.\n")
    assert (refused.code, refused.err) == (3, "The receiver answered with status 410.\n")
    assert b"This is a test of the channel" in receiver.requests[0].body
