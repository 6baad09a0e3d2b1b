"""What a program reads while a verb runs: one JSON object a line, for the logs of a cluster.

    PUSHFORWARD_LOG=json                 on stderr, in place of sentences and bars
    PUSHFORWARD_LOG=/path/to/run.jsonl   appended to a file, beside them

    {"time": "2026-11-29T01:02:03.456Z", "level": "info", "event": "block",
     "name": "simulation-1a2b3c4d5e", "block": 3, "members": [192, 256], "seconds": 4.1,
     "peak_memory": 412000000, "rate": 15.6, "left_seconds": 49.2}

Events: `message` (what a person is told), `block` (one is stored), `progress` (where a loop is, at
most every few seconds), `finished` (a loop ended), `complete` (a result is sealed). Seconds are
seconds, memory is bytes, rates are units a second.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from pushforward.credentials import hidden

VARIABLE = "PUSHFORWARD_LOG"
events = logging.getLogger("pushforward.events")  # what is not told to people
events.propagate = False


class Json(logging.Formatter):
    """A record as one line of JSON, with the facts it was logged with.

    >>> record = logging.makeLogRecord({"msg": "done", "facts": {"event": "complete"}})
    >>> json.loads(Json().format(record))["event"]
    'complete'
    """

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": "message",
            **getattr(record, "facts", {}),
        }
        if text := record.getMessage():
            line["message"] = text
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return hidden(json.dumps(line, default=str))


class Lines(logging.FileHandler):
    """A file of lines; one that cannot be written is told once, and a run is not ended by it."""

    def handleError(self, record: logging.LogRecord) -> None:
        self.setLevel(logging.CRITICAL + 1)
        say = logging.getLogger("pushforward")
        say.removeHandler(self)
        say.warning(f"expected to write the log {self.baseFilename}, got a refusal; it ends here")


def heard() -> bool:
    """Whether anybody reads events."""
    readers = [one for one in events.handlers if isinstance(one.formatter, Json)]
    return bool(readers) and events.isEnabledFor(logging.INFO)


def tell(event: str, **facts: Any) -> None:
    """Logs an event to whoever reads JSON; facts that are None are left out."""
    if heard():
        known = {key: value for key, value in facts.items() if value is not None}
        events.info("", extra={"facts": {"event": event, **known}})


def handler(where: str) -> logging.Handler:
    """What writes JSON to stderr (`json`) or to a file."""
    made = (
        logging.StreamHandler() if where == "json" else Lines(where, encoding="utf-8", delay=True)
    )
    made.setFormatter(Json())
    return made


def install(where: str | None, logger: logging.Logger) -> logging.Handler | None:
    """Has a logger's lines and all events written as JSON, where an environment asks for it."""
    if not where:
        return None
    made = handler(where)
    logger.addHandler(made)
    events.addHandler(made)
    events.setLevel(logging.INFO)
    return made
