"""Model judges of a house: who asks for them, and the scorers that they are in suites."""

from greenroom.assembly.house import House
from greenroom.offline.evals.asking import Ask
from greenroom.offline.evals.judge import judge_kind, pair_kind
from greenroom.offline.evals.kept import kept_run
from greenroom.offline.evals.keyed import Asking, KeyedAsker
from greenroom.offline.evals.scorers.registry import SCORERS
from greenroom.offline.evals.scorers.settings import Kind


def judge_ask(house: House) -> Ask:
    """Ask as the house's own key, through the pipeline; the records have the tag `eval=judge`."""
    return Asking(KeyedAsker(house.gateway, house.own_key, {"eval": "judge"}))


def kinds_with_judges(house: House) -> dict[str, Kind]:
    """All scorers of suites, `judge` and `judge_pair` among them. The house must be running."""
    ask = judge_ask(house)

    def answers(named: str) -> dict[str, str]:
        items = kept_run(house.evals, named).run.items
        return {one.sample.id: one.output.text for one in items if one.output.outcome != "failed"}

    return {**SCORERS, "judge": judge_kind(ask), "judge_pair": pair_kind(ask, answers)}
