"""Prompts of the tests, made in a line."""

from typing import Any

import msgspec

from greenroom.prompts import PromptVersion


def prompt(name: str = "support", *messages: str, **fields: Any) -> PromptVersion:  # Any: JSON
    """A version with a system message, a user message, or as many as are given, the system's first."""
    texts = messages or ("You help.", "{{question}}")
    roles = ["system", *["user"] * (len(texts) - 1)] if len(texts) > 1 else ["user"]
    said = [{"role": role, "text": text} for role, text in zip(roles, texts, strict=True)]
    fields.setdefault("variables", {"question": {}} if "{{question}}" in "".join(texts) else {})
    return msgspec.convert({"name": name, "messages": said, **fields}, PromptVersion)
