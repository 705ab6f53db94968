"""Requests that show a move: what is typical of the new window, and what was typical before."""

from collections.abc import Callable, Sequence
from statistics import median

from greenroom.offline.drift.look import NUMBERS, SHARES, Finding, Sides
from greenroom.offline.drift.reading import Reading
from greenroom.offline.drift.texts import Topics, newest_in_words

COUNT = 5


def examples(finding: Finding, sides: Sides, count: int = COUNT) -> tuple[list[Reading], list[Reading]]:
    """Up to `count` readings of the window and of the reference that show what one metric found."""
    window, like = list(sides.window), list(sides.like)
    name, has_risen = finding.metric, finding.effect >= 0
    if name in NUMBERS:
        value = NUMBERS[name]
        return _middle(window, value, count), _middle(like, value, count)
    if name in SHARES:
        is_so = SHARES[name]
        return _those(window, is_so, has_risen, count), _those(like, is_so, not has_risen, count)
    if name == "language":

        def is_of(one: Reading) -> bool:
            return one.language == finding.about

        return _those(window, is_of, has_risen, count), _those(like, is_of, not has_risen, count)
    if name == "topic":
        return _of_topic(window, like, list(sides.whole), count)
    words = _said if name == "answer_words" else _asked
    window = [one for one in window if words(one)]
    like = [one for one in like if words(one)]
    if not window or not like:
        return [], []
    new, old = [words(one) for one in window], [words(one) for one in like]
    return (
        [window[place] for place in newest_in_words(new, old)[:count]],
        [like[place] for place in newest_in_words(old, new)[:count]],
    )


def _asked(one: Reading) -> bytes:
    return one.asked_words


def _said(one: Reading) -> bytes:
    return one.said_words


def _middle(some: Sequence[Reading], value: Callable[[Reading], float | None], count: int) -> list[Reading]:
    valued = [(number, one) for one in some if (number := value(one)) is not None]
    if not valued:
        return []
    middle = median(number for number, _ in valued)
    return [one for _, one in sorted(valued, key=lambda pair: abs(pair[0] - middle))[:count]]


def _those(
    some: Sequence[Reading], is_so: Callable[[Reading], bool], wanted: bool, count: int
) -> list[Reading]:
    """The newest that are so, or that are not."""
    found = [one for one in some if is_so(one) == wanted]
    return sorted(found, key=lambda one: -one.at_s)[:count]


def _of_topic(
    window: Sequence[Reading], like: Sequence[Reading], whole: Sequence[Reading], count: int
) -> tuple[list[Reading], list[Reading]]:
    """Of the topic that grew most, and of the one that shrank most."""
    sides = [[one for one in side if one.asked_words] for side in (window, like, whole)]
    if not all(sides):
        return [], []
    topics = Topics([one.asked_words for one in sides[2]])
    new, old = (topics.of([one.asked_words for one in side]) for side in sides[:2])
    change = {topic: new.count(topic) / len(new) - old.count(topic) / len(old) for topic in {*new, *old}}
    grown, shrunk = max(change, key=change.__getitem__), min(change, key=change.__getitem__)
    return (
        [one for one, topic in zip(sides[0], new, strict=True) if topic == grown][-count:],
        [one for one, topic in zip(sides[1], old, strict=True) if topic == shrunk][-count:],
    )
