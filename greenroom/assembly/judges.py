"""Model judges of a house: who asks for them."""

from greenroom.assembly.house import House
from greenroom.offline.evals.asking import Ask
from greenroom.offline.evals.keyed import Asking, KeyedAsker


def judge_ask(house: House, tag: str) -> Ask:
    """Ask as the house's own key, through the pipeline; `tag` stands in the records as `judge`."""
    key = house.access.find(house.local_key.encode())
    return Asking(KeyedAsker(house.gateway, lambda: key, {"judge": tag}))
