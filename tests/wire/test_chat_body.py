"""A chat body read for translation: what is hidden, what only a front says, what no dialect carries."""

import json
from typing import Any

import pytest

from greenroom.wire.bedrock_request import to_converse
from greenroom.wire.chat_body import parts_of, read_body
from greenroom.wire.cohere_request import to_chat
from greenroom.wire.gemini_request import to_generate_content

HI = {"role": "user", "content": "Hi"}
CODECS = pytest.mark.parametrize("translate", [to_generate_content, to_converse, to_chat])


@CODECS
@pytest.mark.parametrize(
    "thinking",
    [
        {"thinking_blocks": [{"type": "thinking", "thinking": "of Ana Lima", "signature": "x"}]},
        {"reasoning_content": "of Ana Lima"},
    ],
    ids=["signed", "plain"],
)
def test_thinking_that_holds_what_was_masked_goes_nowhere(translate: Any, thinking: Any) -> None:
    body = json.dumps({"messages": [HI, {"role": "assistant", "content": "x", **thinking}, HI]}).encode()

    made, lost = translate(body, "m", hidden=["Ana Lima"])

    assert b"Ana Lima" not in made
    assert "thinking_blocks" in lost


@CODECS
def test_what_only_a_front_says_is_named(translate: Any) -> None:
    part = {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64,AA"},
        "native": {"transformations": {}},
    }
    tool = {"type": "function", "function": {"name": "f"}, "native": {"input_examples": []}}
    chat = {
        "messages": [{"role": "user", "content": [part]}],
        "tools": [tool, {"type": "bash_20250124", "native": {"type": "bash_20250124"}}],
        "native": {"anthropic-version": "2023-06-01", "anthropic-beta": "b", "container": "c"},
    }

    _, lost = translate(json.dumps(chat).encode(), "m")

    assert set(lost) == {
        "anthropic-beta", "container", "image.transformations", "tools.input_examples", "tools.bash_20250124",
    }  # fmt: skip


def test_a_documents_title_stands_before_its_text() -> None:
    part = {"type": "text", "text": "No shoes.", "native": {"document": {"title": "Rules"}}}

    assert parts_of([part], "messages[0]", "Nobody")[0].text == "Rules\n\nNo shoes."


@pytest.mark.parametrize("value", ["null", "false", "0", "{}", "[]", '""', '["text"]'])
def test_fields_that_say_nothing_are_not_lost(value: str) -> None:
    body = f'{{"messages":[],"modalities":{value}}}'.encode()

    assert read_body(body).not_in(frozenset()) == []
