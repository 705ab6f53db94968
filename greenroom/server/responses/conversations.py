"""`/v1/conversations`: made, filled, read and deleted."""

from functools import partial

from msgspec.json import Decoder
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from greenroom.errors import MalformedRequest, NotFound
from greenroom.exchange import Caller
from greenroom.server.responses.desk import Desk
from greenroom.server.responses.paging import listed, page_of, paged, told_item
from greenroom.server.routing import Doc, json_answer, read_body
from greenroom.store.conversations import MOST_ITEMS, Conversation, ConversationFull
from greenroom.wire.responses_items import Item, ItemIds, Reference
from greenroom.wire.responses_request import ConversationChange, NewConversation, NewItems, read_new_items

_ALL = "/v1/conversations"
_ONE = _ALL + "/{conversation_id}"
_ITEMS = _ONE + "/items"
_ITEM = _ITEMS + "/{item_id}"
_BODY_BYTES = 20 * 1024 * 1024
_new = Decoder(NewConversation)
_change = Decoder(ConversationChange)
_items = Decoder(NewItems)


class ConversationRoutes:
    """Answers for conversations; each belongs to the project of the key that made it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._conversations = desk.conversations

    def docs(self) -> tuple[Doc, ...]:
        """The routes."""
        listing = ("limit", "order", "after", "include[]")
        return (
            Doc(_ALL, "POST", "app", "Make a conversation.", self._create, (), NewConversation),
            Doc(_ONE, "GET", "app", "Read a conversation.", self._get),
            Doc(
                _ONE, "POST", "app", "Change a conversation's metadata.", self._update, (), ConversationChange
            ),
            Doc(_ONE, "DELETE", "app", "Delete a conversation and its items.", self._delete),
            Doc(_ITEMS, "POST", "app", "Add items to a conversation.", self._add, ("include[]",), NewItems),
            Doc(_ITEMS, "GET", "app", "List the items of a conversation.", self._list, listing),
            Doc(_ITEM, "GET", "app", "Read an item of a conversation.", self._get_item, ("include[]",)),
            Doc(_ITEM, "DELETE", "app", "Take an item out of a conversation.", self._remove),
        )

    async def _create(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        self._desk.check_keeping()
        body = await read_body(request, _new, _BODY_BYTES) if await request.body() else NewConversation()
        await run_in_threadpool(self._desk.file.check_room, caller.project)
        base = self._desk.gateway.new_id()
        id = f"conv_{base}"
        items = await self._taken(caller, read_new_items(body.items or [], ItemIds(base)), id)
        create = partial(
            self._conversations.create, id, caller.project, caller.key_id, body.metadata or {}, items
        )
        return json_answer(_shown(await run_in_threadpool(create)))

    async def _get(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        return json_answer(_shown(await self._found(request, caller)))

    async def _update(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        body = await read_body(request, _change)
        found = await self._found(request, caller)
        metadata = body.metadata or {}
        await run_in_threadpool(self._conversations.update, caller.project, found.id, metadata)
        return json_answer(_shown(found._replace(metadata=metadata)))

    async def _delete(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        found = await self._found(request, caller)
        await run_in_threadpool(self._conversations.delete, caller.project, found.id)
        return json_answer({"id": found.id, "object": "conversation.deleted", "deleted": True})

    # items

    async def _add(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        self._desk.check_keeping()
        body = await read_body(request, _items, _BODY_BYTES)
        found = await self._found(request, caller)
        await run_in_threadpool(self._desk.file.check_room, caller.project)
        new = read_new_items(body.items, ItemIds(self._desk.gateway.new_id()))
        items = await self._taken(caller, new, found.id)
        try:
            known = await run_in_threadpool(self._conversations.add, caller.project, found.id, items)
        except ConversationFull:
            raise MalformedRequest(
                f"A conversation holds {MOST_ITEMS:,} items at most. Begin another.", "items"
            ) from None
        if not known:
            raise NotFound(f"There is no conversation '{found.id}'.", "conversation_id")
        return json_answer(listed(self._desk.reveal(caller.project, found.id, items), has_more=False))

    async def _list(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        found = await self._found(request, caller)
        page = page_of(request.query_params)
        items = await run_in_threadpool(
            self._conversations.items,
            caller.project, found.id, limit=page.limit, newest_first=page.newest_first, after=page.after,
        )  # fmt: skip
        return json_answer(paged(self._desk, caller.project, found.id, items, page, _includes(request)))

    async def _get_item(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        found = await self._found(request, caller)
        id = request.path_params["item_id"]
        item = await run_in_threadpool(self._conversations.item, caller.project, found.id, id)
        if item is None:
            raise _no_item(id)
        return json_answer(told_item(self._desk.revealed(caller.project, found.id, item), _includes(request)))

    async def _remove(self, request: Request, caller: Caller | None) -> Response:
        assert caller is not None
        found = await self._found(request, caller)
        id = request.path_params["item_id"]
        if not await run_in_threadpool(self._conversations.remove, caller.project, found.id, id):
            raise _no_item(id)
        return json_answer(_shown(found))

    async def _found(self, request: Request, caller: Caller) -> Conversation:
        id = request.path_params["conversation_id"]
        return await run_in_threadpool(self._desk.find_conversation, caller, id)

    async def _taken(self, caller: Caller, new: list[Item | Reference], session: str) -> list[Item]:
        """Items as they are stored, with masks in their texts."""
        items: list[Item] = []
        for one in new:
            if isinstance(one, Reference):
                raise MalformedRequest(
                    "A conversation takes items themselves, not references to stored ones.",
                    f"items[{one.place}]",
                )
            items.append(one)
        return await self._desk.hide(caller, items, session)


def _shown(one: Conversation) -> dict[str, object]:
    return {
        "id": one.id, "object": "conversation", "created_at": one.created_at, "metadata": one.metadata,
    }  # fmt: skip


def _no_item(id: str) -> NotFound:
    return NotFound(f"There is no item '{id[:64]}' in this conversation.", "item_id")


def _includes(request: Request) -> frozenset[str]:
    return frozenset((*request.query_params.getlist("include[]"), *request.query_params.getlist("include")))
