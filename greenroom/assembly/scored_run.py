"""The answers of an evaluation as examples that a router learns from."""

from collections.abc import Iterator
from typing import Any

from greenroom.assembly.scored import newest_text
from greenroom.errors import MalformedRequest
from greenroom.models.learned.examples import Answer
from greenroom.offline.evals.kept import kept_run
from greenroom.store.evals import EvalStore


def run_answers(store: EvalStore, named: str) -> Iterator[Answer]:
    """Read `RUN` or `RUN,score=NAME`: what targets answered, by the run's one score of quality or that one.

    Raises: NotFound; MalformedRequest where it is not plain which score counts, or one lies outside 0 to 1.
    """
    run_name, _, wanted = named.partition(",")
    name = wanted.removeprefix("score=")
    kept = kept_run(store, run_name)
    kinds = [one.name for one in kept.settings.metrics if one.higher_is_better and not one.unit]
    if not name and len(kinds) != 1:
        raise MalformedRequest(
            f"The run has {len(kinds)} scores of quality: {', '.join(kinds) or 'none'}. "
            f"Say which counts, as in eval:{run_name},score=NAME.",
            "from",
        )
    name = name or kinds[0]
    for item in kept.run.items:
        output, score = item.output, item.score(name)
        messages: tuple[dict[str, Any], ...] = output.messages or item.sample.messages  # Any: JSON
        text = newest_text(messages)
        if (
            score is None
            or score.value is None
            or not output.model
            or not text
            or output.outcome != "answered"
        ):
            continue
        if not 0 <= score.value <= 1:
            raise MalformedRequest(
                f"'{name}' gave {score.value:g}. A router needs scores from 0 to 1.", "from"
            )
        cost = None if output.cost_nano_usd is None else output.cost_nano_usd / 1e9
        yield Answer(text, output.model, score.value, cost, output.output_tokens or None)
