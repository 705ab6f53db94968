"""What a trained router expects of each target for one prompt, and whether it knows prompts like it.

Knows no prices and no configuration. Any thread may ask.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from greenroom.models.learned.features import form, sketch, words_of
from greenroom.models.learned.file import Header, Trained, forest_of
from greenroom.models.learned.forest import expect

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

    Array = NDArray[float32]

Glance = Callable[[str], "NDArray[float32]"]
"""A text's vector `(384,)`, made from no more of it than time allows."""


class Guess(NamedTuple):
    """What is expected of one prompt."""

    chances: dict[str, float]
    """By target: of a good answer (the score to expect), 0 to 1."""
    known_share: float
    """Of its words, those seen in training."""
    known_meaning: float | None
    """Of its meaning, the part in the directions of the prompts of training; None without vectors."""
    is_familiar: bool


class Predictor:
    """A trained router at work."""

    def __init__(self, trained: Trained, glance: Glance | None) -> None:
        self.header: Header = trained.header
        self._arrays = trained.arrays
        has_meaning = "meaning_turn" in trained.arrays and glance is not None
        self._glance = glance if has_meaning else None
        head = "meaning" if has_meaning else "words"
        self._forest = forest_of(trained.arrays, head)
        self._mean = trained.arrays[f"{head}_mean"]
        self._slopes, self._shifts = calibrations(self.header, has_meaning=has_meaning)

    @property
    def uses_meaning(self) -> bool:
        """Whether vectors count; else words and form alone."""
        return self._glance is not None

    def guess(self, text: str) -> Guess:
        """What to expect of each target. About 0.5 ms, and 4 ms where vectors count."""
        import numpy as np  # noqa: PLC0415 - 20 MiB that most processes can do without

        arrays, header = self._arrays, self.header
        words = words_of(text)
        known = float((arrays["rarity"][words] > 0).mean()) if len(words) else 0.0
        seen, meaning = [form(text), sketch(words, arrays["rarity"]) @ arrays["words_turn"]], None
        if self._glance is not None:
            seen.append(self._glance(text) @ arrays["meaning_turn"])
            meaning = float(seen[-1] @ seen[-1])
        raw = expect(self._forest, np.concatenate(seen)[np.newaxis])[0] + self._mean
        chances = 1.0 / (1.0 + np.exp(-np.clip(self._slopes * raw + self._shifts, -30.0, 30.0)))
        familiar = known >= header.known_share and (meaning is None or meaning >= header.known_meaning)
        named = {one.name: float(chances[at]) for at, one in enumerate(header.targets)}
        return Guess(named, known, meaning, familiar)


def calibrations(header: Header, *, has_meaning: bool) -> "tuple[Array, Array]":
    """Slope and shift of each target, `(targets,)`."""
    import numpy as np  # noqa: PLC0415 - as above

    chosen = [one.with_meaning if has_meaning else one.from_words for one in header.targets]
    assert all(one is not None for one in chosen), "read() saw to it"
    return (
        np.array([one.slope for one in chosen if one is not None], np.float32),
        np.array([one.shift for one in chosen if one is not None], np.float32),
    )
