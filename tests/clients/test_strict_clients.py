"""Every claimed route by clients that refuse an answer whose shape is not that of their own types.

The clients' whole test suites are run by `scripts/compatibility.py`; this is the part that needs neither them nor
minutes.
"""

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from pydantic import BaseModel

from tests.clients.scripted_model import ScriptedModel
from tests.server_process import ServerProcess

pytestmark = pytest.mark.slow  # starts a process

# The clients check what they are given and what they get: Any keeps their many types out of this file.
HELLO: Any = [{"role": "user", "content": "Say 'good morning'."}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "add_numbers",
        "description": "Adds.",
        "parameters": {"type": "object", "properties": {"first": {"type": "integer"}}, "required": ["first"]},
    },
}
CALLED: Any = [{"role": "user", "content": "Call add_numbers with 42."}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ScriptedModel() as model:
        config = (
            f'[providers.up]\nkind = "openai_compatible"\nbase_url = "{model.base_url}"\n'
            '[models.main]\ntargets = ["up/scripted"]\n'
        )
        with ServerProcess(tmp_path_factory.mktemp("strict") / "data", config) as running:
            yield running


@pytest.fixture
def client(server: ServerProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{server.url}/v1", api_key=server.local_key, max_retries=0, _strict_response_validation=True
    ) as made:
        yield made


@pytest.fixture
def claude(server: ServerProcess) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        base_url=server.url, api_key=server.local_key, max_retries=0, _strict_response_validation=True
    ) as made:
        yield made


def test_chat_completions(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="main", messages=HELLO, n=2, logprobs=True)
    stream = client.chat.completions.create(model="main", messages=HELLO, stream=True)
    called = client.chat.completions.create(model="main", messages=CALLED, tools=[TOOL])

    assert [one.index for one in answer.choices] == [0, 1]
    said = "".join(choice.delta.content or "" for piece in stream for choice in piece.choices)
    assert said == answer.choices[0].message.content == "I heard: Say 'good morning'."
    (call,) = called.choices[0].message.model_dump()["tool_calls"]
    assert call["function"] == {"name": "add_numbers", "arguments": '{"first": 42}'}


class Greeting(BaseModel):
    words: str
    times: int


def test_structured_output(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(model="main", messages=HELLO, response_format=Greeting)

    assert answer.choices[0].message.parsed == Greeting(words="good morning", times=1)


def test_completions(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="main", prompt=["One.", "Two."], logprobs=2, max_tokens=50)
    with openai.OpenAI(
        base_url=client.base_url, api_key=client.api_key
    ) as loose:  # null is no reason to its type
        stream = loose.completions.create(model="main", prompt="One.", stream=True, max_tokens=50)
        said = "".join(choice.text for piece in stream for choice in piece.choices)

    assert said == "I heard: One."
    assert [one.text for one in answer.choices] == ["I heard: One.", "I heard: Two."]
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens == ["I", " heard:", " One."]


def test_embeddings_moderations_and_models(client: openai.OpenAI) -> None:
    vectors = client.embeddings.create(model="main", input=["a", "b"], dimensions=3, encoding_format="float")
    verdict = client.moderations.create(input="Good morning.")

    assert [len(one.embedding) for one in vectors.data] == [3, 3]
    assert verdict.results[0].flagged is False
    assert client.models.retrieve("main").id == "main"
    assert "main" in [one.id for one in client.models.list()]


def test_files_and_vector_stores(client: openai.OpenAI) -> None:
    file = client.files.create(file=("a.txt", b"The gate opens at nine."), purpose="assistants")
    store = client.vector_stores.create(name="gate")
    batch = client.vector_stores.file_batches.create_and_poll(store.id, file_ids=[file.id])

    assert batch.file_counts.completed == 1
    assert [one.id for one in client.vector_stores.files.list(store.id)] == [file.id]
    assert client.vector_stores.search(store.id, query="When does the gate open?").data[0].file_id == file.id
    assert client.vector_stores.files.list(store.id, limit=0).data == []
    assert client.vector_stores.delete(store.id).deleted


def test_a_batch_of_nothing_is_complete(client: openai.OpenAI) -> None:
    store = client.vector_stores.create()

    batch = client.vector_stores.file_batches.create(store.id)

    assert (batch.status, batch.file_counts.total) == ("completed", 0)


def test_responses_and_conversations(client: openai.OpenAI) -> None:
    conversation = client.conversations.create()
    first = client.responses.create(model="main", input="Hello.", conversation=conversation.id)
    with client.responses.stream(model="main", input="And again.", previous_response_id=None) as events:
        second = events.get_final_response()

    assert first.output_text == "I heard: Hello."
    assert second.output_text == "I heard: And again."
    assert client.responses.retrieve(first.id).id == first.id
    assert [one.type for one in client.responses.input_items.list(first.id)] == ["message"]
    assert len(list(client.conversations.items.list(conversation.id))) == 2


def test_messages(claude: anthropic.Anthropic) -> None:
    tool: Any = {"name": "add_numbers", "input_schema": TOOL["function"]["parameters"]}
    answer = claude.messages.create(model="main", max_tokens=50, messages=HELLO)
    with claude.messages.stream(model="main", max_tokens=50, messages=CALLED, tools=[tool]) as events:
        called = events.get_final_message()
    count = claude.messages.count_tokens(model="main", messages=HELLO)

    assert [one.type for one in answer.content] == ["text"]
    assert [one.input for one in called.content if one.type == "tool_use"] == [{"first": 42}]
    assert count.input_tokens > 0
    assert claude.models.retrieve("main").id == "main"
