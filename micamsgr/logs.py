"""
The log: one line for each fact, as text for people or JSON for programs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from math import isfinite
from typing import Any, TextIO

from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    formatEvent,
    formatTime,
)
from zope.interface import implementer

# As syslog numbers them, which systemd's journal reads at the begin of a line.
_SEVERITIES = {"debug": 7, "info": 6, "warn": 4, "error": 3, "critical": 2}


def is_journal(out: TextIO, environ: Mapping[str, str]) -> bool:
    """
    Say whether what is written somewhere goes to systemd's journal.

    Source: systemd.exec(5), ``$JOURNAL_STREAM``.
    """
    wanted = environ.get("JOURNAL_STREAM")
    try:
        found = os.fstat(out.fileno())
    except (OSError, ValueError):
        return False
    return wanted == f"{found.st_dev}:{found.st_ino}"


def with_severity(text: str, level: str) -> str:
    """
    Let each line begin with its severity, for systemd's journal.

    :param level: ``debug``, ``info``, ``warn``, ``error`` or ``critical``.
    """
    prefix = f"<{_SEVERITIES[level]}>"
    return "".join(prefix + line for line in text.splitlines(keepends=True))


@implementer(ILogObserver)
class LogWriter:
    """
    Write the log, from a level on.

    Of Twisted's own messages only warnings and worse are written.
    """

    def __init__(
        self, out: TextIO, *, level: str, format: str, journal: bool = False
    ) -> None:
        """
        :param level: the lowest that is written of ours.
        :param format: ``text`` or ``json``.
        :param journal: whether systemd's journal reads it, which knows the time
            and is told the severity.
        """
        spell = as_json if format == "json" else as_text
        if journal:
            spell = for_journal if spell is as_text else for_journal_as_json
        self._write = FileLogObserver(out, spell)
        self.set_level(level)

    def set_level(self, level: str) -> None:
        """
        Write from another level on.
        """
        lowest = LogLevel.levelWithName(level)
        self._ours = _from(lowest)
        self._others = _from(max_level(lowest))

    def __call__(self, event: LogEvent) -> None:
        # Twisted's own filter takes as long for this as all the rest.
        level = event.get("log_level")
        if level not in self._ours:
            return
        namespace = event.get("log_namespace") or ""
        if level in self._others or namespace.partition(".")[0] == "micamsgr":
            self._write(event)


def _from(lowest: Any) -> frozenset[Any]:
    return frozenset(it for it in LogLevel.iterconstants() if it >= lowest)


def max_level(level: Any) -> Any:
    """
    Say from which level on others' messages are written: never below
    ``warn``.
    """
    return level if level > LogLevel.warn else LogLevel.warn


def as_text(event: LogEvent) -> str:
    """
    Spell an event as a line: time, level, where from, what, and of which message
    it tells, if of one.

    What people can influence stays on its line: a control character is
    written as its escape.
    """
    return f"{_time(event)} {_without_time(event)}"


def for_journal(event: LogEvent) -> str:
    """
    Spell an event as :func:`as_text` does, with its severity, not its time.
    """
    return with_severity(_without_time(event), _level(event))


def for_journal_as_json(event: LogEvent) -> str:
    """
    Spell an event as :func:`as_json` does, with its severity, which the journal
    takes away.
    """
    return with_severity(as_json(event), _level(event))


def as_json(event: LogEvent) -> str:
    """
    Spell an event as a line of JSON, its fields beside its text.
    """
    document = {
        "time": _time(event),
        "level": _level(event),
        "from": event.get("log_namespace", "-"),
        "event": event.get("event", "other"),
        "text": _text(event),
    }
    for name, value in event.items():
        if not name.startswith("log_") and name not in document:
            document[name] = _plain(value)
    traceback = _traceback(event)
    if traceback:
        document["traceback"] = traceback
    return json.dumps(document) + "\n"


def _level(event: LogEvent) -> str:
    level = event.get("log_level")
    return "info" if level is None else str(level.name)


def _without_time(event: LogEvent) -> str:
    where, trace = event.get("log_namespace", "-"), event.get("trace")
    told = f" [{trace}]" if trace else ""
    line = f"{_level(event)} {where}: {_one_line(_text(event) + told)}\n"
    return line + _traceback(event)


def _text(event: LogEvent) -> str:
    format = event.get("log_format")
    if isinstance(format, str):
        # What Twisted can do beyond that takes ten times as long, and is hardly
        # ever asked for.
        with suppress(Exception):
            return format.format_map(event)
    return formatEvent(event)


def _time(event: LogEvent) -> str:
    when = event.get("log_time")
    return formatTime(None) if when is None else _second(int(when))


@lru_cache(maxsize=1)
def _second(when: int) -> str:
    return formatTime(when)


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
