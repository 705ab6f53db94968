from collections.abc import Iterator

import pytest

from tests.assembly.workers import Model
from tests.faults.conftest import upstream

__all__ = ["upstream"]


@pytest.fixture
def model() -> Iterator[Model]:
    """The model behind servers of several workers."""
    one = Model()
    yield one
    one.close()
