"""`/v1/fine_tuning`, as OpenAI's clients speak it. What answers is handed in by assembly."""

from greenroom.server.finetuning.routes import FinetuneAdministration, FinetuneRoutes

__all__ = ["FinetuneAdministration", "FinetuneRoutes"]
