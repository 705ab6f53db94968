"""`/v1/evals`, as OpenAI's clients speak it. What answers is handed in by assembly."""

from greenroom.server.evals.routes import EvalAdministration, EvalRoutes

__all__ = ["EvalAdministration", "EvalRoutes"]
