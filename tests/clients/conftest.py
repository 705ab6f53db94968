from tests.clients.library import library
from tests.clients.responses_stage import stage

__all__ = ["library", "stage"]
