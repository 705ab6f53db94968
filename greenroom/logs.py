"""Logs for operators: JSON lines on stderr, or for people at a terminal. Never a prompt, reply or key."""

import json
import logging
import sys

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class _Lines(logging.Formatter):
    """One event, one line; control characters can't break it."""

    def __init__(self, *, for_people: bool) -> None:
        super().__init__()
        self._for_people = for_people

    def format(self, record: logging.LogRecord) -> str:
        extra = {name: value for name, value in vars(record).items() if name not in _OWN}
        where = ""
        if record.exc_info and record.exc_info[2] is not None:
            trace = record.exc_info[2]
            while trace.tb_next is not None:
                trace = trace.tb_next
            name = record.exc_info[0].__name__ if record.exc_info[0] else "Exception"
            where = f"{name} in {trace.tb_frame.f_code.co_qualname}, line {trace.tb_lineno}"
            extra["where"] = where
        if self._for_people:
            rest = " ".join(f"{name}={json.dumps(value, default=str)}" for name, value in extra.items())
            return f"{record.levelname.lower()}: {record.getMessage()} {rest}".rstrip()
        event = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **extra,
        }
        return json.dumps(event, default=str)


def set_up() -> None:
    """Send the logs of this process to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(for_people=sys.stderr.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
