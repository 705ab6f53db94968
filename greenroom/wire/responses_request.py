"""Bodies of `POST /v1/responses` and its kin: read, checked, and turned into chat bodies.

Sans-io. What an answer repeats of its request (`echo`) is made here too, with the defaults the dialect names.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import DecodeError, Meta, Raw, Struct
from msgspec.json import Decoder, Encoder

from greenroom.errors import MalformedRequest, TooLarge
from greenroom.wire.openai_request import MANY_BYTES, MAX_KEYS, malformed
from greenroom.wire.repeated_keys import refuse_repeated_keys
from greenroom.wire.responses_items import Item, ItemIds, Reference, read_items

INCLUDES = (
    "file_search_call.results", "web_search_call.results", "web_search_call.action.sources",
    "message.input_image.image_url", "computer_call_output.output.image_url", "code_interpreter_call.outputs",
    "reasoning.encrypted_content", "message.output_text.logprobs",
)  # fmt: skip
_MOST_STORES = 20
_MOST_TOOLS = 256
_DROPPABLE = re.compile(r"[a-z0-9_]{1,64}\Z").match
_MOST_DROPPED = 20

_Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=16)
]
_Id = Annotated[str, Meta(min_length=1, max_length=128)]
_Any = dict[str, Any]  # Any: a JSON Schema or a filter, read by whoever knows it


class _ConversationId(Struct):
    id: _Id


class Reasoning(Struct):
    """How much the model thinks, and what of it is told."""

    effort: Annotated[str, Meta(max_length=32)] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class TextFormat(Struct):
    """The form of the answer's text."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    schema: _Any | None = None
    strict: bool | None = None
    description: str | None = None


