"""
An SQLite file: opened as it must be for a commit to survive a loss of power,
and used by one thread that commits in groups.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.python.failure import Failure

from micamsgr.errors import StoreUnavailable

from .schema import MIGRATIONS, guard_states, migrate
from .tally import count_states

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

# What sqlite3 raises where the disk, or what is on it, is to blame; further
# subclasses of DatabaseError tell of a defect in what was asked.
_DISK = (sqlite3.OperationalError, sqlite3.DatabaseError)


class Transact(Protocol):
    """
    Run a function of a connection in one transaction, committing if it
    returns.

    The Deferred fires after the commit.  It fails with what the function
    raised, or with :exc:`~micamsgr.errors.StoreUnavailable`.
    """

    def __call__(self, work: Work[T]) -> Deferred[T]: ...


class Reactor(IReactorFromThreads, IReactorTime):
    """What a database thread needs of the reactor."""


def open_database(path: str) -> sqlite3.Connection:
    """
    Open the store for writing, making or migrating it as need be.

    :param path: of the file, which gets mode 0600; or ``:memory:``.

    :raises StoreUnavailable: where that can't be done, with the reason.
    """
    if path != ":memory:":
        _make(Path(path))
    try:
        database = sqlite3.connect(
            path,
            timeout=5.0,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        try:
            _prepare(database)
        except BaseException:
            database.close()
            raise
    except (sqlite3.Error, ValueError) as error:
        raise StoreUnavailable(f"can't use the store {path}: {error}") from error
    return database


def _prepare(database: sqlite3.Connection) -> None:
    # FULL, not NORMAL: that one may roll back the last commits after a
    # loss of power, and by then we have told Meta 200.
    database.execute("PRAGMA synchronous = FULL")
    (synchronous,) = database.execute("PRAGMA synchronous").fetchone()
    if synchronous != 2:
        raise ValueError("it can't be set to synchronous = FULL")
    _settle(database)
    # Before the journal's mode, which is written into the file: one that isn't
    # ours is left as it is.
    migrate(database, MIGRATIONS)
    (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode not in ("wal", "memory"):
        raise ValueError("it can't be set to journal_mode = WAL")
    guard_states(database)
    count_states(database)


def open_for_reading(path: str) -> sqlite3.Connection:
    """
    Open a second connection to a store, one that can't write.

    :raises StoreUnavailable: where there is none.
    """
    try:
        database = sqlite3.connect(
            f"{Path(path).absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=5.0,
            isolation_level=None,
            check_same_thread=False,
        )
        _settle(database)
        database.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        raise StoreUnavailable(f"can't read the store {path}: {error}") from error
    return database


def _make(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Whoever made it, nobody else is to read what people write.
        with suppress(PermissionError):
            os.fchmod(descriptor, 0o600)
        os.close(descriptor)
    except OSError as error:
        raise StoreUnavailable(
            f"can't use the store {path}: {error.strerror}"
        ) from error


def _settle(database: sqlite3.Connection) -> None:
    for pragma in (
        "foreign_keys = ON",
        "journal_size_limit = 67108864",
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "temp_store = MEMORY",
        "secure_delete = ON",
    ):
        database.execute(f"PRAGMA {pragma}")


def lock(path: str) -> int:
    """
    Keep other daemons away from the store at *path*, until this process ends
    or the descriptor is closed.

    :return: the descriptor that holds the lock.

    :raises StoreUnavailable: where another process has it.
    """
    try:
        # Whoever comes by a symbolic link must find the same lock.
        descriptor = os.open(
            f"{Path(path).resolve()}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
    except OSError as error:
        raise StoreUnavailable(
            f"can't use the store {path}: {error.strerror}: {error.filename}"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StoreUnavailable(
            f"another daemon is using the store {path}: stop that one first, or "
            "name another file in `store:`"
        ) from error
    except OSError as error:
        os.close(descriptor)
        raise StoreUnavailable(
            f"can't lock the store {path}: {error.strerror}"
        ) from error
    return descriptor


def in_transaction(database: sqlite3.Connection, work: Work[T]) -> T:
    """
    Call *work* between ``BEGIN IMMEDIATE`` and ``COMMIT`` or ``ROLLBACK``.
    """
    database.execute("BEGIN IMMEDIATE")
    try:
        result = work(database)
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
    return result


@define
class _Job:
    work: Work[Any]
    result: Deferred[Any]
    alone: bool = False
    failure: Failure | None = None
    value: Any = None


def together(jobs: deque[_Job], most: int) -> list[_Job]:
    """
    Take the next jobs that may be done in one commit.
    """
    taken: list[_Job] = []
    while jobs and len(taken) < most and not (taken and jobs[0].alone):
        taken.append(jobs.popleft())
        if taken[0].alone:
            break
    return taken


@define(eq=False)
class DatabaseThread:
    """
    The one thread that uses a connection.

    All that was asked for while a commit was under way goes into the next
    one, each in a savepoint of its own: what fails takes nobody with it.

    :ivar _open: makes the connection; called in the thread.
    :ivar _writes: whether transactions write; a reader's don't.
    :ivar _committed: told how many seconds each commit took, with all that was
        done in it, and of how many transactions it was.
    :ivar _most_waiting: how many transactions may wait before more are
        refused.
    :ivar _most_together: how many go into one commit.
    """

    _reactor: Reactor
    _open: Callable[[], sqlite3.Connection]
    _writes: bool = field(default=True, kw_only=True)
    _committed: Callable[[float, int], None] = field(
        default=lambda seconds, count: None, kw_only=True
    )
    _most_waiting: int = field(default=20_000, kw_only=True)
    _most_together: int = field(default=256, kw_only=True)

    # On the reactor's side: what was asked for in this turn of the reactor,
    # and how many are neither done nor refused.
    _asked: list[_Job] = field(factory=list, init=False)
    _waiting: int = field(default=0, init=False)

    # Shared, under the condition.
    _jobs: deque[_Job] = field(factory=deque, init=False)
    _ending: bool = field(default=False, init=False)
    _condition: threading.Condition = field(factory=threading.Condition, init=False)

    _thread: threading.Thread | None = field(default=None, init=False)
    _ended: Deferred[None] = field(factory=Deferred, init=False)

    def start(self) -> None:
        """
        Open the connection; returns once it is open.

        :raises Exception: what opening it raised.
        """
        opened = threading.Event()
        faults: list[BaseException] = []
        self._thread = threading.Thread(
            target=self._run, args=(opened, faults), name="store", daemon=True
        )
        self._thread.start()
        opened.wait()
        if faults:
            self._thread = None
            raise faults[0]

    def stop(self) -> Deferred[None]:
        """
        Do what was asked for, then close the connection; nothing more is
        taken.
        """
        if self._thread is None:
            return succeed(None)
        self._hand_over()
        with self._condition:
            self._ending = True
            self._condition.notify()
        return self._ended

    def transact(self, work: Work[T]) -> Deferred[T]:
        """
        See :class:`Transact`.
        """
        return self._ask(work, alone=False)

    def alone(self, work: Work[T]) -> Deferred[T]:
        """
        Call *work* with nothing else, and in no transaction but what it begins
        and ends itself.
        """
        return self._ask(work, alone=True)

    def _ask(self, work: Work[T], alone: bool) -> Deferred[T]:
        if self._ending:
            return fail(StoreUnavailable("the store is closed"))
        if self._waiting >= self._most_waiting:
            return fail(StoreUnavailable("too much waits to be written"))
        result: Deferred[T] = Deferred()
        if not self._asked:
            self._reactor.callLater(0, self._hand_over)
        self._waiting += 1
        self._asked.append(_Job(work, result, alone))
        return result

    def _hand_over(self) -> None:
        jobs, self._asked = self._asked, []
        if jobs:
            with self._condition:
                self._jobs.extend(jobs)
                self._condition.notify()

    def _answer(self, jobs: list[_Job], seconds: float) -> None:
        self._waiting -= len(jobs)
        self._committed(seconds, len(jobs))
        for job in jobs:
            # Who canceled has been told already, and hears nothing more.
            if job.failure is not None:
                job.result.errback(job.failure)
            else:
                job.result.callback(job.value)

    # What follows runs in the thread.

    def _run(self, opened: threading.Event, faults: list[BaseException]) -> None:
        try:
            database = self._open()
        except BaseException as error:
            faults.append(error)
            return
        finally:
            opened.set()
        while jobs := self._next():
            began = time.monotonic()
            if jobs[0].alone:
                self._leave_alone(database, jobs[0])
            else:
                self._commit(database, jobs)
            seconds = time.monotonic() - began
            self._reactor.callFromThread(self._answer, jobs, seconds)
        # Only housekeeping: the next start does it as well.
        with suppress(sqlite3.Error):
            if self._writes:
                database.execute("PRAGMA optimize")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        self._reactor.callFromThread(self._ended.callback, None)

    def _next(self) -> list[_Job]:
        with self._condition:
            while not self._jobs and not self._ending:
                self._condition.wait()
            return together(self._jobs, self._most_together)

    def _leave_alone(self, database: sqlite3.Connection, job: _Job) -> None:
        try:
            job.value = job.work(database)
        except BaseException as error:
            job.failure = _unavailable(error) if type(error) in _DISK else Failure()
            if database.in_transaction:
                with suppress(sqlite3.Error):
                    database.execute("ROLLBACK")

    def _commit(self, database: sqlite3.Connection, jobs: list[_Job]) -> None:
        try:
            database.execute("BEGIN IMMEDIATE" if self._writes else "BEGIN")
            for job in jobs:
                self._perform(database, job)
            database.execute("COMMIT")
        except BaseException as error:
            for job in jobs:
                job.failure = _unavailable(error)
            if database.in_transaction:
                # SQLite may have rolled back by itself.
                with suppress(sqlite3.Error):
                    database.execute("ROLLBACK")

    def _perform(self, database: sqlite3.Connection, job: _Job) -> None:
        database.execute("SAVEPOINT job")
        try:
            job.value = job.work(database)
        except BaseException as error:
            if not database.in_transaction:
                # SQLite has rolled back by itself, and everybody's work, as it
                # may where the disk is full.
                raise
            job.failure = _unavailable(error) if type(error) in _DISK else Failure()
            database.execute("ROLLBACK TO job")
        database.execute("RELEASE job")


def _unavailable(error: BaseException) -> Failure:
    return Failure(StoreUnavailable(f"{type(error).__name__}: {error}"))
