"""Figures of targets: what is counted of an exchange, for whom, and that clients can't make them grow for ever."""

from greenroom.exchange import Attempt, Caller, ChatRequest, Exchange
from greenroom.gateway.figures import BOUNDS_S, MOST_TARGETS, OTHERS, ModelFigures
from greenroom.usage import Usage


def exchange(*attempts: Attempt, target: str | None, stream: bool = False, tokens: int = 20) -> Exchange:
    found = Exchange("1", Caller(key_id="k"), ChatRequest(b"{}", "m", stream=stream), "default")
    found.attempts.extend(attempts)
    found.target = target
    found.usage = Usage(input_tokens=5, output_tokens=tokens)
    found.first_token_ns, found.total_ns = 200_000_000, 700_000_000
    return found


def test_a_stream_is_counted_by_its_first_content_and_its_speed_behind_it() -> None:
    figures = ModelFigures()

    figures.took(exchange(Attempt(target="a/x", status=200, ns=150_000_000), target="a/x", stream=True))

    facts = figures.by_target["a/x"].facts()
    assert (facts["answered"], facts["failed"], facts["first_token_ms"]) == (1, 0, 150.0)
    assert facts["tokens_per_second"] == 40.0, "20 tokens in the half second behind the first content"
    assert figures.by_target["a/x"].firsts[BOUNDS_S.index(0.25)] == 1


def test_of_a_whole_answer_the_call_counts_and_nobody_knows_its_first_token() -> None:
    figures = ModelFigures()

    figures.took(exchange(Attempt(target="a/x", status=200, ns=500_000_000), target="a/x"))

    facts = figures.by_target["a/x"].facts()
    assert (facts["first_token_ms"], facts["tokens_per_second"]) == (None, 40.0)
    assert sum(figures.by_target["a/x"].firsts) == 0


def test_a_failure_is_its_targets_and_the_answer_the_others() -> None:
    figures = ModelFigures()

    figures.took(
        exchange(
            Attempt(target="a/x", error="upstream_timeout"), Attempt(target="b/y", status=200, ns=10**9),
            target="b/y",
        )
    )  # fmt: skip

    assert figures.by_target["a/x"].facts()["errors"] == {"upstream_timeout": 1}
    assert figures.by_target["a/x"].answered == 0
    assert figures.by_target["b/y"].facts()["failed"] == 0
    assert figures.by_target["b/y"].answered == 1


def test_a_stream_that_broke_is_no_answer() -> None:
    figures = ModelFigures()

    broken = Attempt(target="a/x", status=200, error="upstream_disconnected", ns=10**8)
    figures.took(exchange(broken, target="a/x", stream=True))

    assert (figures.by_target["a/x"].answered, figures.by_target["a/x"].output_tokens) == (0, 0)


def test_what_no_model_was_asked_for_counts_for_none() -> None:
    figures = ModelFigures()
    figures.took(exchange(target=None))

    assert figures.by_target == {}


def test_names_that_clients_make_up_are_counted_together_past_a_bound() -> None:
    figures = ModelFigures()
    for number in range(MOST_TARGETS + 50):
        name = f"openai/{number}"
        figures.took(exchange(Attempt(target=name, status=404, error="upstream_refused"), target=None))

    assert len(figures.by_target) == MOST_TARGETS + 1
    assert figures.by_target[OTHERS].errors == {"upstream_refused": 50}
