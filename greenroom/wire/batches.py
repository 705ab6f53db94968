"""What clients send to `/v1/batches`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from greenroom.errors import MalformedRequest
from greenroom.wire.evals import Metadata

ENDPOINTS = (
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/moderations",
)
WINDOW = "24h"
WINDOW_S = 86_400
MOST_LINES = 50_000
MOST_BYTES = 200 * 1024 * 1024
"""Of a file, as OpenAI has it."""
MOST_USD = 1_000_000
"""That a batch may be allowed to cost."""


class OutputExpiresAfter(Struct, kw_only=True, frozen=True):
    """How long the files of results stay, from the moment when they are written."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Meta(ge=3_600, le=2_592_000)]


class Extension(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What only Greenroom knows of a batch."""

    budget_usd: Annotated[float, Meta(gt=0, le=MOST_USD)] | None = None
    """All its lines together may cost so much."""


class NewBatch(Struct, kw_only=True, frozen=True):
    """Body of `POST /v1/batches`."""

    input_file_id: Annotated[str, Meta(min_length=1, max_length=64)]
    endpoint: Annotated[str, Meta(max_length=128)]
    completion_window: Annotated[str, Meta(max_length=16)]
    metadata: Metadata | None = None
    output_expires_after: OutputExpiresAfter | None = None
    greenroom: Extension | None = None

    def check(self) -> None:
        """Raise MalformedRequest naming the field where this can't be done here."""
        if self.endpoint not in ENDPOINTS:
            raise MalformedRequest(
                f"'{self.endpoint}' is not served in batches. These are: {', '.join(ENDPOINTS)}.", "endpoint"
            )
        if self.completion_window != WINDOW:
            raise MalformedRequest(f"'completion_window' must be '{WINDOW}'.", "completion_window")
