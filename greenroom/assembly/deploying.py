"""What is asked of deployments over HTTP, on the pages and on the command line, answered from the house."""

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from greenroom.assembly.canaries import decide, rules_of
from greenroom.errors import ConfigError, Conflict, MalformedRequest, NotFound
from greenroom.offline.deploy.plan import Candidate, Margins, Policy, Rules, kind_of
from greenroom.server.deployments import NewDeployment
from greenroom.store.deployments import CANARY, OPEN, PROMOTED, ROLLED_BACK, SHADOW, Deployment, Event, said
from greenroom.store.material import stamp

if TYPE_CHECKING:
    from greenroom.assembly.house import House

Record = dict[str, Any]  # Any: JSON
T = TypeVar("T")
_RULES = ("promote_after_s", "units", "margins", "slower", "dearer", "shorter", "scores", "roll_back")


class DeployDesk:
    """Answers `DeployAdministration` of the API, the pages and the command line."""

    def __init__(self, house: "House", *, may_read_files: bool = False) -> None:
        """`may_read_files`: whether a suite may be named by its path, as on the command line."""
        self._house = house
        self._may_read_files = may_read_files

    def deployments(self) -> list[Record]:
        """Every app with something deployed or once deployed, and how it stands."""
        if not self._house.has_deployed:
            return []
        return [self.show(app) for app in self._house.deploys.apps()]

    def show(self, app: str) -> Record:
        """What is promoted on an app, what is open, and what came last. Raises: NotFound."""
        self._check_app(app)
        standing = self._standing(app)
        opened = next((one for one in standing if one.state in OPEN), None)
        last = self._house.deploys.history(app, limit=1) if self._house.has_deployed else []
        return {
            "app": app,
            "promoted": [_shown(one) for one in standing if one.state == PROMOTED],
            "open": None if opened is None else self._opened(opened),
            "last": _event(last[0]) if last else None,
        }

    def history(self, app: str | None, limit: int = 100) -> list[Record]:
        """Every state deployments came into, newest first. Raises: NotFound."""
        if app is not None:
            self._check_app(app)
        if not self._house.has_deployed:
            return []
        return [_event(one) for one in self._house.deploys.history(app, limit=limit)]

    async def begin(self, wanted: NewDeployment, by: str, address: str) -> Record:
        """Run the gate, and begin a canary or shadow; or give the one that is open another share.

        The house must be running. Raises: MalformedRequest, NotFound, Conflict; GateRefused.
        """
        house = self._house
        await self.follow()  # another process may have decided something since
        self._check_app(wanted.app)
        share = wanted.share or house.config.deploy.share
        candidate = self._candidate(wanted)
        opened = next((one for one in self._standing(wanted.app) if one.state in OPEN), None)
        if opened is not None:
            return self._shared(opened, wanted, candidate, share, by, address)
        table = house.config.apps.get(wanted.app)
        named = candidate.model or candidate.prompt
        if table is not None and named is not None and named in (table.model, table.prompt):
            raise Conflict(f"The app '{wanted.app}' answers with '{candidate.name}' already.")
        experiment = house.deployments.in_experiment(wanted.app)
        if experiment is not None:
            raise Conflict(
                f"The app '{wanted.app}' takes part in the experiment '{experiment}', which draws who "
                f"answers. Stop it and take [experiments.{experiment}] out of the configuration first."
            )
        if wanted.shadow and candidate.model is None:
            raise MalformedRequest(
                "A shadow gets what the app's model gets: only a model can be one.", "shadow"
            )
        try:
            built = house.deployments.built(wanted.app, candidate, f"{wanted.app}\0gate")
        except ConfigError as error:
            raise MalformedRequest(str(error), "name") from None
        rules = self._rules(wanted)  # before the gate, which costs
        gate = await self._gate(wanted, candidate, built)
        state = SHADOW if wanted.shadow else CANARY
        one = house.deploys.begin(
            wanted.app, candidate.kind, msgspec.to_builtins(candidate), state=state, share=share,
            rules=msgspec.to_builtins(rules), gate=gate, who=by,
            why=wanted.force or wanted.no_gate or f"the suite '{gate['suite']}' showed no regression",
        )  # fmt: skip
        house.keys.audit(
            by, f"deployment.{state}", None,
            {"deployment": one.id, "app": one.app, "name": one.name, "share": share, "gate": gate["result"],
             "force": wanted.force, "no_gate": wanted.no_gate},
            address=address,
        )  # fmt: skip
        return self.show(wanted.app)

    def promote(
        self, app: str, why: str, force: str | None, by: str, address: str, deployment: int | None = None
    ) -> Record:
        """Have an app answer with what is open before it, for good. Raises: NotFound, Conflict.

        `deployment`: the one that is meant; Conflict where another is open by now.
        """
        one = self._open(app)
        _check_meant(one, deployment)
        evidence = self._house.deploys.evidence(one.id)
        if force is None:
            self._check_harmless(one, evidence)
        decide(
            self._house, one, PROMOTED, by, force or why or "no harm by any metric", share=1.0,
            evidence=evidence, address=address,
        )  # fmt: skip
        return self.show(app)

    def roll_back(self, app: str, why: str, by: str, address: str, deployment: int | None = None) -> Record:
        """End what is open before an app, else take back its last promotion. Raises: NotFound, Conflict.

        `deployment`: the one that is meant; Conflict where another stands last by now, so that what is asked
        twice takes back no second one.
        """
        self._check_app(app)
        standing = self._standing(app)
        if not standing:
            raise Conflict(f"Nothing is deployed onto '{app}': it answers as the configuration says.")
        one = standing[-1]  # what is open comes last
        _check_meant(one, deployment)
        evidence = self._house.deploys.evidence(one.id)
        decide(self._house, one, ROLLED_BACK, by, why or "by hand", evidence=evidence, address=address)
        return self.show(app)

    def choices(self) -> Record:
        """What a form offers: `apps`, `models`, `prompts`, `suites`, and the usual `share`."""
        house = self._house
        prompts = [f"{name}@{max(known)}" for name, known in house.prompt_shelf.registry.versions.items()]
        return {
            "apps": list(dict.fromkeys(("default", *house.config.apps))),
            "models": sorted({*house.models.configured(), *house.shelf.names(None)}),
            "prompts": sorted(prompts),
            "suites": sorted(house.config.deploy.suites),
            "share": house.config.deploy.share,
        }

    async def follow(self) -> None:
        """Have this process do what was decided."""
        await self._house.redeploy()

    def _candidate(self, wanted: NewDeployment) -> Candidate:
        kind = wanted.kind or ("policy" if wanted.policy is not None else kind_of(wanted.name))
        if kind == "policy":
            if wanted.policy is None:
                raise MalformedRequest("A policy needs what it changes, in 'policy'.", "policy")
            return Candidate(name=wanted.name, policy=_read(wanted.policy, Policy, "policy"))
        if kind == "prompt":
            found = self._house.prompt_shelf.registry.find(wanted.name)
            reference = f"{found.name}@{found.number}"  # a label may come to mean another text
            return Candidate(name=reference, prompt=reference)
        return Candidate(name=wanted.name, model=wanted.name)

    def _rules(self, wanted: NewDeployment) -> Rules:
        """Those of `[deploy]`, and what is said for this one."""
        usual = self._house.config.deploy
        said_for_it = {name: getattr(wanted, name) for name in _RULES}
        if wanted.margins is not None:
            margins = {**msgspec.to_builtins(usual.margins), **wanted.margins}
            said_for_it["margins"] = _read(margins, Margins, "margins")
        return usual.rules(**said_for_it)

    async def _gate(self, wanted: NewDeployment, candidate: Candidate, built: Any) -> Record:  # Any: an App
        if wanted.suite is None:
            if wanted.no_gate is None:
                known = ", ".join(sorted(self._house.config.deploy.suites)) or "none"
                raise MalformedRequest(
                    "Nothing was evaluated. Name a suite to hold it against the current "
                    f"([deploy.suites] has: {known}), or give a reason in 'no_gate'.",
                    "suite",
                )
            return {"suite": None, "result": "none", "why": wanted.no_gate, "reasons": []}
        from greenroom.assembly.deploy_gate import GateRefused, judged, suite_of  # noqa: PLC0415  # evaluations are seldom

        suite, folder = suite_of(self._house, wanted.suite, may_be_path=self._may_read_files)
        gate = await judged(self._house, suite, folder, wanted.app, candidate, built)
        if gate["result"] == "pass":
            return gate
        if wanted.force is None:
            raise GateRefused(gate)
        return {**gate, "forced": wanted.force}

    def _shared(
        self,
        one: Deployment,
        wanted: NewDeployment,
        candidate: Candidate,
        share: float,
        by: str,
        address: str,
    ) -> Record:
        state = SHADOW if wanted.shadow else CANARY
        as_kept = msgspec.json.decode(msgspec.json.encode(candidate))  # lists where it has tuples
        if one.state != state or as_kept != one.candidate:
            raise Conflict(
                f"'{one.name}' is {said(one.state)} of the app '{one.app}'. Promote it or roll it back first."
            )
        if share == one.share:
            raise Conflict(f"'{one.name}' has {100 * share:g} % of the app '{one.app}' already.")
        decide(
            self._house, one, one.state, by, f"share {one.share:g} → {share:g}", share=share, address=address
        )
        return self.show(one.app)

    def _check_harmless(self, one: Deployment, evidence: Record) -> None:
        if one.state == SHADOW:
            raise Conflict(
                "A shadow's answers reached nobody, so nothing is known of their effect. Make it a canary, "
                "or give a reason with 'force'."
            )
        least = rules_of(one).units
        units = next((side["units"] for side in evidence.get("sides", ()) if side["side"] == CANARY), 0)
        if evidence.get("verdict") != "no harm" or units < least:
            reasons = "; ".join(evidence.get("reasons", ())) or "nothing was answered yet"
            if evidence.get("verdict") == "harm":
                raise Conflict(
                    f"'{one.name}' does harm: {reasons}. Roll it back, or give a reason with 'force'."
                )
            few = f"{units} of {least} units answered" if units < least else reasons
            raise Conflict(
                f"It is not certain that '{one.name}' does no harm: {few}. Wait, or give a reason with "
                "'force'."
            )

    def _open(self, app: str) -> Deployment:
        self._check_app(app)
        found = next((one for one in self._standing(app) if one.state in OPEN), None)
        if found is None:
            raise NotFound(f"The app '{app}' has no canary or shadow.")
        return found

    def _standing(self, app: str) -> list[Deployment]:
        if not self._house.has_deployed:
            return []
        return [one for one in self._house.deploys.standing() if one.app == app]

    def _check_app(self, app: str) -> None:
        known = ("default", *self._house.config.apps)
        has_history = self._house.has_deployed and self._house.deploys.history(app, limit=1)
        if app not in known and not has_history:
            raise NotFound(f"There is no app '{app[:100]}'. There are: {', '.join(dict.fromkeys(known))}.")

    def _opened(self, one: Deployment) -> Record:
        evidence = self._house.deploys.evidence(one.id)
        return {**_shown(one), "rules": one.rules, "comparison": evidence or None}


def _check_meant(one: Deployment, deployment: int | None) -> None:
    if deployment is not None and one.id != deployment:
        raise Conflict(
            f"Deployment {deployment} does not stand last on '{one.app}': {one.kind} '{one.name}' does, as "
            f"deployment {one.id} ({said(one.state)}). Look again before you change it."
        )


def _read(value: Record, kind: type[T], field: str) -> T:
    """A field of a body as its type. Raises: MalformedRequest."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        raise MalformedRequest(f"'{field}{place.rstrip('`')}': {message}.", field) from None


def _shown(one: Deployment) -> Record:
    return {
        "id": one.id,
        "kind": one.kind,
        "name": one.name,
        "state": one.state,
        "share": one.share,
        "since": stamp(one.changed_ns),
        "who": one.who,
        "why": one.why,
        "gate": one.gate,
        **({"policy": one.candidate.get("policy")} if one.kind == "policy" else {}),
    }


def _event(one: Event) -> Record:
    return {
        "deployment": one.deployment,
        "app": one.app,
        "kind": one.kind,
        "name": one.name,
        "state": one.state,
        "share": one.share,
        "at": stamp(one.at_ns),
        "who": one.who,
        "why": one.why,
        "evidence": one.evidence,
    }
