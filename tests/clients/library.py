"""A server with files and vector stores, and clients of two projects."""

import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

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
        made = self.admin.post("/keys", body={"name": "k", **wanted}, cast_to=dict[str, Any])
        client = openai.OpenAI(base_url=f"{self.server.url}/v1", api_key=made["key"], max_retries=0)
        deadline = time.monotonic() + 20
        while True:
            try:
                client.models.list()
                return client
            except openai.AuthenticationError:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def upload(self, text: str, name: str = "a.md") -> str:
        return self.client.files.create(file=(name, text.encode()), purpose="assistants").id


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    config = "[store]\nfiles_mb = 8\n[server]\nfile_limit_mb = 4\n"
    with ServerProcess(tmp_path_factory.mktemp("library") / "data", config) as server:
        yield Library(server)
