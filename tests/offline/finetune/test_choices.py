"""What is chosen when nobody says, and the dial of models from nothing."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.offline.finetune.choices import Facts, choose, first_fit
from greenroom.offline.finetune.dial import dial, first_rate, first_steps
from greenroom.offline.finetune.plan import Hyperparameters, Plan


def facts(*lengths: int, valid: bool = False, width: int = 512, positions: int = 4096) -> Facts:
    return Facts(lengths, valid, width, positions)


@given(st.lists(st.integers(1, 64), max_size=60))
def test_packing_keeps_every_row_once_and_overfills_nothing(lengths: list[int]) -> None:
    sequences = first_fit(lengths, 64)

    assert sorted(index for sequence in sequences for index in sequence) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in sequence) <= 64 for sequence in sequences)
    # Best-fit decreasing needs at most 11/9 of the best packing, and one more: Johnson, 1973.
    assert len(sequences) <= 11 / 9 * -(-sum(lengths) // 32) + 1


def test_rows_that_fill_each_other_up_share_a_sequence() -> None:
    assert sorted(map(sorted, first_fit([40, 24, 30, 34], 64))) == [[0, 1], [2, 3]]


def test_nothing_is_left_to_choose_and_each_choice_has_its_reason() -> None:
    chosen = choose(Plan(name="a"), facts(*[30] * 200, valid=True))

    unset = {name for name, value in msgspec.structs.asdict(chosen.hyperparameters).items() if value is None}
    assert unset == {"beta", "max_steps", "patience"}
    assert {"epochs", "learning_rate", "batch_size", "lora_rank"} <= chosen.reasons.keys()


def test_what_was_set_stays_and_needs_no_reason() -> None:
    plan = Plan(name="a", hyperparameters=Hyperparameters(epochs=2, batch_size=4, learning_rate=1e-3))

    chosen = choose(plan, facts(*[30] * 200))

    assert chosen.hyperparameters.learning_rate == 1e-3
    assert not {"epochs", "batch_size", "learning_rate"} & chosen.reasons.keys()
    assert chosen.steps == 100


def test_openai_s_clients_multiply_the_rate_that_would_have_been_chosen() -> None:
    plain = choose(Plan(name="a"), facts(*[30] * 200)).hyperparameters.learning_rate or 0
    plan = Plan(name="a", hyperparameters=Hyperparameters(learning_rate_multiplier=0.5))

    assert choose(plan, facts(*[30] * 200)).hyperparameters.learning_rate == pytest.approx(plain / 2)


def test_few_rows_are_gone_over_often_and_many_once() -> None:
    assert choose(Plan(name="a"), facts(*[30] * 10)).hyperparameters.epochs == 10
    assert (
        choose(Plan(name="a"), facts(*[30] * 1000)).hyperparameters.epochs == 4
    )  # 32 steps each: for 100 steps
    assert choose(Plan(name="a"), facts(*[30] * 40_000)).hyperparameters.epochs == 1


def test_rows_longer_than_the_model_reads_are_left_out() -> None:
    chosen = choose(Plan(name="a"), facts(100, 900, 200, positions=256))

    assert chosen.rows == 2
    assert chosen.hyperparameters.max_length == 256


def test_short_rows_beside_a_long_one_are_packed() -> None:
    chosen = choose(Plan(name="a"), facts(*[20] * 320, 400))

    assert chosen.hyperparameters.packing
    assert chosen.sequences == 17  # 16 of 20 rows of 20, one of the long row


def test_a_plan_of_preferences_is_never_packed() -> None:
    chosen = choose(Plan(name="a", method="dpo"), facts(*[20] * 320, 400))

    assert chosen.hyperparameters.packing is False
    assert chosen.hyperparameters.beta == 0.1


@pytest.mark.parametrize("size", [1, 4, 12, 32])
def test_a_bigger_dial_is_a_bigger_model_in_whole_heads_and_blocks(size: int) -> None:
    shape = dial(size)

    assert shape.width == shape.heads * 32
    assert shape.inner % 32 == 0
    assert size == 1 or shape.parameters() > dial(size - 1).parameters()


def test_the_dial_at_four_is_a_million_and_at_twelve_near_gpt_2_s_width() -> None:
    assert 0.9e6 < dial(4).parameters() < 1.2e6
    assert first_rate(768) == pytest.approx(6e-4)


def test_a_short_text_is_not_read_more_than_four_times() -> None:
    assert first_steps(parameters=10_000_000, text_tokens=20_480) == 40
    assert first_steps(parameters=1024, text_tokens=1_000_000) == 10


def test_rows_that_are_all_too_long_are_counted_and_not_divided_by() -> None:
    plan = Plan(name="a", hyperparameters=Hyperparameters(max_length=16))

    assert choose(plan, facts(40, 50)).rows == 0
