"""Server-sent events: bytes as they arrive in, complete events out.

Sans-io. Knows framing only, nothing of what the payloads mean. However the bytes are cut, the joined output
is the same. Follows the "event stream interpretation" of the WHATWG HTML standard, except that events without
data, or with empty data, are dropped: no dialect we speak gives them a meaning.
"""

from greenroom.errors import UpstreamProtocol

EVENT_LIMIT_BYTES = 8 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class _Frames:
    """Cuts a byte stream at blank lines; line ends come out as LF, the byte order mark is gone."""

    __slots__ = ("_after_cr", "_at_start", "_held", "_held_bytes", "_last", "is_clean", "limit_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.is_clean = False
        """Nothing is held and nothing of what came before bears on what comes next."""
        self._held: list[bytes] = []
        """Pieces of the unfinished frame, joined only when it ends: a long line costs linear time."""
        self._held_bytes = 0
        self._last = b""
        """The last byte held, for a blank line that is cut between two pieces."""
        self._at_start = True
        self._after_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        if not data:
            return []
        if self._at_start:
            data = self._without_bom(data)
            if not data:
                return []
        if self._after_cr or b"\r" in data:
            data = self._with_lf(data)
            if not data:
                return []
        held = self._held
        if b"\n\n" not in data and not (self._last == b"\n" and data[0] == 10):
            held.append(data)
            self.is_clean = False
            self._held_bytes += len(data)
            self._last = data[-1:]
            if self._held_bytes - (self._last == b"\n") > self.limit_bytes:
                raise _too_long(self.limit_bytes)
            return []
        if held:
            held.append(data)
            data = b"".join(held)
            held.clear()
        frames = data.split(b"\n\n")
        rest = frames.pop()
        rest_bytes = len(rest) - rest.endswith(b"\n")
        if len(data) > self.limit_bytes and max(rest_bytes, *map(len, frames)) > self.limit_bytes:
            raise _too_long(self.limit_bytes)
        self._held_bytes = len(rest)
        self._last = rest[-1:]
        if rest:
            held.append(rest)
        self.is_clean = not rest and not self._after_cr
        return frames

    def flush(self) -> bytes:
        """What is held when the stream ends, if its last line is whole; else nothing."""
        rest = b"".join(self._held)
        self._held.clear()
        self._held_bytes = 0
        self._last = b""
        return rest if rest.endswith(b"\n") else b""

    def _without_bom(self, data: bytes) -> bytes:
        data = b"".join(self._held) + data
        self._held.clear()
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._held.append(data)
            return b""
        self._at_start = False
        return data.removeprefix(_BOM)

    def _with_lf(self, data: bytes) -> bytes:
        if self._after_cr and data[0] == 10:
            data = data[1:]
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


class EventParser:
    """Reads the payloads of events whose names do not matter, as OpenAI's streams have them.

    Raises UpstreamProtocol when an unfinished event is larger than `limit_bytes`.
    """

    __slots__ = ("_frames",)

    def __init__(self, limit_bytes: int = EVENT_LIMIT_BYTES) -> None:
        self._frames = _Frames(limit_bytes)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is held and the next byte begins an event."""
        return self._frames.is_clean

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that are complete now; several `data:` lines of one event are joined by LF."""
        frames = self._frames
        if (
            frames.is_clean
            and data.startswith(b"data: ")
            and data.endswith(b"\n\n")
            and len(data) <= frames.limit_bytes
        ):
            # Whole events of one line each, which is nearly always: no Python per event.
            payloads = data[6:-2].split(b"\n\ndata: ")
            if data.count(b"\n") == 2 * len(payloads) and b"\r" not in data and b"" not in payloads:
                return payloads
        return [payload for frame in frames.feed(data) if (payload := _read(frame)[1])]

    def flush(self) -> list[bytes]:
        """Return the event the stream ended in, if only its blank line is missing."""
        payload = _read(self._frames.flush())[1]
        return [payload] if payload else []


class NamedEventParser:
    """Reads events with their names, as Anthropic's streams have them: `(event, data)`.

    A missing name is empty. Raises UpstreamProtocol when an unfinished event is larger than `limit_bytes`.
    """

    __slots__ = ("_frames",)

    def __init__(self, limit_bytes: int = EVENT_LIMIT_BYTES) -> None:
        self._frames = _Frames(limit_bytes)

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Return the events that are complete now."""
        events = []
        for frame in self._frames.feed(data):
            head, _, body = frame.partition(b"\n")
            if head.startswith(b"event: ") and body.startswith(b"data: ") and b"\n" not in body:
                event = (head[7:], body[6:])
            else:
                event = _read(frame)
            if event[1]:
                events.append(event)
        return events

    def flush(self) -> list[tuple[bytes, bytes]]:
        """Return the event the stream ended in, if only its blank line is missing."""
        event = _read(self._frames.flush())
        return [event] if event[1] else []


def _read(frame: bytes) -> tuple[bytes, bytes]:
    """Name and data of one frame, line by line."""
    name = b""
    data: list[bytes] = []
    for line in frame.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return name, b"\n".join(data)


def _too_long(limit: int) -> UpstreamProtocol:
    return UpstreamProtocol(f"The stream holds an event larger than {limit // 1024} KiB.")
