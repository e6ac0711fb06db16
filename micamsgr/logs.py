"""
The log: one line for each fact, as text for people or JSON for programs.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, TextIO

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    formatTime,
)
from zope.interface import implementer


@implementer(ILogObserver)
class LogWriter:
    """
    Write the log, from a level on.

    Of Twisted's own messages only warnings and worse are written.
    """

    def __init__(self, out: TextIO, *, level: str, format: str) -> None:
        """
        :param level: the lowest that is written of ours.
        :param format: ``text`` or ``json``.
        """
        self._file = FileLogObserver(out, as_json if format == "json" else as_text)
        self.set_level(level)

    def set_level(self, level: str) -> None:
        """
        Write from another level on.
        """
        lowest = LogLevel.levelWithName(level)
        predicate = LogLevelFilterPredicate(defaultLogLevel=max_level(lowest))
        predicate.setLogLevelForNamespace("micamsgr", lowest)
        self._filter = FilteringLogObserver(self._file, (predicate,))

    def __call__(self, event: LogEvent) -> None:
        self._filter(event)


def max_level(level: Any) -> Any:
    """
    Say from which level on others' messages are written: never below
    ``warn``.
    """
    return level if level > LogLevel.warn else LogLevel.warn


def as_text(event: LogEvent) -> str:
    """
    Spell an event as a line: time, level, where from, and what.

    What people can influence stays on its line: a control character is
    written as its escape.
    """
    level = event.get("log_level")
    name = "info" if level is None else level.name
    line = (
        f"{formatTime(event.get('log_time'))} {name}"
        f" {event.get('log_namespace', '-')}: {_one_line(formatEvent(event))}\n"
    )
    return line + _traceback(event)


def as_json(event: LogEvent) -> str:
    """
    Spell an event as a line of JSON, its fields beside its text.
    """
    level = event.get("log_level")
    document = {
        "time": formatTime(event.get("log_time")),
        "level": "info" if level is None else level.name,
        "from": event.get("log_namespace", "-"),
        "event": event.get("log_format") or "",
        "text": formatEvent(event),
    }
    for name, value in event.items():
        if not name.startswith("log_") and name not in document:
            document[name] = _plain(value)
    traceback = _traceback(event)
    if traceback:
        document["traceback"] = traceback
    return json.dumps(document) + "\n"


def _plain(value: object) -> object:
    """
    Make what JSON can hold of a field: what it is as text, where it is nothing
    such.
    """
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float) and isfinite(value):
        return value
    return str(value)


def _traceback(event: LogEvent) -> str:
    failure = event.get("log_failure")
    if failure is None:
        return ""
    lines = failure.getTraceback().splitlines()
    return "".join(f"\t{_one_line(line)}\n" for line in lines)


def _one_line(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
