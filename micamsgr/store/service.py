"""
The store's threads, as a service.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger, LogLevel

from micamsgr.errors import StoreUnavailable

from .ballast import Ballast
from .connection import News
from .database import admit_file, connect, open_for_reading, reopen_database
from .group import Transact, Work
from .inspection import Inspection
from .lock import Lock, lock
from .sqlite import SQLiteStore
from .thread import DatabaseThread, Reactor

T = TypeVar("T")

# A start has other things to do first, for so many seconds.
_INSPECT_AFTER = 5.0

_NEWS = {
    News.FULL: (
        "disk.full",
        LogLevel.error,
        "the disk of the store {path} is full: {detail}, to finish what was begun;"
        " what is new is answered 503 until there is room: make some",
    ),
    News.ROOM: (
        "disk.has_room",
        LogLevel.info,
        "there is room on the disk of the store {path}: all is taken again",
    ),
    News.NO_BALLAST: (
        "disk.no_ballast",
        LogLevel.warn,
        "no ballast beside the store {path}: {detail}; make room",
    ),
    News.FAILING: (
        "store.closed",
        LogLevel.error,
        "the store {path} is closed and opened again: {detail}; until then"
        " deliveries are answered 503",
    ),
    News.REOPENED: ("store.reopened", LogLevel.info, "the store {path} is open again"),
    News.DAMAGED: (
        "store.damaged",
        LogLevel.error,
        "the store {path} is damaged: {detail}; deliveries are answered 503 from"
        " now on: stop the daemon, and restore a backup",
    ),
}


def end_process(why: str) -> None:
    """
    End at once with status 1, as after a kill: whoever started the daemon
    starts it anew.
    """
    print(why, file=sys.__stderr__, flush=True)
    os._exit(1)


#: The version of SQLite that is used.
SQLITE = sqlite3.sqlite_version


@define(eq=False)
class StoreService(Service):
    """
    An SQLite file, locked and open while the service runs.

    :ivar store: to be used only while it does.
    :ivar _end: ends the process, saying why.
    :ivar _committed: see :class:`~micamsgr.store.thread.DatabaseThread`.
    """

    _reactor: Reactor
    _path: str
    _end: Callable[[str], None] = field(default=end_process, kw_only=True)
    _committed: Callable[[float, int], None] = field(
        default=lambda seconds, count: None, kw_only=True
    )

    _writer: DatabaseThread = field(init=False)
    _reader: DatabaseThread = field(init=False)
    _inspection: Inspection = field(init=False)
    _inspect: IDelayedCall | None = field(default=None, init=False)
    _lock: Lock = field(factory=Lock, init=False)
    _admitted: bool = field(default=False, init=False)
    store: SQLiteStore = field(init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        path = Path(self._path).resolve()
        self._writer = DatabaseThread(
            self._reactor,
            self._open,
            path=path,
            tell=self._told,
            ballast=Ballast(path),
            committed=self._committed,
        )
        self._reader = DatabaseThread(
            self._reactor,
            lambda: open_for_reading(self._path),
            path=path,
            tell=self._told,
            writes=False,
        )
        self._inspection = Inspection(self._reactor, path, self._damaged)
        self.store = SQLiteStore(
            self._writer.transact, self.read, admit=self._writer.admit
        )

    @property
    def write(self) -> Transact:
        """Runs a transaction that may write."""
        return self._writer.transact

    @property
    def alone(self) -> Transact:
        """Runs a function of the writer's connection, in no transaction."""
        return self._writer.alone

    def read(self, work: Work[T]) -> Deferred[T]:
        """
        Run a transaction that only reads; see :class:`~micamsgr.store.group.Transact`.
        """
        # On a disk that was full from the start there is nothing to be read, and
        # that is not what the reader would say.
        why = self._writer.unopened
        if why is not None:
            return fail(StoreUnavailable(why))
        return self._reader.transact(work)

    def ping(self) -> Deferred[None]:
        """
        See :meth:`~micamsgr.store.thread.DatabaseThread.ping`, of the writer.
        """
        return self._writer.ping()

    @property
    def refusal(self) -> str | None:
        """
        Why nothing new is kept now, in a few fixed words; ``None`` where it is.
        """
        # It is closed as well where there is no room to open it.
        closed = "the disk fails" if self._writer.closed else None
        return self._writer.refusal or closed

    def startService(self) -> None:
        """
        :raises StoreUnavailable: where the file can't be used.
        """
        super().startService()
        self._lock = lock(self._path)
        self._writer.start()
        self._reader.start()
        self._inspect_soon()

    def stopService(self) -> Deferred[None]:
        """
        :return: fires once all that was asked for is done and the file is
            closed.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._inspect is not None and self._inspect.active():
            self._inspect.cancel()
        self._inspection.stop()
        await self._reader.stop()
        await self._writer.stop()
        self._lock.release()

    def _open(self) -> sqlite3.Connection:
        if self._admitted:
            return reopen_database(self._path)
        admit_file(self._path)
        self._admitted = True
        return connect(self._path)

    def _inspect_soon(self) -> None:
        if self._inspect is None or not self._inspect.active():
            self._inspect = self._reactor.callLater(
                _INSPECT_AFTER, self._inspection.start
            )

    def _told(self, news: News, detail: str) -> None:
        if news is News.HOPELESS:
            self._end(
                f"the disk of the store {self._path} fails: {detail}; see the"
                " system's log; the daemon ends, to be started anew"
            )
            return
        event, level, format = _NEWS[news]
        self._log.emit(level, format, event=event, path=self._path, detail=detail)
        if news is News.REOPENED and self.running:
            self._inspect_soon()

    def _damaged(self, detail: str) -> None:
        self._writer.condemn()
        self._told(News.DAMAGED, detail)
