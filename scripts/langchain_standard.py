"""LangChain's standard tests of chat models, through its own clients, against a Greenroom that runs.

`compatibility.py --langchain` starts the server and runs this file with an interpreter that has LangChain's
tests and both clients. Nothing of Greenroom is imported here.
"""

import os
from base64 import b64decode
from typing import Any

import httpx
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

URL = os.environ["GREENROOM_URL"]
KEY = os.environ["GREENROOM_KEY"]


PNG = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYPhfDwAChAGA/0gN8wAAAABJRU5ErkJggg=="
)


@pytest.fixture(autouse=True)
def image(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests fetch from the internet, images and a PDF, as one pixel: they run without a network."""
    monkeypatch.setattr(httpx, "get", lambda *_, **__: httpx.Response(200, content=PNG))


class _Standard(ChatModelIntegrationTests):
    """What both have in common: everything that a scripted model can do."""

    @property
    def supports_json_mode(self) -> bool:
        return False

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_pdf_inputs(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return False

    @property
    def returns_usage_metadata(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return False

    @property
    def enable_vcr_tests(self) -> bool:
        return False

    @property
    def model_override_value(self) -> str:
        return "other"


class TestOpenAI(_Standard):
    """`langchain-openai` on `/v1/chat/completions`."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "main", "base_url": f"{URL}/v1", "api_key": KEY, "stream_usage": True}

    @property
    def supports_json_mode(self) -> bool:
        return True


class TestAnthropic(_Standard):
    """`langchain-anthropic` on `/v1/messages`."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatAnthropic

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "main", "base_url": URL, "api_key": KEY, "max_tokens": 300}

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_pdf_tool_message(self) -> bool:
        return True


class TestResponses(TestOpenAI):
    """`langchain-openai` on `/v1/responses`."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**super().chat_model_params, "use_responses_api": True}
