"""What the pages of prompts ask: the registry and its lint, what versions came to, inputs of the past."""

import time
from typing import Any

from msgspec import to_builtins

from greenroom.assembly.promptdesk import PromptDesk
from greenroom.assembly.prompts import model_of
from greenroom.prompts.compile import compile_prompt
from greenroom.prompts.version import Compiled, PromptVersion, parse_reference
from greenroom.server.pages.access import seen
from greenroom.store.by_prompt import OfVersion, read, tag_of
from greenroom.store.listing import TraceFilter
from greenroom.store.material import dollars, texts_of

Record = dict[str, Any]  # Any: JSON
_COMPARED = 12
"""Versions whose figures are looked up at once: the newest, and those with labels."""
_PAST = 20
_RECENT_NS = 86_400_000_000_000
"""How far back requests of an app are looked for that filled no prompt."""
_PREVIEW = 120
_ASKED = 20_000
"""Characters of a past question that are put into a form."""


class PromptPagesDesk(PromptDesk):
    """Answers the pages, of the projects that may be seen. Raises: GreenroomError."""

    def figures(self, name: str) -> list[Record]:
        """What the newest exchanges of the newest and the labelled versions came to."""
        registry = self.registry
        known = sorted(registry.versions[name], reverse=True)
        labelled = set(registry.labels.get(name, {}).values())
        wanted = known[:_COMPARED] + [one for one in known[_COMPARED:] if one in labelled]
        return [
            _figures(one) for one in self._house.traces.look(lambda db, _: read(db, name, wanted, seen()))
        ]

    def uses(self, name: str) -> Record:
        """The apps that have a prompt, and the experiments that compare its versions."""
        config = self._house.config
        return {
            "apps": [
                {"app": app, "prompt": table.prompt}
                for app, table in config.apps.items()
                if table.prompt is not None and parse_reference(table.prompt).name == name
            ],
            "experiments": [
                experiment
                for experiment, plan in config.experiments.items()
                if any(arm.prompt and parse_reference(arm.prompt).name == name for arm in plan.arms.values())
            ],
        }

    def past(self, name: str) -> list[Record]:
        """The newest exchanges that filled a prompt, or else those of the apps that have it."""
        numbers = sorted(self.registry.versions.get(name, {}), reverse=True)[:_COMPARED]
        filters = [TraceFilter(project=seen(), tag=tag_of(name, one), limit=_PAST) for one in numbers]
        since = time.time_ns() - _RECENT_NS
        fallback = [
            TraceFilter(project=seen(), app=one["app"], since_ns=since, limit=_PAST)
            for one in self.uses(name)["apps"]
        ]
        found = self._listed(filters) or self._listed(fallback)
        newest = sorted(found, key=found.__getitem__, reverse=True)[:_PAST]
        inputs = [self.input_of(id) for id in newest]
        return [{**one, "words": _words(one)} for one in inputs if one["values"] or one["question"]]

    def _listed(self, filters: list[TraceFilter]) -> dict[str, str]:
        """Ids of exchanges that fit, with when they came; a few at least where there are as many."""
        found: dict[str, str] = {}
        for wanted in filters:
            found |= {row["id"]: row["created_at"] for row in self._house.traces.list(wanted).rows}
            if len(found) >= _PAST:
                break
        return found

    def input_of(self, id: str) -> Record:
        """What an exchange asked: the values that filled its prompt, and its newest question."""
        record = self._house.traces.get(seen(), id) or {"request": {"messages": []}}
        request = record["request"]
        texts = [one.text for one in texts_of(request["messages"]) if one.role == "user"]
        variables = request.get("prompt", {}).get("variables")
        return {
            "id": id,
            "values": variables if isinstance(variables, dict) else {},
            "question": texts[-1][:_ASKED] if texts else "",
        }

    def lint_draft(self, version: PromptVersion) -> list[Record]:
        """The faults of a version that is not stored."""
        found: list[Record] = to_builtins(self.rules.version(version, self.registry))
        return found

    def preview(self, version: PromptVersion, values: Record, question: str) -> Compiled:
        """A version that need not be stored, filled. Raises: PromptInvalid, PromptNotFound."""
        model = model_of(self._house.config, version)
        return compile_prompt(
            version, values, find=self.registry.find, model=model, question=question or None
        )


def _figures(one: OfVersion) -> Record:
    return {
        "number": one.number,
        "exchanges": one.exchanges,
        "is_capped": one.is_capped,
        "answered": one.answered,
        "refused": one.refused,
        "failed": one.failed,
        "cost_usd": dollars(one.cost_nano) if one.priced else None,
        "cost_usd_each": dollars(one.cost_nano // one.priced) if one.priced else None,
        "median_ms": None if one.median_us is None else one.median_us / 1000,
        "tokens_each": one.tokens // one.exchanges if one.exchanges else None,
        "scores": [{"name": mean.name, "count": mean.of, "mean": mean.value} for mean in one.scores],
    }


def _words(one: Record) -> str:
    said = one["question"] or ", ".join(f"{name}: {value}" for name, value in one["values"].items())
    return said if len(said) <= _PREVIEW else f"{said[:_PREVIEW]}…"
