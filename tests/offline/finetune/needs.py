"""What tests of training need, asked without loading it."""

from importlib.util import find_spec

import pytest

needs_training = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("torch", "transformers", "trl", "peft")),
    reason="needs the extra finetune",
)
