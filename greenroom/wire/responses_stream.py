"""The events of a response, from the pieces of a chat stream.

Sans-io. However the pieces are cut, the events are the same, but for how many deltas a text comes in.
"""

from collections.abc import Sequence

from greenroom.wire.responses_answer import BROKEN, ChatError, Ending
from greenroom.wire.responses_draft import Draft
from greenroom.wire.responses_items import Item


class ResponseStream:
    """One streamed response: payloads of chat in, events out."""

    def __init__(self, draft: Draft, *, queued: bool = False) -> None:
        self.draft = draft
        self._ending = Ending(draft, is_whole=False)
        draft.begin(queued=queued)

    def work(self) -> None:
        """One that waited is being worked on."""
        self.draft.work()

    def searched(self, calls: Sequence[Item]) -> None:
        """What was searched for before the model was asked."""
        for call in calls:
            self.draft.search(call)

    def take(self, payload: bytes) -> None:
        """One piece. One that is none, or an error, ends the response as failed."""
        if self.draft.has_ended:
            return
        try:
            error = self._ending.take(payload)
        except BROKEN:
            error = ChatError(
                "The stream holds an event that is not a chunk.", "server_error", "upstream_protocol"
            )
        if error is not None:
            self._ending.fail(error)

    def end(self, completed_at: int, *, is_refusal: bool) -> None:
        """The pieces have ended, as they should."""
        if not self.draft.has_ended:
            self._ending.finish(completed_at, is_refusal=is_refusal)

    def fail(self, message: str, type: str, code: str | None) -> None:
        """Something went wrong."""
        if not self.draft.has_ended:
            self._ending.fail(ChatError(message, type, code))

    def cancel(self) -> None:
        """Nobody wants it any more."""
        if not self.draft.has_ended:
            self._ending.cancel()

    def events(self) -> bytes:
        """What is to be sent since this was asked last."""
        return self.draft.events()
