"""Signs of life: what hangs, what only computes for long, and what is idle."""

from greenroom.models.llama_engine import Beat, read_metrics
from greenroom.models.pulse import QUIET_S, STILL_S, Pulse


def test_idle_beats_are_signs_of_life() -> None:
    pulse = Pulse(0)
    for second in range(1, 100):
        pulse.took(Beat(prompt_tokens=5), second)
        assert pulse.hangs_s(second, 1.0) == 0


def test_no_beat_and_no_time_computed_is_a_hang() -> None:
    pulse = Pulse(0)
    hangs = [pulse.hangs_s(second, 1.0) for second in range(1, int(STILL_S) + 3)]

    assert not any(hangs[:-1]), "the first look counts as a sign"
    assert hangs[-1] > STILL_S


def test_who_was_held_up_himself_blames_nobody() -> None:
    pulse = Pulse(0)
    pulse.took(Beat(), 1)
    pulse.hangs_s(1, 1.0)

    assert pulse.hangs_s(1 + 10 * STILL_S, 1.0) == 0


def test_work_that_gets_nowhere_and_computes_nothing_is_a_hang_even_while_it_beats() -> None:
    pulse = Pulse(0)
    pulse.hangs_s(0, 1.0)
    for second in range(1, int(STILL_S) + 4):
        pulse.took(Beat(processing=1, output_tokens=7), second)
        hangs_s = pulse.hangs_s(second, 1.0 + second / 1000)  # the beats' own time

    assert hangs_s > STILL_S - 2


def test_a_long_prompt_computes_and_is_let_be_but_not_for_ever() -> None:
    pulse = Pulse(0)
    hangs: list[float] = []
    for second in range(1, int(QUIET_S) + 3):
        pulse.took(Beat(processing=1), second)
        hangs.append(pulse.hangs_s(second, float(second)))

    assert not any(hangs[: int(QUIET_S)])
    assert hangs[-1] > QUIET_S


def test_without_the_systems_word_on_time_only_the_long_limit_counts() -> None:
    pulse = Pulse(0)
    pulse.took(Beat(processing=1), 1)

    hangs = [pulse.hangs_s(second, None) for second in range(2, int(QUIET_S) + 2)]

    assert not any(hangs[:-1])
    assert hangs[-1] > QUIET_S


def test_the_engines_metrics_are_read_by_name() -> None:
    text = (
        b"# TYPE llamacpp:prompt_tokens_total counter\nllamacpp:prompt_tokens_total 86\n"
        b"llamacpp:tokens_predicted_seconds_total 0.5\nllamacpp:requests_deferred 2\nllamacpp:else 3\n"
    )

    assert read_metrics(text) == {"prompt_tokens": 86, "output_s": 0.5, "deferred": 2}
