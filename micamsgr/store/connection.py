"""
A connection that is looked after: what becomes of it, and of those who use it,
when the disk is full or fails.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path

from attrs import define, field

from .ballast import Ballast
from .group import Job, commit, leave_alone
from .trouble import Trouble, ask_disk, is_full, trouble

# Seconds between two looks at a disk that is full or fails.
_INTERVAL = 0.5

# Seconds between two looks at one that seems well.
_CHECKPOINT = 60.0

# So many failures within so many seconds are too many.
_MOST_FAILURES = 3
_FAILURES_WITHIN = 10.0


class News(Enum):
    """
    What an operator should know of the disk.
    """

    #: Deliveries are refused; the ballast was given up.
    FULL = "full"
    #: There is room again, and ballast.
    ROOM = "room"
    #: The disk is too full for a ballast, or it can't be made.
    NO_BALLAST = "no ballast"
    #: The connection was closed.
    FAILING = "failing"
    #: It is open again.
    REOPENED = "reopened"
    #: What is in the file is not what was written.
    DAMAGED = "damaged"
    #: Only a new process may help.
    HOPELESS = "hopeless"


@define(eq=False)
class TendedConnection:
    """
    The connection of one thread.  Nothing here waits, but for the disk.

    After an I/O error it is closed and opened again, and the file checked: a
    second fsync may succeed although what the first one was to write is lost.

    :ivar _path: of the store, not by way of a link.
    :ivar _open: makes the connection, and checks the file.
    :ivar _tell: is given the news.
    :ivar _writes: whether it writes; what may only read has no ballast, and
        its failures prove nothing about what was acknowledged.
    :ivar _clock: monotonic, in seconds.
    """

    _path: Path
    _open: Callable[[], sqlite3.Connection]
    _tell: Callable[[News, str], None]
    _writes: bool = field(default=True, kw_only=True)
    _ballast: Ballast | None = field(default=None, kw_only=True)
    _clock: Callable[[], float] = field(default=time.monotonic, kw_only=True)

    #: Why nothing new is taken; ``None`` where it is.
    refusing: str | None = field(default=None, init=False)

    _database: sqlite3.Connection | None = field(default=None, init=False)
    # Whether there was a connection yet.
    _opened: bool = field(default=False, init=False)
    # Why there is no connection.
    _closed: str = field(default="it is not open", init=False)
    # Whether nothing new is taken until there is room.
    _full: bool = field(default=False, init=False)
    _hopeless: bool = field(default=False, init=False)
    # Whether something was written since the last checkpoint.
    _used: bool = field(default=False, init=False)
    _looked: float = field(default=0.0, init=False)
    _failures: deque[float] = field(
        factory=lambda: deque(maxlen=_MOST_FAILURES), init=False
    )

    @property
    def unopened(self) -> str | None:
        """
        Why there was no connection yet, so that there may be no tables;
        ``None``: there was one.
        """
        return None if self._opened else self.refusing or self._closed

    def open(self) -> None:
        """
        Open the connection for the first time.

        Where the disk is full it stays closed until there is room.

        :raises StoreUnavailable: where the file can't be used.
        """
        self._looked = self._clock()
        try:
            self._connect()
        except Exception as error:
            if self._kind(error) is not Trouble.FULL:
                raise
            self._closed = str(getattr(error, "detail", error))
            self._no_room()
            with suppress(Exception):
                self._connect()
        else:
            self._stock()

    def close(self) -> None:
        """
        Close the connection, and bring the log into the file.
        """
        database, self._database = self._database, None
        if database is None:
            return
        # Only housekeeping: the next start does it as well.
        with suppress(sqlite3.Error):
            if self._writes:
                database.execute("PRAGMA optimize")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with suppress(sqlite3.Error):
            database.close()

    def condemn(self) -> None:
        """
        Take nothing new from now on: the file is damaged.
        """
        self.refusing = "the store is damaged"

    def perform(self, jobs: Sequence[Job]) -> None:
        """
        Perform jobs in one transaction; each has its outcome then.
        """
        jobs = [job for job in jobs if not job.idle]
        if self._database is None:
            for job in jobs:
                job.refuse(self.unopened or f"the store is closed: {self._closed}")
            return
        taken = [job for job in jobs if not (job.new and self.refusing)]
        for job in jobs:
            if job.new and self.refusing:
                job.refuse(self.refusing)
        if not taken:
            return
        self._used = True
        if taken[0].alone:
            complaint = leave_alone(self._database, taken[0])
        else:
            complaint = commit(self._database, taken, writes=self._writes)
        if complaint is not None:
            self._complained(complaint)

    @property
    def closed(self) -> bool:
        """
        Whether nothing can be done now; may be asked by any thread.
        """
        return self._database is None

    @property
    def patience(self) -> float:
        """
        For how many seconds :meth:`tend` need not be called.
        """
        return _INTERVAL if self._database is None or self._full else _CHECKPOINT

    def tend(self) -> None:
        """
        See whether the disk is well, if the time for that has come.
        """
        now = self._clock()
        if now - self._looked < self.patience:
            return
        self._looked = now
        if self._full and self._ballast is not None and self._ballast.room():
            self._stock()
        if self._database is None:
            self._reopen()
        elif self._writes and self._used and not self._full:
            self._checkpoint(self._database)

    def _checkpoint(self, database: sqlite3.Connection) -> None:
        """
        Bring what is in the log into the file.

        SQLite does so by itself, but tells nobody where it fails, and then the
        log grows for ever.
        """
        self._used = False
        try:
            database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            self._complained(error)

    # A disk that is full

    def _no_room(self) -> None:
        if self._ballast is None:
            return
        given_up = self._ballast.give_up()
        if not self._full or given_up:
            self._tell(News.FULL, f"{given_up} bytes of ballast are given up")
        self._full = True
        self.refusing = self.refusing or "the disk is full"

    def _stock(self) -> None:
        """
        Make ballast, and take what is new again, as far as there is room.
        """
        if self._ballast is None:
            return
        try:
            if not self._ballast.make():
                self._tell(News.NO_BALLAST, "the disk is too full")
        except OSError as error:
            if self._full and is_full(error):
                return
            self._tell(News.NO_BALLAST, str(error.strerror))
        if self._full:
            self._full = False
            if self.refusing == "the disk is full":
                self.refusing = None
            self._tell(News.ROOM, "")

    # A disk that fails

    def _complained(self, error: BaseException) -> None:
        what = trouble(error)
        if what is Trouble.FULL:
            self._no_room()
        elif what is Trouble.DAMAGED:
            if self.refusing != "the store is damaged":
                self.condemn()
                self._tell(News.DAMAGED, str(error))
        elif what is not None:
            self._lost(error)
            self._reopen()

    def _lost(self, error: BaseException) -> None:
        """
        Close the connection, on which nothing can be relied any more.
        """
        # With no checkpoint: it is not known what is in the log.
        database, self._database = self._database, None
        if database is not None:
            with suppress(sqlite3.Error):
                database.close()
        self._closed = str(getattr(error, "detail", error))
        what = self._kind(error)
        if what is Trouble.FULL:
            self._no_room()
            return
        if what is Trouble.FAILING and self._writes:
            self._failures.append(self._clock())
            since = self._failures[-1] - self._failures[0]
            if len(self._failures) == _MOST_FAILURES and since <= _FAILURES_WITHIN:
                self._give_up(f"{_MOST_FAILURES} times in {since:.1f} s: {error}")
                return
        if database is not None:
            self._tell(News.FAILING, self._closed)

    def _give_up(self, why: str) -> None:
        self._hopeless = True
        self._tell(News.HOPELESS, why)

    def _reopen(self) -> None:
        if self._hopeless:
            return
        try:
            self._connect()
        except Exception as error:
            if trouble(error) is Trouble.DAMAGED:
                self._give_up(str(getattr(error, "detail", error)))
            else:
                self._lost(error)
        else:
            self._tell(News.REOPENED, "")

    def _connect(self) -> None:
        self._database = self._open()
        self._opened = True

    def _kind(self, error: BaseException) -> Trouble | None:
        what = trouble(error)
        if what in (Trouble.FAILING, Trouble.CLOSED):
            found = ask_disk(self._path)
            # That a file can't be opened says nothing about the disk, unless
            # the disk itself says so.
            return what if found is Trouble.FAILING else found
        return what
