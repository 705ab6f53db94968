from tests.models.calling import pool

__all__ = ["pool"]
