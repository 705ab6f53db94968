"""An index in a fresh folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.grounding.index import DocumentIndex

HANDBOOK = """# Handbook

Greenroom is a gateway for language models.

## Add a provider

A provider is an API that serves models. Add a table to `greenroom.toml`:

```toml
[providers.openai]
kind = "openai"
```

## Limits

Each key has a limit of requests per minute. Budgets are kept in dollars.
"""

MANUAL = """# Manual

## Chaves

Para criar uma chave, use o comando de criação. A chave só aparece uma vez.

## Informações fiscais

As informações de faturamento ficam na página de custos.
"""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[DocumentIndex]:
    opened = DocumentIndex(tmp_path / "documents.db")
    yield opened
    opened.close()
