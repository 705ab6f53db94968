"""What a provider sent as a whole answer, read once into the view that the pipeline uses.

Knows the chat dialect; nothing of sockets.
"""

from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder

from greenroom.errors import MalformedRequest, UpstreamProtocol, UpstreamRefused
from greenroom.models.providers.calls import openai_error
from greenroom.wire.openai import decode_completion
from greenroom.wire.repeated_keys import refuse_repeated_keys


class _MaybeError(Struct):
    error: Raw = Raw()


_maybe_error = Decoder(_MaybeError)


def read_completion(data: bytes) -> object:
    """The view of a `chat.completion`. Raises UpstreamProtocol, UpstreamRefused for an error inside it."""
    try:
        view = decode_completion(data)
        calls = sum(len(choice.message.tool_calls or ()) for choice in view.choices)
        if (
            data.count(b'"content"') > len(view.choices)
            or data.count(b'"choices"') > 1
            or (calls and data.count(b'"arguments"') > calls)
        ):
            # We read the last of two, a client may read the first: what was not looked at must not go out.
            refuse_repeated_keys(data)
        return view
    except MalformedRequest:
        raise UpstreamProtocol("The provider's answer says one thing twice.") from None
    except RecursionError:
        raise UpstreamProtocol("The provider's answer is nested too deeply.") from None
    except (ValidationError, DecodeError, UnicodeDecodeError):
        message = _embedded_error(data)
        if message is not None:
            raise UpstreamRefused(message, upstream_status=502) from None
        raise UpstreamProtocol("The provider's answer is not a chat completion.") from None


def _embedded_error(data: bytes) -> str | None:
    """The message of `{"error": …}` inside an answer that says 200."""
    try:
        if bytes(_maybe_error.decode(data).error) in {b"", b"null"}:
            return None
        return openai_error(200, data)[0]
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
