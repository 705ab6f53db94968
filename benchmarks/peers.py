"""`make bench-peers`: LiteLLM's proxy and Greenroom with everything on, in the same interleaved rounds.

LiteLLM is installed once into a virtual environment of its own (build/peers). Both stand on one core before the same
mock. Exit codes as in `benchmarks.bench`.
"""

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from rich.console import Console

from benchmarks.bench import CONNECTIONS, Bench, read_plan
from benchmarks.figures import Result, Row, ratio, save, show
from benchmarks.processes import EnvironmentMissing, tree_pss_bytes
from benchmarks.targets import Target, find_nginx, start_greenroom, start_litellm, start_nginx

FOLDER = Path(__file__).parent.parent / "build" / "peers"
REQUIREMENT = "litellm[proxy]"


class Peer:
    """An installed LiteLLM."""

    def __init__(self, folder: Path, console: Console) -> None:
        """Install it unless it is there. Raises: EnvironmentMissing when the package index has none for us."""
        self.binary = folder / "bin" / "litellm"
        if not self.binary.exists():
            console.print(f"Installing {REQUIREMENT} into {folder} (once)…")
            venv.create(folder, with_pip=True)
            done = subprocess.run(
                [str(folder / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", REQUIREMENT],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                raise EnvironmentMissing(f"{REQUIREMENT} could not be installed: {done.stderr[-600:]}")
        asked = "from importlib.metadata import version; print(version('litellm'))"
        answered = subprocess.run(
            [str(folder / "bin" / "python"), "-c", asked], capture_output=True, text=True, check=True
        )
        self.version = answered.stdout.strip()


def run(bench: Bench, peer: Peer, *, reference_only: bool) -> Result:
    """Interleaved rounds of nginx, LiteLLM and Greenroom."""
    result = bench.result
    result.title = f"Greenroom beside LiteLLM {peer.version}"
    mock_port = bench.start_mock()
    core = bench.cores.target
    targets: list[Target] = []
    if find_nginx() is not None:
        targets.append(bench.keep(start_nginx(bench.folder / "nginx", mock_port, core, buffering=True)))
    bench.say("Starting LiteLLM; this takes a while.")
    litellm = bench.keep(start_litellm(bench.folder / "litellm", peer.binary, mock_port, core))
    targets.append(litellm)
    bench.say(f"{litellm.name} answered after {litellm.first_answer_s:.1f} s")
    at_rest = tree_pss_bytes(litellm.running.pid)
    if not reference_only:
        targets.append(bench.keep(start_greenroom(bench.folder / "all-on", mock_port, core, app="bench")))
    for target in targets:
        bench.tools.load(target.port, model=target.model, key=target.key, connections=4, requests=40)

    bench.say(f"{CONNECTIONS} connections:")
    result.requests = bench.requests(targets, CONNECTIONS, bench.plan.rounds, bench.plan.seconds)
    many = {one.target: one for one in result.requests}
    lite = many[litellm.name]
    greenroom = next((many[target.name] for target in targets if target.model == "bench"), None)
    result.rows += [
        Row(
            name="LiteLLM ÷ Greenroom, all on",
            value=ratio(lite, greenroom),
            goal=100.0,
            at_least=True,
            note="then 150",
        ),
        Row(name="LiteLLM, CPU per request", value=lite.cpu_us, unit="µs"),
        Row(name="LiteLLM ÷ nginx", value=ratio(lite, many.get("nginx"))),
        Row(name="LiteLLM, start to first answer", value=litellm.first_answer_s, unit="s"),
        Row(name="LiteLLM, memory at rest (PSS)", value=at_rest / 2**20, unit="MiB"),
    ]
    result.remarks.append(
        "LiteLLM: one worker, no database, no callbacks, LITELLM_MODE=PRODUCTION, local cost map."
    )
    return result


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison, print the tables, write bench-results/peers.json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", add_help=False)
    parser.add_argument("--install-only", action="store_true", help="make build/peers and stop")
    own, rest = parser.parse_known_args(arguments)
    plan = read_plan(rest)
    console = Console(width=None if sys.stdout.isatty() else 150)
    if sys.platform != "linux":
        console.print("The bench reads CPU and memory from Linux's /proc; it does not run here.")
        return 3
    with tempfile.TemporaryDirectory(prefix="greenroom-peers-") as folder:
        bench = None
        try:
            peer = Peer(FOLDER, console)
            console.print(f"LiteLLM {peer.version}")
            if own.install_only:
                return 0
            bench = Bench(plan, Path(folder), console)
            result = run(bench, peer, reference_only=plan.reference_only)
        except EnvironmentMissing as missing:
            console.print(str(missing), markup=False)
            return 3
        finally:
            if bench is not None:
                bench.close()
    show(result, console)
    console.print(f"Written to {save(result, 'peers')}")
    if any(one.faults for one in result.requests):
        console.print("A target answered with faults (errors, statuses other than 200).", style="red")
        return 2
    return 1 if plan.gate and result.missed else 0


if __name__ == "__main__":
    sys.exit(main())
