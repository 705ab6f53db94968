"""Prompts as versions: what they are made of, filling, files, differences, and the rules they are held to.

Works without a server and without a store: `read_file` or `PromptVersion(…)`, then `compile_prompt`.
"""

from greenroom.prompts.compile import compile_prompt
from greenroom.prompts.diff import diff
from greenroom.prompts.files import dumps, loads, read_file, read_folder, write_folder
from greenroom.prompts.registry import Registry
from greenroom.prompts.version import (
    Compiled,
    Example,
    Examples,
    Message,
    OutputSchema,
    Part,
    PromptVersion,
    Settings,
    Techniques,
    Variable,
)

__all__ = [
    "Compiled",
    "Example",
    "Examples",
    "Message",
    "OutputSchema",
    "Part",
    "PromptVersion",
    "Registry",
    "Settings",
    "Techniques",
    "Variable",
    "compile_prompt",
    "diff",
    "dumps",
    "lint_prompt",
    "loads",
    "read_file",
    "read_folder",
    "write_folder",
]


def __getattr__(name: str) -> object:
    if name == "lint_prompt":
        from greenroom.prompts.lint import lint  # noqa: PLC0415  # its patterns are compiled when first needed

        return lint
    raise AttributeError(f"module 'greenroom.prompts' has no attribute '{name}'")
