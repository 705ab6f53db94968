"""`greenroom deploy`: what answers for an app, changed with care. A server follows within a second."""

import asyncio
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from greenroom.cli.deployed import tell
from greenroom.cli.output import fail, print_json, print_table
from greenroom.cli.place import ENVIRONMENT, FINDINGS, FINE, INCONCLUSIVE, USAGE, Here, Place
from greenroom.errors import Conflict, InfrastructureError, MalformedRequest

app = App(name="deploy", help="Put a model, prompt or policy before an app: canary, promote, roll back.")

Record = dict[str, Any]  # Any: JSON
_WHO = "command line"
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)\Z")
_CODES = {"pass": FINE, "regression": FINDINGS, "inconclusive": INCONCLUSIVE, "infrastructure": ENVIRONMENT}
Many = Annotated[list[str] | None, Parameter(negative=())]
Flag = Annotated[bool, Parameter(negative=())]


@app.command
def canary(
    name: str,
    /,
    *,
    to: str = "default",
    share: str | None = None,
    gate: str | None = None,
    no_gate: str | None = None,
    force: str | None = None,
    promote_after: str | None = None,
    units: int | None = None,
    score: Many = None,
    margin: Many = None,
    dearer: float | None = None,
    slower: float | None = None,
    shadow: Flag = False,
    watch_only: Flag = False,
    json: bool = False,
    place: Here,
) -> int:
    """Give a part of an app's traffic to a candidate, once a suite has shown that it is no worse.

    Exit 0 when it stands; 1 when the suite shows a regression, 2 when it can't say, 3 when it can't run. The
    same name again changes the share of the canary that stands. Harm that is certain rolls it back.

    Parameters
    ----------
    name
        A configured model, provider/model, a trained model, a prompt as support@12, or a policy's .toml file.
    to
        The app.
    share
        The canary's part, as 5% or 0.05.
    gate
        A suite: its name in [deploy.suites], or its file.
    no_gate
        Why there is no evaluation first.
    force
        Why it is deployed whatever the suite says.
    promote_after
        Promote by itself after so long, as 30m or 2h, once it is certain that it does no harm.
    units
        So many users, sessions or requests at least before it is promoted by itself.
    score
        A score of 0 to 1 to compare too; may be repeated.
    margin
        How much worse a metric may be, as failed=0.02; may be repeated.
    dearer
        An answer is dear when it costs more than so many times what nine in ten of the current's cost.
    slower
        An answer is slow when it takes longer than so many times what nine in ten of the current's take.
    shadow
        Send copies instead, whose answers go to nobody; as `deploy shadow`.
    watch_only
        Tell of harm, and roll back nothing.
    json
        Print how it stands as JSON.
    """
    try:
        wanted: Record = {
            **_named(name), "app": to, "share": _share(share), "shadow": shadow, "suite": gate,
            "no_gate": no_gate, "force": force, "promote_after_s": _seconds(promote_after), "units": units,
            "scores": score, "margins": _margins(margin), "dearer": dearer, "slower": slower,
            "roll_back": False if watch_only else None,
        }  # fmt: skip
    except MalformedRequest as error:
        return fail(str(error), USAGE)
    return _begin(place, wanted, as_json=json)


@app.command
def shadow(
    name: str, /, *, to: str = "default", share: str | None = None, gate: str | None = None,
    no_gate: str | None = None, force: str | None = None, json: bool = False, place: Here,
) -> int:  # fmt: skip
    """Send copies of a part of an app's traffic to a model: they cost, are recorded, and answer nobody.

    Parameters
    ----------
    name
        A configured model, provider/model, or a trained model.
    to
        The app.
    share
        The part that is copied, as 5% or 0.05.
    gate
        A suite that is run first: its name in [deploy.suites], or its file. Without one none is.
    no_gate
        Why there is no evaluation first; said anyway in the history.
    force
        Why it is deployed whatever the suite says.
    json
        Print how it stands as JSON.
    """
    try:
        wanted = {
            **_named(name), "app": to, "share": _share(share), "shadow": True, "suite": gate, "force": force,
            "no_gate": no_gate or (None if gate else "a shadow answers nobody"),
        }  # fmt: skip
    except MalformedRequest as error:
        return fail(str(error), USAGE)
    return _begin(place, wanted, as_json=json)


@app.command
def promote(
    to: str = "default", /, *, why: str = "", force: str | None = None, json: bool = False, place: Here
) -> int:
    """Have an app answer with its canary, for good: until it is rolled back.

    Exit 2 while it is not certain that it does no harm, 1 when it does harm.

    Parameters
    ----------
    to
        The app.
    why
        The reason, for whoever looks later.
    force
        Why it is promoted although it is not certain yet that it does no harm.
    json
        Print how it stands as JSON.
    """
    from greenroom.assembly.deploying import DeployDesk  # noqa: PLC0415  # a large import; others need none of it

    desk = DeployDesk(place.open())
    try:
        found = desk.promote(to, why, force, _WHO, "")
    except Conflict as error:
        return fail(_in_options(str(error)), _code(desk.show(to)) or INCONCLUSIVE)
    return _print(found, as_json=json)


