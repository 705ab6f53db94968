"""What the routes of responses and conversations share: what is kept, who may see it, what it builds on."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec import DecodeError, ValidationError
from msgspec.json import Decoder

from greenroom.contracts import FileSearch
from greenroom.errors import Forbidden, MalformedRequest, NotFound, TooLarge
from greenroom.exchange import Caller, Exchange
from greenroom.gateway import pipeline
from greenroom.gateway.gateway import Gateway
from greenroom.grounding.attributes import Filter
from greenroom.grounding.index import DocumentIndex
from greenroom.server.messages import Counter
from greenroom.server.responses.masking import KEPT, hidden, redactor_of, shown
from greenroom.store.conversations import Conversation, StoredConversations
from greenroom.store.response_file import ResponseFile
from greenroom.store.responses import MOST_CONTEXT_BYTES, Row, StoredResponses, TooLong
from greenroom.wire import openai, openai_request
from greenroom.wire.responses_items import Item, Reference, file_ids
from greenroom.wire.responses_request import FileSearchTool, ResponsesRequest, is_given
from greenroom.wire.responses_talk import UploadedFile

AT_WORK = frozenset({"queued", "in_progress"})
STOPPED: Item = {
    "code": "server_error",
    "message": "The server stopped before the response was whole. Send the request again.",
}
"""The error of a response whose process has ended."""
_USUAL_RESULTS = 20
_MOST_FILE_BYTES = 20 * 1024 * 1024
"""Of uploaded files that one request brings before the model."""
_MEDIA = {
    ".pdf": "application/pdf", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
    ".gif": "image/gif", ".webp": "image/webp", ".txt": "text/plain", ".md": "text/markdown",
    ".csv": "text/csv", ".json": "text/json", ".html": "text/html", ".xml": "text/xml",
}  # fmt: skip
_HIDING = frozenset({"pii", "secrets"})
_filter = Decoder(Filter)


class Before(NamedTuple):
    """What a request builds on."""

    items: list[Item]
    """All that was said before, oldest first."""
    session: str | None
    """Whose masks those hold; None where nothing was said before."""
    files: Mapping[str, UploadedFile]
    search: FileSearch | None


class Desk:
    """The stores of responses and conversations, and what reads and writes them for a caller."""

    def __init__(
        self,
        gateway: Gateway,
        file: ResponseFile,
        index: DocumentIndex,
        masks: Callable[[str, str], Mapping[str, str]],
        capture: str,
        count: Counter,
    ) -> None:
        self.gateway = gateway
        self.file = file
        self.responses = StoredResponses(file)
        self.conversations = StoredConversations(file)
        self.capture = capture
        """What of texts is kept: "off" none, "full" without masks."""
        self.count = count
        self._index = index
        self._masks = masks

    # who may see what

    def may_see(self, caller: Caller, key: str) -> bool:
        """Whether a key sees what another key of its project made: not if it is limited to some apps."""
        return not caller.apps or caller.key_id == key

    def find(self, caller: Caller, id: str) -> Row:
        """A response. Blocks. Raises NotFound for one of another project, too."""
        row = self.responses.get(caller.project, id)
        if row is None or not self.may_see(caller, row.key):
            raise NotFound(f"There is no response '{id[:64]}'.", "response_id")
        return row

    def find_ended(self, caller: Caller, id: str) -> Row:
        """The same for one that this process does not make: failed where the one that did has died."""
        row = self.find(caller, id)
        if row.status in AT_WORK and self.responses.fail_unfinished(STOPPED):
            row = self.find(caller, id)
        return row

    def find_conversation(self, caller: Caller, id: str) -> Conversation:
        """A conversation. Blocks. Raises NotFound for one of another project, too."""
        found = self.conversations.get(caller.project, id)
        if found is None or not self.may_see(caller, found.key):
            raise NotFound(f"There is no conversation '{id[:64]}'.", "conversation_id")
        return found

    def check_keeping(self) -> None:
        """Raise Forbidden where no texts are kept."""
        if self.capture == "off":
            raise Forbidden(
                "This server keeps no texts: store.capture is 'off'. Send 'store': false and the whole "
                "conversation.",
                "store",
            )

    # what was said before

    async def before(self, caller: Caller, request: ResponsesRequest) -> Before:
        """What a request builds on, from the stores. References among its items are resolved in place.

        Raises: NotFound, Forbidden, MalformedRequest, TooLarge; StorageFull where nothing more may be kept.
        """
        if request.previous is not None or request.conversation is not None:
            self.check_keeping()
        references = any(isinstance(one, Reference) for one in request.items)
        names_files = bool(file_ids(one for one in request.items if isinstance(one, dict)))
        is_alone = request.previous is None and request.conversation is None
        if is_alone and not references and not names_files and request.file_search is None:
            return Before([], None, {}, None)
        return await asyncio.to_thread(self._before, caller, request)

    def _before(self, caller: Caller, request: ResponsesRequest) -> Before:
        items: list[Item] = []
        session: str | None = None
        try:
            if request.previous is not None:
                row = self._previous(caller, request.previous)
                session, items = row.session, self.responses.context(caller.project, row.id)
            elif request.conversation is not None:
                session = self.find_conversation(caller, request.conversation).id
                items = self.conversations.context(caller.project, session)
        except TooLong as error:
            raise TooLarge(
                f"What was said before takes {error.size_bytes:,} bytes; {MOST_CONTEXT_BYTES:,} is the most. "
                "Shorten it with /v1/responses/compact, or begin anew.",
                "previous_response_id",
            ) from None
        request.items = [
            self._referred(caller, one) if isinstance(one, Reference) else one for one in request.items
        ]
        files = self._files(caller, [*items, *(one for one in request.items if isinstance(one, dict))])
        search = None if request.file_search is None else self._search(caller, request.file_search)
        return Before(items, session, files, search)

    def _previous(self, caller: Caller, id: str) -> Row:
        try:
            row = self.find(caller, id)
        except NotFound:
            raise NotFound(
                f"There is no response '{id[:64]}' to go on from.", "previous_response_id"
            ) from None
        if row.status in AT_WORK:
            raise MalformedRequest(
                f"The response '{id[:64]}' is still being made. Wait for its end.", "previous_response_id"
            )
        return row

    def _referred(self, caller: Caller, reference: Reference) -> Item:
        found = self.responses.item(caller.project, reference.id)
        if found is None or not self.may_see(caller, found[2]):
            raise NotFound(f"There is no item '{reference.id[:64]}'.", f"input[{reference.place}]")
        return found[0]

    def _files(self, caller: Caller, items: Sequence[Item]) -> dict[str, UploadedFile]:
        room = _MOST_FILE_BYTES
        files: dict[str, UploadedFile] = {}
        for id in file_ids(items):
            self._check_files(caller)
            row = self._index.files.get(caller.project, id)
            if row is None:
                raise NotFound(f"There is no file '{id[:64]}'.", "input")
            room -= row.bytes
            if room < 0:
                raise TooLarge(
                    f"The files take more than {_MOST_FILE_BYTES // 1048576} MB together.", "input"
                )
            content = self._index.files.path(row).read_bytes()
            files[id] = UploadedFile(row.filename, _media(row.filename, content), content)
        return files

    def _check_files(self, caller: Caller) -> None:
        if caller.apps:
            raise Forbidden(
                "This key is limited to some apps; files and vector stores belong to the whole project. "
                "Use a key without such a limit."
            )

    def _search(self, caller: Caller, tool: FileSearchTool) -> FileSearch:
        self._check_files(caller)
        stores: list[tuple[str, str]] = []
        for id in dict.fromkeys(tool.vector_store_ids):
            row = self._index.stores.get(caller.project, id)
            if row is None:
                raise NotFound(f"There is no vector store '{id[:64]}'.", "tools")
            if row.is_expired:
                raise MalformedRequest(
                    f"The vector store '{id[:64]}' has expired. Set 'expires_after' anew, or make another.",
                    "tools",
                )
            stores.append((row.id, row.name))
        options = tool.ranking_options
        chosen = _filter_of(tool)
        within: list[tuple[tuple[str, ...], tuple[str, ...] | None]] = []
        if chosen is None:
            within.append((tuple(id for id, _ in stores), None))
        else:
            chosen_of = self._index.attachments.chosen
            within += [((id,), tuple(chosen_of(caller.project, id, chosen))) for id, _ in stores]
        return FileSearch(
            within=tuple(within),
            limit=tool.max_num_results or _USUAL_RESULTS,
            min_score=(options.score_threshold or 0.0) if options is not None else 0.0,
            stores=tuple(stores),
        )

    # masks

    async def hide(self, caller: Caller, items: Sequence[Item], session: str) -> list[Item]:
        """Items that no exchange looked over, with masks in their texts, as the default app puts them."""
        texts = [text for item in items for text in texts_of(item)]
        if self.capture == "full" or not texts:
            return list(items)
        app = self.gateway.rooms.find("default")
        steps = tuple(entry for entry in app.steps if entry.step.name in _HIDING)
        said = [{"role": "user", "content": text} for text in texts]
        body = openai_request.parse_chat(openai.encode({"model": "default", "messages": said}))
        exchange = Exchange(self.gateway.new_id(), caller, body, app.name, "responses", session=session)
        await pipeline.prepare(exchange, app._replace(steps=steps), keep_going=True)
        return hidden(redactor_of(exchange), items)

    def reveal(self, project: str, session: str, items: list[Item]) -> list[Item]:
        """Items as their client knows them, as long as what their masks stand for is remembered."""
        found: list[Item] = shown(items, self._masks(project, session))
        return found

    def revealed(self, project: str, session: str, item: Item) -> Item:
        """The same for one."""
        found: Item = shown(item, self._masks(project, session))
        return found


def _filter_of(tool: FileSearchTool) -> Filter | None:
    if not is_given(tool.filters):
        return None
    try:
        found = _filter.decode(tool.filters)
    except (ValidationError, DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise openai_request.malformed(error, bytes(tool.filters), "tools.filters") from None
    found.check()
    return found


def _media(filename: str, content: bytes) -> str:
    """What kind of bytes a file is, by its name, else by whether it is text."""
    known = _MEDIA.get("." + filename.rpartition(".")[2].lower())
    if known is not None:
        return known
    try:
        content.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "text/plain"


def texts_of(item: Item) -> list[str]:
    """All prose of an item."""
    if item["type"] == "message":
        return [str(part.get("text") or part.get("refusal") or "") for part in item["content"]]
    if item["type"] == "function_call":
        return [item["arguments"]]
    if item["type"] == "function_call_output":
        output = item["output"]
        return [output] if isinstance(output, str) else [part.get("text", "") for part in output]
    if item["type"] == "reasoning":
        return [part["text"] for part in (*item.get("summary", ()), *(item.get("content") or ()))]
    return _strings(item)


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for name, one in value.items() if name not in KEPT for text in _strings(one)]
    return [text for one in value for text in _strings(one)] if isinstance(value, list) else []
