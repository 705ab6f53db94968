"""`greenroom alerts`: what fires, acknowledged or silenced from here. A server follows within a second."""

import re
from typing import Any

from cyclopts import App

from greenroom.cli.output import fail, print_json, print_table
from greenroom.cli.place import FINDINGS, FINE, USAGE, Here

app = App(name="alerts", help="See what fires, acknowledge it, silence it, and test where it is sent.")

Record = dict[str, Any]  # Any: JSON
_WHO = "command line"
_HOURS = {"m": 1 / 60, "h": 1.0, "d": 24.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([mhd])\Z")
_COLUMNS = ("id", "severity", "state", "rule", "subject", "project", "since", "summary")


@app.command(name="list")
def list_alerts(*, past: bool = False, limit: int = 50, json: bool = False, place: Here) -> int:
    """List the alerts that stand: exit 1 when one fires that is neither acknowledged nor silenced.

    Parameters
    ----------
    past
        Those that ended instead, newest first; exit 0.
    limit
        How many of those at most.
    json
        Print them as JSON.
    """
    from greenroom.assembly.alertdesk import AlertDesk  # noqa: PLC0415  # a large import; others need none of it

    desk = AlertDesk(place.open())
    rows = desk.past(None, None, max(1, limit)) if past else desk.standing(None)
    if json:
        print_json(rows)
    else:
        print_table(_COLUMNS, [_row(one) for one in rows])
    return FINDINGS if any(one["state"] == "firing" for one in rows) else FINE


@app.command
def show(id: int, /, *, json: bool = False, place: Here) -> int:
    """Show one alert: what became of it, who did what, and how its messages went.

    Parameters
    ----------
    id
        Its number.
    json
        Print it as JSON.
    """
    from greenroom.assembly.alertdesk import AlertDesk  # noqa: PLC0415  # as above

    found = AlertDesk(place.open()).show(id, None)
    if json:
        print_json(found)
        return FINE
    print_table(_COLUMNS, [_row(found)])
    print_table(("at", "what", "severity", "who", "why"), [
        [one[name] for name in ("at", "what", "severity", "who", "why")] for one in found["history"]
    ])  # fmt: skip
    print_table(("at", "channel", "what", "state", "tries", "error"), [
        [one[name] for name in ("at", "channel", "what", "state", "tries", "error")]
        for one in found["deliveries"]
    ])  # fmt: skip
    return FINE


@app.command
def ack(id: int, /, *, why: str = "", place: Here) -> int:
    """Say that somebody looks after an alert: it is not sent again until it is over.

    Parameters
    ----------
    id
        Its number, as `alerts list` shows it.
    why
        What is done about it, for whoever looks later.
    """
    from greenroom.assembly.alertdesk import AlertDesk  # noqa: PLC0415  # as above

    AlertDesk(place.open()).acknowledge(id, why[:500], None, _WHO, "")
    print(f"Alert {id} is acknowledged.")
    return FINE


@app.command
def silence(
    rule: str = "", /, *, subject: str = "", project: str = "", duration: str = "1h", why: str = "",
    end: int | None = None, json: bool = False, place: Here,
) -> int:  # fmt: skip
    """Have nothing delivered of the alerts that fit, for a while. They still open, and stand on the page.

    Parameters
    ----------
    rule
        Alerts of this rule.
    subject
        Alerts about this app or model.
    project
        Alerts of this project.
    duration
        How long: 30m, 8h, 7d.
    why
        The reason, for whoever looks later.
    end
        End the silence with this number instead, now.
    json
        Print the silence as JSON.
    """
    from greenroom.assembly.alertdesk import AlertDesk  # noqa: PLC0415  # as above
    from greenroom.server.alerts import NewSilence  # noqa: PLC0415  # as above

    desk = AlertDesk(place.open())
    if end is not None:
        desk.unsilence(end, None, _WHO, "")
        print(f"Silence {end} has ended.")
        return FINE
    said = _DURATION.fullmatch(duration)
    hours = float(said[1]) * _HOURS[said[2]] if said is not None else 0.0
    if not 0 < hours <= 8_760:
        return fail("Say --duration as 30m, 8h or 7d, up to a year.", USAGE)
    if not (rule or subject or project):
        return fail("Name a rule, --subject or --project: a silence of everything hides all.", USAGE)
    wanted = NewSilence(
        hours=hours, rule=rule[:200], subject=subject[:200], project=project[:200], why=why[:500]
    )
    made = desk.silence(wanted, None, _WHO, "")
    if json:
        print_json(made)
    else:
        print(f"Silence {made['id']} until {made['until']}.")
    return FINE


@app.command
def test(channel: str, /, *, place: Here) -> int:
    """Send a made-up alert to a channel now: exit 3 when it is not taken.

    Parameters
    ----------
    channel
        Its name in [alerts.channels].
    """
    from greenroom.assembly.alertdesk import AlertDesk  # noqa: PLC0415  # as above

    house = place.open()
    house.alerting.take(house.config.alerts)
    AlertDesk(house).test(channel, _WHO, "")
    print(f"The channel '{channel}' took it.")
    return FINE


def _row(one: Record) -> list[object]:
    return [
        one["id"], one["severity"], one["state"], one["rule"], one["subject"] or None, one["project"] or None,
        one["opened_at"], one["summary"],
    ]  # fmt: skip
