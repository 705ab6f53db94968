"""Trees: what they find, what they leave out, and what they do without labels."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from greenroom.models.learned.forest import DEEPEST, LEAF, Forest, expect, grow, mistake

Array = NDArray[Any]


def world(count: int, seed: int = 1) -> tuple[Array, Array, Array]:
    """Numbers of prompts, and scores of two targets: one is good where the first is high, one where it is low."""
    chance = np.random.default_rng(seed)
    numbers = chance.normal(size=(count, 6)).astype(np.float32)
    high = numbers[:, 0] > 0.3
    scores = np.stack([np.where(high, 0.4, -0.4), np.where(high, -0.3, 0.3)], 1)
    return numbers, scores, np.arange(count, dtype=np.float64)


def test_a_step_in_one_number_is_found() -> None:
    forest, _ = grow(*world(200))

    found = expect(forest, np.array([[2.0, 0, 0, 0, 0, 0], [-2.0, 0, 0, 0, 0, 0]], np.float32))

    assert 0.05 < found[0, 0] < 0.4
    assert -0.3 < found[0, 1] < -0.05
    assert -0.4 < found[1, 0] < -0.05
    assert 0.05 < found[1, 1] < 0.3


def test_many_prompts_at_once_are_expected_like_each_alone() -> None:
    numbers, scores, groups = world(200)
    forest, _ = grow(numbers, scores, groups)

    alone = np.concatenate([expect(forest, numbers[at : at + 1]) for at in range(20)])

    assert np.allclose(expect(forest, numbers[:20]), alone)


def test_what_is_left_out_knows_nothing_of_its_own_label() -> None:
    numbers, _, groups = world(300)
    noise = np.random.default_rng(5).choice([-0.5, 0.5], (300, 1))

    forest, left_out = grow(numbers, noise, groups)

    assert np.corrcoef(expect(forest, numbers)[:, 0], noise[:, 0])[0, 1] > 0.5
    assert abs(np.corrcoef(left_out[:, 0], noise[:, 0])[0, 1]) < 0.2


def test_a_group_is_left_out_as_a_whole() -> None:
    chance = np.random.default_rng(6)
    numbers = np.repeat(chance.normal(size=(30, 6)), 8, 0).astype(np.float32)
    noise = np.repeat(chance.choice([-0.5, 0.5], 30), 8)[:, None]

    _, by_group = grow(numbers, noise, np.repeat(np.arange(30.0), 8))
    _, by_row = grow(numbers, noise, np.arange(240.0))

    assert np.corrcoef(by_row[:, 0], noise[:, 0])[0, 1] > 0.8
    assert np.corrcoef(by_group[:, 0], noise[:, 0])[0, 1] < 0.3


def test_labels_that_are_missing_are_not_taken_for_zeros() -> None:
    numbers, scores, groups = world(200)
    bias = np.full((200, 1), 0.4)
    bias[::2] = np.nan

    forest, left_out = grow(numbers, np.hstack([scores, bias]), groups)

    assert expect(forest, numbers)[:, 2] == pytest.approx(0.4, abs=0.05)
    assert left_out[:, 2] == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("count", [1, 2 * LEAF - 1])
def test_too_few_prompts_make_trees_of_one_leaf(count: int) -> None:
    numbers, scores, groups = world(count)

    forest, _ = grow(numbers, scores, groups)

    assert (forest.child < 0).all()
    assert np.isfinite(expect(forest, numbers)).all()


def test_numbers_that_are_all_the_same_separate_nothing() -> None:
    _, scores, groups = world(100)

    forest, _ = grow(np.ones((100, 6), np.float32), scores, groups)

    assert (forest.child < 0).all()


def test_trees_are_never_deeper_than_they_may_be() -> None:
    stairs = (2.0 ** np.arange(-120.0, 120.0)[:, None]).astype(np.float32)
    scores = np.arange(240.0)[:, None]

    forest, _ = grow(stairs, scores, np.arange(240.0))

    assert mistake(forest, 1) is None


def test_a_tree_one_deeper_than_trees_grow_is_a_mistake() -> None:
    def chain(depth: int) -> Forest:
        child = np.full(2 * depth + 1, -1, np.int32)
        child[0 : 2 * depth : 2] = np.arange(1, 2 * depth, 2)
        child[0] = 1
        for level in range(1, depth):
            child[2 * level - 1], child[2 * level] = -1, 2 * level + 1
        nodes = len(child)
        return Forest(
            np.zeros(nodes, np.uint8), np.zeros(nodes, np.float32), child, np.zeros(1, np.int32),
            np.zeros((1, 1), np.float32),
        )  # fmt: skip

    assert mistake(chain(DEEPEST), 1) is None
    assert "deeper" in (mistake(chain(DEEPEST + 1), 1) or "")
