"""
The store's threads, as a service.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred

from .database import (
    DatabaseThread,
    Reactor,
    Transact,
    lock,
    open_database,
    open_for_reading,
)
from .sqlite import SQLiteStore

#: The version of SQLite that is used.
SQLITE = sqlite3.sqlite_version


@define(eq=False)
class StoreService(Service):
    """
    An SQLite file, locked and open while the service runs.

    :ivar store: to be used only while it does.
    :ivar _committed: see :class:`~micamsgr.store.database.DatabaseThread`.
    """

    _reactor: Reactor
    _path: str
    _committed: Callable[[float, int], None] = field(
        default=lambda seconds, count: None, kw_only=True
    )

    _writer: DatabaseThread = field(init=False)
    _reader: DatabaseThread = field(init=False)
    _lock: int | None = field(default=None, init=False)
    store: SQLiteStore = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._writer = DatabaseThread(
            self._reactor,
            lambda: open_database(self._path),
            committed=self._committed,
        )
        self._reader = DatabaseThread(
            self._reactor, lambda: open_for_reading(self._path), writes=False
        )
        self.store = SQLiteStore(self._writer.transact, self._reader.transact)

    @property
    def write(self) -> Transact:
        """Runs a transaction that may write."""
        return self._writer.transact

    @property
    def alone(self) -> Transact:
        """Runs a function of the writer's connection, in no transaction."""
        return self._writer.alone

    @property
    def read(self) -> Transact:
        """Runs a transaction that only reads."""
        return self._reader.transact

    def startService(self) -> None:
        """
        :raises StoreUnavailable: where the file can't be used.
        """
        super().startService()
        self._lock = lock(self._path)
        self._writer.start()
        self._reader.start()

    def stopService(self) -> Deferred[None]:
        """
        :return: fires once all that was asked for is done and the file is
            closed.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._reader.stop()
        await self._writer.stop()
        if self._lock is not None:
            with suppress(OSError):
                os.close(self._lock)
            self._lock = None
