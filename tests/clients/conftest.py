from tests.clients.files_stage import library
from tests.clients.responses_stage import stage

__all__ = ["library", "stage"]
