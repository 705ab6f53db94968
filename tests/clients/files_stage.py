"""A server with files and vector stores, and clients of two projects."""

from collections.abc import Iterator

import openai
import pytest

from tests.clients.keyed import client_of
from tests.server_process import ADMIN, ServerProcess


class Library:
    """A server with clients of two projects and of a key that is limited to an app."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.admin = openai.OpenAI(base_url=f"{server.url}/api", api_key=ADMIN)
        self.client = self.client_of(project="one")
        self.other = self.client_of(project="two")
        self.limited = self.client_of(project="one", apps=["default"])

    def client_of(self, **wanted: object) -> openai.OpenAI:
        return client_of(self.server, wanted, is_strict=False)

    def upload(self, text: str, name: str = "a.md") -> str:
        return self.client.files.create(file=(name, text.encode()), purpose="assistants").id


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    config = "[store]\nfiles_mb = 8\n[server]\nfile_limit_mb = 4\n"
    with ServerProcess(tmp_path_factory.mktemp("library") / "data", config) as server:
        yield Library(server)
