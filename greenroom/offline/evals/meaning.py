"""The metric `cosine`: the angle between two texts' vectors, from the embedded encoder."""

import asyncio

from greenroom.contracts import Encoder
from greenroom.errors import ExtraMissing
from greenroom.offline.evals.row import Graded
from greenroom.offline.evals.templates import Row, Template
from greenroom.stages.language import detect


class Meaning:
    """The cosine of two texts, -1 to 1; texts in a language that the encoder does not know are an error."""

    def __init__(
        self,
        name: str,
        text: Template,
        reference: Template,
        threshold: float,
        encoder: Encoder | None,
        param: str,
    ) -> None:
        if encoder is None:
            raise ExtraMissing(
                "'cosine' needs the embedded encoder: pip install onnxruntime tokenizers",
                f"{param}.evaluation_metric",
            )
        self.name = name
        self._text = text
        self._reference = reference
        self._threshold = threshold
        self._encoder = encoder

    async def grade(self, row: Row) -> Graded:
        """The cosine."""
        texts = [self._text.fill(row), self._reference.fill(row)]
        for one in texts:
            language, _ = detect(one)
            if language not in self._encoder.languages and language != "und":
                known = ", ".join(sorted(self._encoder.languages))
                return Graded(error=f"The encoder knows {known}; this text is in '{language}'.")
        found, wanted = await asyncio.to_thread(self._encoder.encode, texts)
        value = float(found @ wanted)
        return Graded(value, value >= self._threshold)
