"""Rows into tokens: what the model learns to say, and what it only reads."""

from typing import Any

import pytest

from tests.offline.finetune.needs import needs_training

pytestmark = [pytest.mark.finetune, pytest.mark.slow, needs_training]  # torch takes seconds to load

ASKED = {"role": "user", "content": "Where is the lamp?"}
ANSWERS = [
    {"role": "assistant", "content": "In the hall."},
    {"role": "assistant", "content": "It is gone.", "weight": 0},
]
TALK = {"messages": [ASKED, ANSWERS[0], {"role": "user", "content": "And now?"}, ANSWERS[1]]}
UNMARKED = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FORGETFUL = (
    "{% for message in messages %}{% if loop.last or message.role != 'assistant' %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:  # Any: Transformers'
    from greenroom.offline.finetune.trainer.scratch import learn_tokenizer

    texts = ["Where is the lamp? In the hall. And now? It is gone. Olá, você está aqui. 1234567890"] * 4
    return learn_tokenizer(texts, 320)


def learned(tokenizer: Any, row: dict[str, Any], template: str | None = None) -> str:
    from greenroom.offline.finetune.trainer.chat import IGNORED, Chat

    if template is not None:
        tokenizer.chat_template = template
    tokens = Chat(tokenizer).row(row)
    return str(tokenizer.decode([label for label in tokens.labels if label != IGNORED]))


@pytest.fixture(autouse=True)
def _own_template(tokenizer: Any) -> Any:
    from greenroom.offline.finetune.trainer.chat import CHATML

    yield
    tokenizer.chat_template = CHATML


@pytest.mark.parametrize("template", [None, UNMARKED], ids=["marked", "unmarked"])
def test_only_answers_that_count_are_learned_with_the_mark_that_ends_them(
    tokenizer: Any, template: str | None
) -> None:
    assert learned(tokenizer, TALK, template) == "In the hall.<|im_end|>"


def test_an_answer_that_a_template_leaves_out_later_on_is_not_learned(tokenizer: Any) -> None:
    twice = {"messages": [ASKED, ANSWERS[0], ASKED, {"role": "assistant", "content": "Gone."}]}

    assert learned(tokenizer, twice, FORGETFUL) == "Gone.<|im_end|>"


def test_a_call_of_a_tool_is_learned_with_its_arguments_as_json(tokenizer: Any) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "lamp", "arguments": '{"to": 40}'}}
    tool = {"type": "function", "function": {"name": "lamp", "parameters": {"type": "object"}}}
    row = {"messages": [ASKED, {"role": "assistant", "tool_calls": [call]}], "tools": [tool]}

    said = learned(tokenizer, row)

    assert said == '<tool_call>\n{"name": "lamp", "arguments": {"to": 40}}\n</tool_call><|im_end|>'


def test_content_in_parts_and_the_developer_s_role_are_read(tokenizer: Any) -> None:
    from greenroom.offline.finetune.trainer.chat import Chat

    row = {
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Where?"}]},
            {"role": "assistant", "content": "Here."},
        ]
    }

    text = tokenizer.decode(Chat(tokenizer).row(row).ids)

    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhere?<|im_end|>")


def test_a_pair_shares_its_prompt_and_ends_both_answers(tokenizer: Any) -> None:
    from greenroom.offline.finetune.trainer.chat import Chat

    pair = Chat(tokenizer).pair(
        {
            "input": {"messages": [ASKED]},
            "preferred_output": [ANSWERS[0]],
            "non_preferred_output": [ANSWERS[1]],
        }
    )

    assert tokenizer.decode(pair.prompt).endswith("<|im_start|>assistant\n")
    assert tokenizer.decode(pair.chosen) == "In the hall.<|im_end|>"
    assert tokenizer.decode(pair.rejected) == "It is gone.<|im_end|>"


def test_a_template_without_marks_writes_what_the_marked_one_writes(tokenizer: Any) -> None:
    from greenroom.offline.finetune.trainer.chat import CHATML, without_marks

    marked = tokenizer.apply_chat_template(TALK["messages"], tokenize=False)
    tokenizer.chat_template = without_marks(CHATML)

    assert "generation %}" not in tokenizer.chat_template
    assert tokenizer.apply_chat_template(TALK["messages"], tokenize=False) == marked


def test_a_base_without_a_template_gets_one_that_ends_with_its_own_mark(tokenizer: Any) -> None:
    from greenroom.offline.finetune.trainer.chat import PLAIN

    assert learned(tokenizer, TALK, PLAIN) == "In the hall.<|im_end|>"
    assert "### user\nWhere" in tokenizer.apply_chat_template(TALK["messages"], tokenize=False)


def test_every_text_can_be_written_and_digits_stand_alone(tokenizer: Any) -> None:
    ids = tokenizer("Você 日本 407 🙂", add_special_tokens=False)["input_ids"]

    assert tokenizer.decode(ids) == "Você 日本 407 🙂"
    assert {"4", "0", "7"} <= set(tokenizer.convert_ids_to_tokens(ids))
