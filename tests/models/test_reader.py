from collections.abc import Mapping
from time import perf_counter
from typing import Any

import pytest
from msgspec.json import decode, encode

from greenroom.exchange import Caller, Exchange, Passage
from greenroom.grounding.passages import units
from greenroom.grounding.stems import language_of, tokens
from greenroom.models.reader import NAME, Reader
from greenroom.wire.openai import decode_chunk, decode_completion
from greenroom.wire.openai_request import parse_chat

PROVIDER = """A provider is an API that serves models. Add a table to `greenroom.toml`:

```toml
[providers.openai]
kind = "openai"
```

Start again afterwards. Unrelated closing words stand here."""
KEYS = """Para criar uma chave, use o comando:

- `greenroom keys create`
- anote a chave"""


@pytest.fixture
def reader() -> Reader:
    return Reader(tokens, language_of, units)


def ask(question: str, passages: Mapping[str, str], **fields: object) -> Exchange:
    body = {"model": "m", "messages": [{"role": "user", "content": question}], **fields}
    exchange = Exchange("x1", Caller(key_id="k"), parse_chat(encode(body)), "default")
    exchange.passages = [
        Passage(id=str(number), document="handbook.md", title=title, text=text, score=0.9)
        for number, (title, text) in enumerate(passages.items(), 1)
    ]
    return exchange


async def answer(reader: Reader, exchange: Exchange) -> str:
    reply = await reader(exchange)
    content = decode_completion(reply.body).choices[0].message.content
    assert content is not None
    return content


async def test_it_quotes_and_cites_the_passage_with_its_code_whole(reader: Reader) -> None:
    text = await answer(reader, ask("How do I add a provider?", {"Handbook › Add a provider": PROVIDER}))

    assert '> ```toml\n> [providers.openai]\n> kind = "openai"\n> ```' in text
    assert "[1]" in text
    assert "not a language model" in text
    assert "Unrelated" not in text


@pytest.mark.parametrize(
    ("question", "frame"),
    [
        ("How do I add a provider?", "The documents say:"),
        ("Como adicionar um provider?", "Os documentos dizem:"),
        ("¿Cómo se agrega un provider?", "Los documentos dicen:"),
    ],
)
async def test_the_frame_is_in_the_language_of_the_question(
    reader: Reader, question: str, frame: str
) -> None:
    assert (await answer(reader, ask(question, {"Add a provider": PROVIDER}))).startswith(frame)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("What is the weather?", "I found nothing"),
        ("Como está o tempo hoje?", "Não encontrei nada"),
        ("¿Qué tiempo hace hoy?", "No encontré nada"),
        ("", "I found nothing"),
    ],
)
async def test_what_is_not_there_is_said_not_to_be_there(reader: Reader, question: str, said: str) -> None:
    for passages in ({}, {"Keys": "Keys are shown once."}):
        text = await answer(reader, ask(question, passages))
        assert text.startswith(said)
        assert "greenroom docs add" in text
        assert "[1]" not in text


async def test_a_list_is_quoted_whole(reader: Reader) -> None:
    text = await answer(reader, ask("Como crio uma chave?", {"Chaves": KEYS}))

    assert "> Para criar uma chave, use o comando:\n>\n> - `greenroom keys create`\n> - anote a chave" in text


async def test_each_quotation_carries_its_own_number(reader: Reader) -> None:
    passages = {"A": "Elephants eat grass.", "B": "Lions sleep.", "C": "Elephants eat fruit, and grass."}

    text = await answer(reader, ask("What do elephants eat?", passages))

    assert "> Elephants eat grass. [1]" in text
    assert "> Elephants eat fruit, and grass. [3]" in text
    assert "[2]" not in text


async def test_the_same_question_has_the_same_answer(reader: Reader) -> None:
    passages = {"Add a provider": PROVIDER, "Chaves": KEYS}

    assert await answer(reader, ask("add provider", passages)) == await answer(
        reader, ask("add provider", passages)
    )


async def test_a_stream_says_what_the_whole_answer_says(reader: Reader) -> None:
    fields: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}, "n": 2}
    passages = {"Add a provider": PROVIDER}
    reply = await reader(ask("How do I add a provider?", passages, **fields))
    assert reply.chunks is not None
    chunks = [decode_chunk(one) async for batch in reply.chunks for one in batch]

    whole = await answer(reader, ask("How do I add a provider?", passages))
    for index in (0, 1):
        mine = [choice for one in chunks for choice in one.choices if choice.index == index]
        assert mine[0].delta is not None
        assert mine[0].delta.role == "assistant"
        assert "".join(one.delta.content or "" for one in mine if one.delta) == whole
        assert [one.finish_reason for one in mine if one.finish_reason] == ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert all(one.model == NAME for one in chunks)


async def test_json_mode_gives_an_object_with_answer_and_sources(reader: Reader) -> None:
    exchange = ask(
        "What do elephants eat?", {"A": "Elephants eat grass."}, response_format={"type": "json_object"}
    )

    found = decode(await answer(reader, exchange))

    assert set(found) == {"answer", "sources"}
    assert found["sources"] == [{"id": "1", "title": "A", "document": "handbook.md"}]


async def test_tools_n_and_max_tokens_are_honoured(reader: Reader) -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    exchange = ask("What do elephants eat?", {"A": "Elephants eat grass."}, tools=[tool], n=3, max_tokens=5)

    view = decode_completion((await reader(exchange)).body)

    assert len(view.choices) == 3
    assert all(one.finish_reason == "length" and len(one.message.content or "") <= 20 for one in view.choices)
    assert view.usage is not None
    assert view.usage.prompt_tokens
    assert view.usage.completion_tokens


async def test_six_full_passages_are_read_in_milliseconds(reader: Reader) -> None:
    filler = " ".join(f"Sentence {n} speaks of providers, models and limits." for n in range(24))
    exchange = ask("How do I add a provider?", {f"Part {n}": filler for n in range(6)})
    await reader(exchange)

    times = []
    for _ in range(5):
        began = perf_counter()
        await reader(exchange)
        times.append(perf_counter() - began)

    assert min(times) < 0.02
