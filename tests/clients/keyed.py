"""Clients with keys of their own."""

import time
from collections.abc import Mapping
from typing import Any

import openai

from tests.server_process import ADMIN, ServerProcess


def client_of(
    server: ServerProcess, wanted: Mapping[str, object], *, is_strict: bool = True
) -> openai.OpenAI:
    """A client that asks once, with a new key that is what is `wanted`; the server knows the key already.

    `is_strict`: answers must be just what the client's types say.
    """
    with openai.OpenAI(base_url=f"{server.url}/api", api_key=ADMIN) as admin:
        made = admin.post("/keys", body={"name": "k", **wanted}, cast_to=dict[str, Any])
    client = openai.OpenAI(
        base_url=f"{server.url}/v1",
        api_key=made["key"],
        admin_api_key=made["key"],
        max_retries=0,
        _strict_response_validation=is_strict,
    )
    deadline = time.monotonic() + 20
    while True:
        try:
            client.models.list()
            return client
        except openai.AuthenticationError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
