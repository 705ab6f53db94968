"""How judges ask a model: messages and a form in, JSON of that form out, with what it cost.

Knows no provider: what really asks is handed in.
"""

from typing import Any, Protocol

from msgspec import DecodeError, Struct
from msgspec.json import decode

Json = dict[str, Any]  # Any: JSON


class Asked(Struct, kw_only=True):
    """What a model said to a judge's question."""

    text: str = ""
    error: str | None = None
    """Why there is no answer, as a sentence; a refusal by a check is one too."""
    model: str = ""
    """The target that answered."""
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int | None = None
    """Billionths of a US dollar; None where the price is not known."""


class Ask(Protocol):
    """Asks a model once."""

    async def __call__(self, body: Json, attempt: int = 0) -> Asked:
        """`body` is a chat completion request; `attempt` tells apart those that ask the same again.

        A failure of the model is an `Asked` with `error`.

        Raises: InfrastructureError where asking again is of no use.
        """
        ...


def form(name: str, properties: Json) -> Json:
    """`response_format` of an object with these fields, all of them required and no others."""
    schema = {
        "type": "object", "properties": properties, "required": list(properties),
        "additionalProperties": False,
    }  # fmt: skip
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


def read(text: str) -> Json | None:
    """The object that a model wrote, a fence around it forgiven; None for anything else."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```"):
        text = text.removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        found = decode(text)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
