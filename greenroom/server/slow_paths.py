"""Which paths of `/v1` the ASGI app answers: those where things are kept, not in microseconds."""

from greenroom.server.batches import BATCHES
from greenroom.server.evals.routes import EVALS
from greenroom.server.finetuning.routes import FINE_TUNING
from greenroom.server.head import Request

MODELS = b"/v1/models"
_FILES = b"/v1/files"
_UPLOADS = b"/v1/uploads"
TELEMETRY = (b"/v1/traces", b"/v1/logs")
_KEPT = (
    *TELEMETRY, _FILES, _UPLOADS, b"/v1/vector_stores", b"/v1/responses/", b"/v1/conversations", EVALS,
    FINE_TUNING, BATCHES,
)  # fmt: skip


def is_slow(request: Request) -> bool:
    """Whether the ASGI app answers."""
    path = request.path
    return path.startswith(_KEPT) or (request.method == b"DELETE" and path.startswith(MODELS + b"/"))


def is_upload(request: Request) -> bool:
    """Whether a file, or a part of one, is sent."""
    path = request.path
    is_part = path.startswith(_UPLOADS) and path.endswith(b"/parts")
    return request.method == b"POST" and (path == _FILES or is_part)