@app.command
def rollback(
    to: str = "default", /, *, why: str = "", deployment: int | None = None, json: bool = False, place: Here
) -> int:
    """Go back to exactly the state before: end an app's canary or shadow, else take back its last promotion.

    Parameters
    ----------
    to
        The app.
    why
        The reason, for whoever looks later.
    deployment
        The number of the deployment that is meant; nothing is done where another stands last by now.
    json
        Print how it stands as JSON.
    """
    from greenroom.assembly.deploying import DeployDesk  # noqa: PLC0415  # as above

    found = DeployDesk(place.open()).roll_back(to, why, _WHO, "", deployment)
    return _print(found, as_json=json)


@app.command
def status(to: str | None = None, /, *, json: bool = False, place: Here) -> int:
    """Show what is deployed: exit 0 when no harm is seen, 2 while a canary is undecided, 1 for harm.

    Look as often as you like: the intervals hold at every moment.

    Parameters
    ----------
    to
        The app; without it all that have deployments.
    json
        Print it as JSON.
    """
    from greenroom.assembly.deploying import DeployDesk  # noqa: PLC0415  # as above

    desk = DeployDesk(place.open())
    rows = desk.deployments() if to is None else [desk.show(to)]
    if json:
        print_json(rows if to is None else rows[0])
    else:
        for one in rows:
            tell(one)
        if not rows:
            print("Nothing was ever deployed here: every app answers as the configuration says.")
    return max((_code(one) for one in rows), default=FINE, key=(FINE, INCONCLUSIVE, FINDINGS).index)


@app.command
def history(to: str | None = None, /, *, limit: int = 100, json: bool = False, place: Here) -> int:
    """List every state that deployments came into, newest first: who, when, and why.

    Parameters
    ----------
    to
        The app; without it all.
    limit
        How many at most.
    json
        Print a JSON array, with the evidence of each.
    """
    from greenroom.assembly.deploying import DeployDesk  # noqa: PLC0415  # as above

    rows = DeployDesk(place.open()).history(to, limit)
    if json:
        print_json(rows)
    else:
        print_table(
            ("at", "app", "id", "what", "state", "share", "who", "why"),
            [
                (one["at"][:19], one["app"], one["deployment"], one["name"], one["state"],
                 f"{100 * one['share']:g} %", one["who"], one["why"])
                for one in rows
            ],
        )  # fmt: skip
    return FINE


def _begin(place: Place, wanted: Record, *, as_json: bool) -> int:
    from greenroom.assembly.deploy_gate import GateRefused  # noqa: PLC0415  # as above
    from greenroom.assembly.deploying import DeployDesk  # noqa: PLC0415  # as above
    from greenroom.server.deployments import NewDeployment  # noqa: PLC0415  # as above

    async def run() -> Record:
        house = place.open()
        async with house.running(as_guest=True):
            body = msgspec.convert(
                {key: one for key, one in wanted.items() if one is not None}, NewDeployment
            )
            return await DeployDesk(house, may_read_files=True).begin(body, _WHO, "")

    try:
        found = asyncio.run(run())
    except msgspec.ValidationError as error:
        return fail(f"{str(error).replace(' - at `$.', ' (at `')}.", USAGE)
    except MalformedRequest as error:
        return fail(_in_options(str(error)), USAGE)
    except GateRefused as error:
        return fail(_in_options(str(error)), _CODES[error.result])
    except InfrastructureError as error:
        return fail(str(error), ENVIRONMENT)
    return _print(found, as_json=as_json)


def _in_options(text: str) -> str:
    """A sentence that names fields of the API, for whoever wrote options."""
    return (
        text.replace("'no_gate'", "--no-gate")
        .replace("'force'", "--force")
        .replace("Name a suite", "Name a suite with --gate")
    )


def _print(found: Record, *, as_json: bool) -> int:
    if as_json:
        print_json(found)
    else:
        tell(found)
    return FINE


def _code(found: Record) -> int:
    opened = found["open"]
    if opened is None or opened["state"] == "shadow":
        last = found["last"]
        was_bad = last is not None and last["state"] == "rolled_back" and last["who"] in ("rule", "server")
        return FINDINGS if opened is None and was_bad else FINE
    verdict = (opened["comparison"] or {}).get("verdict", "undecided")
    return {"harm": FINDINGS, "undecided": INCONCLUSIVE}.get(verdict, FINE)


def _named(name: str) -> Record:
    """What the name says; a policy's file is read. Raises: MalformedRequest."""
    if not name.endswith(".toml"):
        return {"name": name}
    path = Path(name)
    try:
        return {
            "name": path.stem,
            "kind": "policy",
            "policy": tomllib.loads(path.read_text(encoding="utf-8")),
        }
    except OSError as error:
        raise MalformedRequest(f"'{name}' can't be read: {error.strerror or error}.") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MalformedRequest(f"{name}: {error}.") from None


def _share(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise MalformedRequest(f"--share must lie between 0 and 100 %, as 5% or 0.05; it is '{text}'.")
    return value


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    found = _DURATION.match(text.strip())
    if found is None:
        raise MalformedRequest(f"--promote-after must be like 90s, 30m, 2h or 1d; it is '{text}'.")
    return float(found[1]) * _UNITS[found[2]]


def _margins(said: list[str] | None) -> Record | None:
    """What was said of margins. Raises: MalformedRequest."""
    if not said:
        return None
    margins: Record = {}
    for one in said:
        name, mark, value = one.partition("=")
        try:
            margins[name.strip()] = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
        except ValueError:
            mark = ""
        if not mark:
            raise MalformedRequest(f"--margin must be like failed=0.02; it is '{one}'.")
    return margins
