from tests.faults.conftest import upstream

__all__ = ["upstream"]
