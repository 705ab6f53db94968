"""How alike prompts are to a router: one number for each pair of them. Knows no target and no label.

Prompts are alike when they have the same form and, moreover, the same words or the same meaning; meaning
counts by itself too. A router's guess is a weighted sum of likenesses to the prompts it was trained on.
Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, chapters 2 and 4 (sums and
products of kernels).
"""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

WIDTH = 0.3
"""How fast likeness in meaning falls as the cosine does."""
BREADTH = 2.0
"""How fast likeness in form falls with the mean square of differences. Both by cross-validation."""


class Points(NamedTuple):
    """Prompts as a kernel takes them."""

    form: "NDArray[float32]"
    """`(n, FORMS)`, each column less its mean and by its deviation."""
    words: "NDArray[float32]"
    """`(n, TOPICS)`: unit vectors of words, in the directions in which prompts differ most."""
    meaning: "NDArray[float32] | None"
    """`(n, d)`, the same of the vectors of an encoder; None without one."""


def alike(one: Points, other: Points, near: "NDArray[float32] | None" = None) -> "NDArray[float32]":
    """The kernel, `(n, m) float32`: 1 + form (1 + words + meaning) + meaning.

    `near` are the cosines where they are known; they are overwritten.
    """
    import numpy as np  # noqa: PLC0415 - 20 MiB that most processes can do without

    found: NDArray[float32] = one.form @ other.form.T
    found *= 2.0
    found -= (one.form * one.form).sum(1)[:, None]
    found -= (other.form * other.form).sum(1)[None, :]
    np.minimum(found, 0.0, out=found)
    found /= BREADTH * one.form.shape[1]
    np.exp(found, out=found)
    both: NDArray[float32] = one.words @ other.words.T
    both += 1.0
    if one.meaning is None or other.meaning is None:
        found *= both
        found += 1.0
        return found
    if near is None:
        near = cosines(one, other)
    near -= 1.0
    near /= WIDTH
    np.exp(near, out=near)
    both += near
    found *= both
    found += near
    found += 1.0
    return found


def cosines(one: Points, other: Points) -> "NDArray[float32]":
    """Of meanings, about, `(n, m) float32`."""
    assert one.meaning is not None
    assert other.meaning is not None
    found: NDArray[float32] = one.meaning @ other.meaning.T
    return found
