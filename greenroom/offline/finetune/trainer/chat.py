"""Rows of conversations into tokens, with a label for each: which ones the model learns to say.

A chat template with generation marks says itself what the assistant said. Others are asked again and again
with ever more of the conversation; what an answer adds is what is learned. An assistant message of weight 0
is read, but not learned.
"""

import contextlib
import functools
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from transformers import PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import render_jinja_template

from greenroom.offline.finetune.trainer.folder import Row

IGNORED = -100
"""The label of tokens that are read only: what torch's cross-entropy leaves out."""
Message = dict[str, Any]  # Any: as OpenAI's clients write it
ROLES = {"developer": "system", "function": "tool"}

_TURNS = """\
{%- if tools %}
{{- start + 'system\\n' }}
{%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n' }}{%- endif %}
{{- '<tools>' }}
{%- for tool in tools %}{{- '\\n' + (tool | tojson) }}{%- endfor %}
{{- '\\n</tools>' + end + '\\n' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'assistant' %}
{{- start + 'assistant\\n' }}
{%- generation %}
{{- message.content or '' }}
{%- for call in message.tool_calls or [] %}
{{- '<tool_call>\\n{"name": ' + (call.function.name | tojson) + ', "arguments": ' }}
{{- (call.function.arguments | tojson) + '}\\n</tool_call>' }}
{%- endfor %}
{{- end }}
{%- endgeneration %}
{{- '\\n' }}
{%- elif not (loop.first and tools and message.role == 'system') %}
{{- start + message.role + '\\n' + (message.content or '') + end + '\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- start + 'assistant\\n' }}{%- endif %}
"""
START, END = "<|im_start|>", "<|im_end|>"
CHATML = f"{{%- set start = '{START}' %}}\n{{%- set end = '{END}' %}}\n{_TURNS}"
"""The template of models from nothing. Calls of tools are written as Hermes models do, which engines know."""
PLAIN = f"{{%- set start = '### ' %}}\n{{%- set end = eos_token %}}\n{_TURNS}"
"""For a base without a template, whose vocabulary lacks the marks above."""
_MARK = re.compile(r"\{%(-?)\s*(end)?generation\s*(-?)%\}")


class Tokens(NamedTuple):
    """A row: token ids, and as many labels, which are the ids or IGNORED."""

    ids: list[int]
    labels: list[int]

    @property
    def learned(self) -> int:
        """Tokens that the loss counts."""
        return sum(label != IGNORED for label in self.labels)


class Pair(NamedTuple):
    """A preference: token ids of the conversation, of the better answer, of the worse."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]

    @property
    def longest(self) -> int:
        return len(self.prompt) + max(len(self.chosen), len(self.rejected))


class Chat:
    """Renders conversations by a tokenizer's template and cuts them into tokens."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._template: str = tokenizer.get_chat_template()
        self._marked = _MARK.search(self._template) is not None
        self._render = functools.partial(
            render_jinja_template, chat_template=self._template, **tokenizer.special_tokens_map
        )

    def row(self, row: Row) -> Tokens:
        """One row of supervised training."""
        messages, tools = [plain(message) for message in row["messages"]], row.get("tools")
        text, spans = self._marked_spans(messages, tools) if self._marked else ("", [])
        answers = [message for message in messages if message["role"] == "assistant"]
        if len(spans) != len(answers):
            text, spans = self._grown_spans(messages, tools)
        learned = [
            span
            for span, answer in zip(spans, answers, strict=True)
            if span is not None and answer.get("weight", 1) != 0
        ]
        return self._cut(text, learned)

    def pair(self, row: Row) -> Pair:
        """One row of preferences."""
        tools = row["input"].get("tools")
        asked = [plain(message) for message in row["input"]["messages"]]
        prompt = self._text(asked, tools, prompt=True)
        ids = self._encode(prompt)
        return Pair(
            ids,
            *(
                self._encode(
                    self._text([*asked, *map(plain, row[side])], tools).removeprefix(prompt).rstrip("\n")
                )
                for side in ("preferred_output", "non_preferred_output")
            ),
        )

    def _text(self, messages: list[Message], tools: Any, *, prompt: bool = False) -> str:  # Any: JSON
        texts, _ = self._render(conversations=[messages], tools=tools, add_generation_prompt=prompt)
        return str(texts[0])

    def _marked_spans(self, messages: list[Message], tools: Any) -> tuple[str, list[Any]]:  # Any: JSON
        texts, spans = self._render(conversations=[messages], tools=tools, return_assistant_tokens_mask=True)
        return texts[0], spans[0]

    def _grown_spans(
        self, messages: list[Message], tools: Any
    ) -> tuple[str, list[tuple[int, int] | None]]:  # Any: JSON
        """Spans of the answers; None for one whose turn the template writes differently later on."""
        text = self._text(messages, tools)
        spans: list[tuple[int, int] | None] = []
        for number, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = self._text(messages[:number], tools, prompt=True)
            after = self._text(messages[: number + 1], tools).rstrip("\n")
            grows = text.startswith(after) and after.startswith(before)
            spans.append((len(before), len(after)) if grows else None)
        return text, spans

    def _cut(self, text: str, learned: Sequence[tuple[int, int]]) -> Tokens:
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids: list[int] = encoded["input_ids"]
        labels = [IGNORED] * len(ids)
        spans = iter(learned)
        start, end = next(spans, (len(text) + 1, len(text) + 1))
        for place, (first, _) in enumerate(encoded["offset_mapping"]):
            while first >= end:
                start, end = next(spans, (len(text) + 1, len(text) + 1))
            if start <= first:
                labels[place] = ids[place]
        return Tokens(ids, labels)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def plain(message: Message) -> Message:
    """A message as templates expect it: known roles, content as text, arguments of calls as objects."""
    told = {**message, "role": ROLES.get(message["role"], message["role"])}
    if isinstance(told.get("content"), list):
        told["content"] = "".join(part.get("text", "") for part in told["content"])
    if told.get("tool_calls"):
        told["tool_calls"] = [_call(call) for call in told["tool_calls"]]
    elif told.get("content") is None:
        told["content"] = ""
    return told


def without_marks(template: str) -> str:
    """A template as engines read it: conditions that always hold stand where generation marks stood."""
    return _MARK.sub(lambda mark: f"{{%{mark[1]} {'endif' if mark[2] else 'if true'} {mark[3]}%}}", template)


def _call(call: dict[str, Any]) -> dict[str, Any]:  # Any: as OpenAI's clients write it
    function = dict(call["function"])
    if isinstance(function.get("arguments"), str):
        with contextlib.suppress(json.JSONDecodeError):  # what is no JSON is learned as it was said
            function["arguments"] = json.loads(function["arguments"])
    return {**call, "function": function}
