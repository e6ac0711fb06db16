"""
The check of all pages, for which a start does not wait.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from threading import Event, Thread

from attrs import define, field
from twisted.internet.interfaces import IReactorFromThreads

from micamsgr.errors import StoreUnavailable

from .database import open_for_reading
from .integrity import check_table, tables
from .trouble import Damaged


@define(eq=False)
class Inspection:
    """
    Go through the whole file once, in a thread and on a connection of its own,
    table by table, so that no log has to be kept for long on its account.

    :ivar _path: of the store.
    :ivar _found: told in the reactor what is damaged, if something is.
    """

    _reactor: IReactorFromThreads
    _path: Path
    _found: Callable[[str], None]

    _over: Event = field(factory=Event, init=False)
    _thread: Thread | None = field(default=None, init=False)
    _database: sqlite3.Connection | None = field(default=None, init=False)

    def start(self) -> None:
        """
        Begin, unless it is under way.
        """
        if self._thread is None or not self._thread.is_alive():
            self._over.clear()
            self._thread = Thread(
                target=self._run, name="store: inspection", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """
        Leave off; returns once its connection is closed.
        """
        self._over.set()
        while self._thread is not None and self._thread.is_alive():
            if self._database is not None:
                with suppress(sqlite3.Error):
                    self._database.interrupt()
            self._thread.join(0.02)

    # What follows runs in the thread.

    def _run(self) -> None:
        try:
            with closing(open_for_reading(str(self._path))) as self._database:
                for table in tables(self._database):
                    if self._over.is_set():
                        return
                    check_table(self._database, table, self._over)
        except Damaged as error:
            self._reactor.callFromThread(self._found, str(error))
        except (StoreUnavailable, sqlite3.Error):
            # Interrupted; or the disk fails, as others notice.
            pass