class TextConfig(Struct):
    """`text` of a request."""

    format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class FunctionTool(Struct, tag_field="type", tag="function"):
    """A function that the client runs."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    parameters: _Any | None = None
    strict: bool | None = None
    description: str | None = None


class RankingOptions(Struct):
    """How passages are chosen."""

    ranker: str | None = None
    score_threshold: Annotated[float, Meta(ge=0, le=1)] | None = None


class FileSearchTool(Struct, tag_field="type", tag="file_search"):
    """A search in vector stores, run here before the model is asked."""

    vector_store_ids: Annotated[list[_Id], Meta(min_length=1, max_length=_MOST_STORES)]
    max_num_results: Annotated[int, Meta(ge=1, le=50)] | None = None
    filters: Raw = Raw()
    ranking_options: RankingOptions | None = None


class _ToolKind(Struct):
    type: str = ""


class ToolChoice(Struct):
    """Which tool the model has to call, or may."""

    type: str
    name: str | None = None
    mode: Literal["auto", "required"] | None = None
    tools: list[_Any] | None = None


class _StreamOptions(Struct):
    include_obfuscation: bool | None = None


class _Body(Struct):
    model: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    input: Raw = Raw()
    instructions: str | list[Raw] | None = None
    previous_response_id: _Id | None = None
    conversation: _Id | _ConversationId | None = None
    tools: Annotated[list[Raw], Meta(max_length=_MOST_TOOLS)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: Annotated[int, Meta(ge=0)] | None = None
    max_output_tokens: Annotated[int, Meta(ge=0)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    text: TextConfig | None = None
    reasoning: Reasoning | None = None
    include: list[str] | None = None
    store: bool | None = None
    background: bool | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    truncation: Literal["auto", "disabled"] | None = None
    prompt: Raw = Raw()
    metadata: _Metadata | None = None
    user: Annotated[str, Meta(max_length=512)] | None = None
    safety_identifier: Annotated[str, Meta(max_length=512)] | None = None
    service_tier: Annotated[str, Meta(max_length=32)] | None = None
    prompt_cache_key: Annotated[str, Meta(max_length=1024)] | None = None


class _Prompt(Struct):
    id: Annotated[str, Meta(min_length=1)]
    version: str | int | None = None
    variables: _Any | None = None


_prompt = Decoder(_Prompt)
_KNOWN = frozenset(_Body.__struct_fields__)
_body = Decoder(_Body)
_keys: Decoder[dict[str, Raw]] = Decoder(dict[str, Raw])
_kind = Decoder(_ToolKind)
_tool: Decoder[FunctionTool | FileSearchTool] = Decoder(FunctionTool | FileSearchTool)
_encode = Encoder().encode


class ResponsesRequest(Struct, eq=False):
    """What a body asks for. `items` are those of the body itself, not of turns before."""

    body: _Body
    model: str
    items: list[Item | Reference]
    tools: list[FunctionTool]
    file_search: FileSearchTool | None
    conversation: str | None
    dropped: list[str]
    """Fields that are not carried out here."""

    @property
    def stream(self) -> bool:
        return bool(self.body.stream)

    @property
    def background(self) -> bool:
        return bool(self.body.background)

    @property
    def store(self) -> bool:
        return self.body.store is not False

    @property
    def previous(self) -> str | None:
        return self.body.previous_response_id

    @property
    def metadata(self) -> dict[str, str]:
        return self.body.metadata or {}

    def includes(self, what: str) -> bool:
        """Whether the answer is to hold this, too."""
        return what in (self.body.include or ())


def read_request(
    raw: bytes, ids: ItemIds, *, needs_model: bool = False, needs_input: bool = True
) -> ResponsesRequest:
    """Read and check a body.

    Raises: MalformedRequest with field and place; TooLarge for very many keys or items.
    """
    if len(raw) > MANY_BYTES and raw.count(b'":') > MAX_KEYS:
        raise TooLarge(f"The body has more than {MAX_KEYS} keys.")
    try:
        if not raw.isascii():
            raw.decode()
        body = _body.decode(raw)
        given = _keys.decode(raw)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error, raw) from None
    refuse_repeated_keys(raw)
    _refuse_contradictions(body, needs_model=needs_model)
    dropped = [
        name for name, value in given.items()
        if name not in _KNOWN and bytes(value) not in {b"null", b"{}", b"[]"} and _DROPPABLE(name)
    ]  # fmt: skip
    tools, search = _read_tools(body)
    conversation = body.conversation
    request = ResponsesRequest(
        body=body,
        model=body.model or "default",
        items=read_items(bytes(body.input), ids, field="input") if is_given(body.input) else [],
        tools=tools,
        file_search=search,
        conversation=conversation.id if isinstance(conversation, _ConversationId) else conversation,
        dropped=dropped[:_MOST_DROPPED],
    )
    if isinstance(body.instructions, list):
        # A list of items instead of a text: they stand before all others.
        said = read_items(_encode(body.instructions), ids, field="instructions")
        request.items[:0] = said
        body.instructions = None
    is_empty = not request.items and not body.instructions and not is_given(body.prompt)
    if needs_input and is_empty and request.previous is None and conversation is None:
        raise MalformedRequest("'input' is missing: send a text or a list of items.", "input")
    return request


def is_given(raw: Raw) -> bool:
    """Whether a field came, and not as null."""
    return bytes(raw) not in {b"", b"null"}


def _refuse_contradictions(body: _Body, *, needs_model: bool) -> None:
    if needs_model and body.model is None:
        raise MalformedRequest("'model' is missing.", "model")
    if body.previous_response_id is not None and body.conversation is not None:
        raise MalformedRequest(
            "'previous_response_id' and 'conversation' exclude each other: send one of them.",
            "previous_response_id",
        )
    if is_given(body.prompt):
        try:
            _prompt.decode(body.prompt)
        except (DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise malformed(error, bytes(body.prompt), "prompt") from None
    if body.background and body.store is False:
        raise MalformedRequest(
            "'background' needs 'store': a response must be kept to be fetched.", "background"
        )
    if body.conversation is not None and body.store is False:
        raise MalformedRequest("'conversation' needs 'store': what is said is added to it.", "conversation")
    for name in body.include or ():
        if name not in INCLUDES:
            known = ", ".join(INCLUDES)
            raise MalformedRequest(f"'include' does not know '{name[:64]}'. Known: {known}.", "include")
    form = body.text.format if body.text is not None else None
    if form is not None and form.type == "json_schema" and (form.name is None or form.schema is None):
        missing = "name" if form.name is None else "schema"
        raise MalformedRequest(f"'text.format.{missing}' is missing.", f"text.format.{missing}")


def _read_tools(body: _Body) -> tuple[list[FunctionTool], FileSearchTool | None]:
    functions: list[FunctionTool] = []
    search: FileSearchTool | None = None
    for place, raw in enumerate(body.tools or ()):
        within = f"tools[{place}]"
        try:
            kind = _kind.decode(raw).type
            if kind not in {"function", "file_search"}:
                raise MalformedRequest(
                    f"The tool '{kind[:64]}' is not served here. 'function' and 'file_search' are.",
                    f"{within}.type",
                )
            tool = _tool.decode(raw)
        except (DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise malformed(error, bytes(raw), within) from None
        if isinstance(tool, FunctionTool):
            functions.append(tool)
        elif search is not None:
            raise MalformedRequest(
                "'file_search' stands twice. Name all vector stores in one.", f"{within}.type"
            )
        else:
            search = tool
    return functions, search


# conversations


class NewConversation(Struct, kw_only=True):
    """Body of `POST /v1/conversations`."""

    items: list[Raw] | None = None
    metadata: _Metadata | None = None


class ConversationChange(Struct, kw_only=True):
    """Body of `POST /v1/conversations/{id}`."""

    metadata: _Metadata | None


class NewItems(Struct, kw_only=True):
    """Body of `POST /v1/conversations/{id}/items`."""

    items: Annotated[list[Raw], Meta(min_length=1)]


MOST_NEW_ITEMS = 20


def read_new_items(raws: Sequence[Raw], ids: ItemIds) -> list[Item | Reference]:
    """Items for a conversation. Raises: MalformedRequest; TooLarge for more than 20."""
    if len(raws) > MOST_NEW_ITEMS:
        raise MalformedRequest(f"'items' may hold {MOST_NEW_ITEMS} at a time.", "items")
    return read_items(_encode(list(raws)), ids, field="items")
