"""Assembly: names to objects. `House` for all that works in this process; `serve.py` is the server."""

from greenroom.assembly.house import House
from greenroom.assembly.steps import step_configs

__all__ = ["House", "step_configs"]
