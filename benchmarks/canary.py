"""Canaries held to what is promised of them: nothing fails, harm is found within a minute, the sound are let be.

`python -m benchmarks.canary` starts a real server before scripted models, and asks 100 questions a second, half of
them for streams. `--simulate N` gives the same rules N seeded canaries of each kind without a server.
"""

import argparse
import asyncio
import json
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.scripted import BROKEN, Load, Scripted
from greenroom.offline.deploy.comparison import Live
from greenroom.offline.deploy.plan import Rules
from tests.offline.deploy.traffic import SOUND, traffic
from tests.server_process import ADMIN, ServerProcess

Json = dict[str, Any]  # Any: JSON
Api = Callable[..., Awaitable[Json]]
RATE = 100.0
PROMISED_S = 60.0
_KINDS: tuple[tuple[str, dict[str, float]], ...] = (
    ("no names", {}),
    ("20 users, a tenth of whom always fail", {"users": 20, "odd_users": 0.1}),
    ("100 users, a twentieth of whom always fail", {"users": 100, "odd_users": 0.05}),
    ("1,000 users, a twentieth of whom always fail", {"users": 1_000, "odd_users": 0.05}),
    ("100 users, a share of a fifth", {"users": 100, "odd_users": 0.05, "share": 0.2}),
    ("300 users, a fifth of whom always fail, half and half", {"users": 300, "odd_users": 0.2, "share": 0.5}),
)
_APPS = ("first", "second")


def config(base_url: str) -> str:
    """Two lean apps before scripted models."""
    models = "".join(
        f'[models.{one}]\ntargets = ["box/{one}"]\nretries = 0\n'
        for one in ("sound", "healthy", "late", *BROKEN)
    )
    apps = "".join(
        f'[apps.{one}]\nmodel = "sound"\npreprocess = ["clean"]\nground = []\ncheck = ["pii", "secrets"]\n'
        'postprocess = ["decode", "unmask"]\n'
        for one in _APPS
    )
    return (
        f'[providers.box]\nkind = "openai_compatible"\nbase_url = "{base_url}"\n{models}{apps}'
        '[prices."box/*"]\ninput_per_mtok_usd = 1\noutput_per_mtok_usd = 2\n'
    )


def api_of(server: ServerProcess) -> Api:
    """Calls of the API by an admin."""

    def call(method: str, path: str, body: Json | None = None) -> Json:
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {ADMIN}", "content-type": "application/json"}
        request = urllib.request.Request(f"{server.url}/api/deployments{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                found: Json = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: {error.read()!r}") from None

    async def called(*asked: Any) -> Json:  # Any: as above
        return await asyncio.to_thread(call, *asked)

    return called


async def swaps(server: ServerProcess, api: Api) -> None:
    """A canary, another share, promotion and rollback, five times over, under load."""
    async with Load(server.port, server.local_key, "first", RATE) as load:
        for _ in range(5):
            await asyncio.sleep(1)
            await api("POST", "", {"name": "healthy", "app": "first", "no_gate": "measured"})
            await asyncio.sleep(2)
            await api("POST", "", {"name": "healthy", "app": "first", "share": 0.5})
            await asyncio.sleep(2)
            await api("POST", "/first/promote", {"force": "measured"})
            await asyncio.sleep(2)
            await api("POST", "/first/rollback", {"why": "measured"})
    print(f"swaps: {len(load.failed)} of {load.sent} failed, in 5 canaries, shares, promotions and rollbacks")
    tell(load)


def tell(load: Load) -> None:
    """Say why requests failed."""
    for why, count in Counter(one.why[:100] for one in load.failed).most_common(5):
        print(f"  {count} times: {why}", flush=True)


async def planted(server: ServerProcess, api: Api, models: Scripted) -> None:
    """Seconds from a canary's start (or from when a sound one breaks) until it is rolled back."""
    async with Load(server.port, server.local_key, "first", RATE) as load:
        for fault in (*BROKEN, "late"):
            await asyncio.sleep(1)
            await api("POST", "", {"name": fault, "app": "first", "no_gate": "measured"})
            if fault == "late":
                await asyncio.sleep(20)
                models.turned.add("late:errors")
            began, asked = time.monotonic(), models.asked[fault]
            found = await api("GET", "/first")
            while found["open"] and time.monotonic() - began < 2 * PROMISED_S:
                await asyncio.sleep(0.2)
                found = await api("GET", "/first")
            took = time.monotonic() - began
            if found["open"]:
                await api("POST", "/first/rollback", {"why": "not found"})
            why = found["last"]["why"] if found["open"] is None else "not found"
            print(
                f"planted {fault}: rolled back after {took:.1f} s and {models.asked[fault] - asked} answers: {why}",
                flush=True,
            )
    print(f"planted: {load.sent} requests, 5 % of them to the canary")


async def healthy(server: ServerProcess, api: Api, count: int, seconds: float) -> None:
    """Canaries as good as the current, half of them with users who come again."""

    async def one(app: str, users: int, runs: int) -> int:
        lost = 0
        async with Load(server.port, server.local_key, app, RATE, users=users) as load:
            for _ in range(runs):
                await api("POST", "", {"name": "healthy", "app": app, "no_gate": "measured", "share": 0.1})
                await asyncio.sleep(seconds)
                found = await api("GET", f"/{app}")
                if found["open"] is None:
                    lost += 1
                    print(f"  rolled back: {found['last']['why']}", flush=True)
                else:
                    await api("POST", f"/{app}/rollback", {"why": "measured"})
        print(f"  {app}: {load.sent} requests, {len(load.failed)} failed", flush=True)
        tell(load)
        return lost

    lost = await one("first", 0, count // 2) + await one("second", 400, count - count // 2)
    print(f"healthy: {lost} of {count} rolled back, {seconds:g} s each")


def simulated(count: int, seconds: int) -> None:
    """Sound canaries by the rules alone, looked at each second."""
    for name, how in _KINDS:
        lost = 0
        for seed in range(count):
            live = Live(Rules(), how.get("share", 0.05))
            for rows in traffic(1_000 + seed, seconds, SOUND, **how):  # type: ignore[arg-type]  # numbers
                live.take(rows)
                if live.harms():
                    lost += 1
                    break
        print(f"simulated, {name}: {lost} of {count} rolled back, {seconds} s each", flush=True)


async def measured(options: argparse.Namespace) -> None:
    """All that needs a server."""
    with tempfile.TemporaryDirectory() as folder:
        async with Scripted() as models:
            with ServerProcess(Path(folder) / "data", config(models.base_url)) as server:
                api = api_of(server)
                if options.only in (None, "swaps"):
                    await swaps(server, api)
                if options.only in (None, "planted"):
                    await planted(server, api, models)
                if options.only in (None, "healthy"):
                    await healthy(server, api, options.healthy, options.seconds)


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--healthy", type=int, default=20, help="sound canaries, an even number")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each of them stands")
    parser.add_argument("--only", choices=("swaps", "planted", "healthy"), help="one of the three parts")
    parser.add_argument("--simulate", type=int, default=0, help="so many of each kind, without a server")
    options = parser.parse_args()
    if options.simulate:
        simulated(options.simulate, int(options.seconds))
    else:
        asyncio.run(measured(options))


if __name__ == "__main__":
    main()
