"""Trained weights as GGUF: whole models, and adapters that are laid over one.

Loaded in the process that trains or exports, never in a server: it needs numpy and the gguf library, of the
extra `finetune`.
"""

from greenroom.offline.finetune.export.adapter import adapter_to_gguf
from greenroom.offline.finetune.export.model import to_gguf

__all__ = ["adapter_to_gguf", "to_gguf"]
