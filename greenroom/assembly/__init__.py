"""Assembly: names to objects. `House` for everything that works in this process, `serve` for the server."""

from greenroom.assembly.house import House
from greenroom.assembly.serve import serve
from greenroom.assembly.steps import step_configs

__all__ = ["House", "serve", "step_configs"]
