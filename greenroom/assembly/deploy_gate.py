"""The gate before a deployment: a suite asked of the app as it is and with the candidate in it."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec import structs
from msgspec.json import encode

from greenroom.assembly.evaluating import run_suite, scorers_of
from greenroom.assembly.house import House
from greenroom.assembly.judges import kinds_with_judges
from greenroom.assembly.subjects import PipelineSubject
from greenroom.config import AppConfig
from greenroom.errors import Conflict, MalformedRequest
from greenroom.gateway.pipeline import App
from greenroom.offline.deploy.plan import Candidate
from greenroom.offline.evals.gates import Result, overall
from greenroom.offline.evals.kept import kinds_of
from greenroom.offline.evals.reports.report import Report
from greenroom.offline.evals.suite import Suite, read_suite

Record = dict[str, Any]  # Any: JSON
CURRENT, CANDIDATE = "current", "candidate"


class GateRefused(Conflict):
    """The evaluation speaks against it, or can't say."""

    code = "gate_refused"

    def __init__(self, gate: Record) -> None:
        reasons = "; ".join(gate["reasons"]) or "no rule says why"
        word = {"regression": "The candidate is worse than the current", "inconclusive": "It is not certain"}
        said = word.get(gate["result"], "The evaluation could not be made")
        super().__init__(
            f"{said}, by the suite '{gate['suite']}': {reasons}. Nothing was deployed; a reason given with "
            "'force' deploys it all the same.",
            "suite",
        )
        self.gate = gate
        self.result: Result = gate["result"]


class CandidateSubject(PipelineSubject):
    """An app with a candidate in it, which no name leads to yet."""

    def __init__(
        self, house: House, app: str, candidate: Candidate, built: App, settings: Mapping[str, Any]
    ) -> None:  # Any: fields of the chat dialect
        prompt = candidate.prompt or house.config.apps.get(app, AppConfig()).prompt
        super().__init__(house, app=app, prompt=prompt, settings=settings, name=CANDIDATE)
        self._app = built._replace(trial=None, shadow=None)
        self.fingerprint = sha256(encode([self.fingerprint, candidate])).hexdigest()


def suite_of(house: House, named: str, *, may_be_path: bool) -> tuple[Suite, Path]:
    """A suite by its name in `[deploy.suites]`, and its folder. Raises: MalformedRequest."""
    known = house.config.deploy.suites
    if named in known:
        base = house.config_path.parent if house.config_path is not None else Path()
        path = base / known[named]
    elif may_be_path:
        path = Path(named)
    else:
        names = ", ".join(sorted(known)) or "none"
        raise MalformedRequest(f"[deploy.suites] has no '{named[:100]}'. There are: {names}.", "suite")
    return read_suite(path), path.parent


async def judged(
    house: House, suite: Suite, folder: Path, app: str, candidate: Candidate, built: App
) -> Record:
    """Run a suite against both, and say what came of it. The house must be running.

    A metric without a rule of its own must show no regression. Raises: InfrastructureError;
    MalformedRequest; NotFound; ExtraMissing; StoreError.
    """
    kinds = kinds_with_judges(house)
    ruled = {rule.metric for rule in suite.rules() if rule.kind == "regression"}
    metrics = [one.name for one in kinds_of(scorers_of(house, suite.scorers, folder, kinds))]
    rules = (*suite.fail_on, *(f"{name}: regression" for name in metrics if name not in ruled))
    settings = next(iter(suite.subjects.values())).settings
    prompt = house.config.apps.get(app, AppConfig()).prompt
    current = PipelineSubject(house, app=app, prompt=prompt, settings=settings, name=CURRENT)
    told = await run_suite(
        house, structs.replace(suite, fail_on=rules, baseline=None), folder, kinds=kinds,
        subjects=[current, CandidateSubject(house, app, candidate, built, settings)],
    )  # fmt: skip
    return _record(suite, told)


def _record(suite: Suite, told: Report) -> Record:
    verdicts = [one for one in told.verdicts if one.subject == CANDIDATE]
    result = overall([one.result for one in verdicts])
    if told.result == "infrastructure" or len(told.runs) < 2:
        result = "infrastructure"
    reasons = [f"{one.rule}: {one.reason}" for one in verdicts if one.result != "pass"]
    return {
        "suite": suite.name,
        "result": result,
        "reasons": [*reasons, *told.reasons],
        "runs": {one.subject: one.id for one in told.runs},
        "verdicts": [{"rule": one.rule, "result": one.result, "reason": one.reason} for one in verdicts],
    }
