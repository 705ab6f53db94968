"""Scores as they are kept: their texts without personal data and secrets, or none where no texts are kept."""

from typing import Any

from msgspec.structs import replace

from greenroom.assembly.house import House
from greenroom.assembly.users import Masks
from greenroom.store.scores import Score

Record = dict[str, Any]  # Any: JSON


def score_trace(house: House, project: str | None, id: str, score: Score) -> Record | None:
    """Add a score to a trace; None when this project has none of that id. Raises: MalformedRequest."""
    capture = house.config.store.capture
    if (score.comment or score.correction) and capture != "full":
        hide = Masks()
        comment, correction = (
            hide(text) if capture == "redacted" else "" for text in (score.comment, score.correction)
        )
        score = replace(score, comment=comment, correction=correction)
    return house.traces.score(project, id, score)
