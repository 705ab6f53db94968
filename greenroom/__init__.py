"""Greenroom: the room where a prompt gets ready before it goes on stage."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom.assembly.embedded import Greenroom

__all__ = ["Greenroom", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "Greenroom":
        from greenroom.assembly.embedded import Greenroom  # noqa: PLC0415  # importing the package stays cheap

        return Greenroom
    raise AttributeError(f"module 'greenroom' has no attribute '{name}'")
