from tests.faults.conftest import upstream
from tests.server.office import office

__all__ = ["office", "upstream"]
