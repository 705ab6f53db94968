"""Model judges of a house: who asks for them, and the scorers that they are in suites."""

from greenroom.assembly.house import House
from greenroom.offline.evals.asking import Ask
from greenroom.offline.evals.judge import judge_kind
from greenroom.offline.evals.keyed import Asking, KeyedAsker
from greenroom.offline.evals.scorers.registry import SCORERS
from greenroom.offline.evals.scorers.settings import Kind


def judge_ask(house: House, tag: str) -> Ask:
    """Ask as the house's own key, through the pipeline; `tag` stands in the records as `judge`."""
    key = house.access.find(house.local_key.encode())
    return Asking(KeyedAsker(house.gateway, lambda: key, {"judge": tag}))


def kinds_with_judges(house: House) -> dict[str, Kind]:
    """All scorers of suites, `judge` among them. The house must be running."""
    return {**SCORERS, "judge": judge_kind(judge_ask(house, "suite"))}
