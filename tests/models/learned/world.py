"""A world with a known truth: sums and small talk, targets that are good at one or the other."""

from functools import cache
from random import Random

from greenroom.models.learned.examples import Answer, gather
from greenroom.models.learned.file import Trained
from greenroom.models.learned.teaching import teach

_THINGS = ("apples", "boxes", "coins", "tickets", "pencils", "chairs", "bottles", "stamps")
_FRIENDS = ("aunt", "neighbour", "teacher", "cousin", "gardener", "baker", "friend", "doctor")
_MOODS = ("kind", "funny", "short", "warm", "polite", "honest", "cheerful", "quiet")
_EVENTS = ("birthday", "wedding", "farewell", "party", "visit", "dinner", "journey", "exam")
CHANCES = {"sums/strong": {"sum": 0.95, "talk": 0.4}, "talks/cheap": {"sum": 0.25, "talk": 0.9}}
COSTS = {"sums/strong": 0.002, "talks/cheap": 0.0002}


def prompt(kind: str, chance: Random) -> str:
    """A prompt of that kind; hardly ever the same twice."""
    if kind == "sum":
        one, other, price = chance.randint(3, 999), chance.randint(3, 999), chance.randint(2, 60)
        thing = chance.choice(_THINGS)
        return f"{one} {thing} cost {price} each and {other} are sold. How many {thing} are left? Calculate."
    return (
        f"Write a {chance.choice(_MOODS)} and {chance.choice(_MOODS)} note for the {chance.choice(_EVENTS)} "
        f"of my {chance.choice(_FRIENDS)}, who is fond of {chance.choice(_THINGS)}."
    )


def answers(
    prompts: int,
    seed: int = 1,
    chances: dict[str, dict[str, float]] = CHANCES,
    costs: dict[str, float] = COSTS,
) -> list[Answer]:
    """Every target's answer to as many prompts, half of either kind."""
    chance = Random(seed)
    found = []
    for number in range(prompts):
        kind = ("sum", "talk")[number % 2]
        text = prompt(kind, chance)
        for name, good in chances.items():
            found.append(Answer(text, name, float(chance.random() < good[kind]), costs[name], 100))
    return found


def taught(found: list[Answer]) -> Trained:
    """A router from these answers, by words and form."""
    return teach(gather(found), None, lambda _: "en")


@cache
def usual() -> Trained:
    """One from 300 prompts, made once."""
    return taught(answers(300))
