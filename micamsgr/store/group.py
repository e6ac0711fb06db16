"""
Transactions that are committed together.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from attrs import define
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from micamsgr.errors import StoreUnavailable

from .trouble import Trouble, trouble

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


@define(eq=False)
class Job:
    """
    A transaction that was asked for.

    :ivar result: fires in the reactor, once what became of it is known.
    :ivar asked: when, in seconds on the monotonic clock.
    :ivar new: whether it brings in something new, which is refused while there
        is no room for it; otherwise it finishes what was begun.
    :ivar alone: whether it is done with nothing else, and in no transaction but
        what it begins and ends itself.
    :ivar idle: whether it is only to be come to; then its work is not called.
    """

    work: Work[Any]
    result: Deferred[Any]
    asked: float
    new: bool = False
    alone: bool = False
    idle: bool = False
    failure: Failure | None = None
    value: Any = None

    def refuse(self, error: BaseException | str) -> None:
        """
        Note that it was not kept, and why.
        """
        detail = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        # Each its own, which they may raise without harm to the others.
        self.failure = Failure(StoreUnavailable(detail))


def together(jobs: deque[Job], most: int) -> list[Job]:
    """
    Take the next jobs that may be done in one commit.
    """
    taken: list[Job] = []
    while jobs and len(taken) < most and not (taken and jobs[0].alone):
        taken.append(jobs.popleft())
        if taken[0].alone:
            break
    return taken


def leave_alone(database: sqlite3.Connection, job: Job) -> BaseException | None:
    """
    Perform a job that begins and ends its transactions itself.

    :return: what SQLite complained of, where the disk is to blame.
    """
    try:
        job.value = job.work(database)
    except BaseException as error:
        if type(error) in _DISK:
            job.refuse(error)
        else:
            job.failure = Failure()
        if database.in_transaction:
            with suppress(sqlite3.Error):
                database.execute("ROLLBACK")
        return error if trouble(error) is not None else None
    return None


def commit(
    database: sqlite3.Connection, jobs: Sequence[Job], *, writes: bool
) -> BaseException | None:
    """
    Perform jobs in one transaction, each in a savepoint of its own: what fails
    takes nobody with it, unless it is the disk that fails.

    :return: what SQLite complained of, where the disk is to blame or none was
        kept.  Each job has its outcome.
    """
    complaint: BaseException | None = None
    try:
        database.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        for job in jobs:
            complaint = _perform(database, job) or complaint
        database.execute("COMMIT")
    except BaseException as error:
        for job in jobs:
            job.refuse(error)
        complaint = error
        if database.in_transaction:
            # SQLite may have rolled back by itself.
            with suppress(sqlite3.Error):
                database.execute("ROLLBACK")
    return complaint


def _perform(database: sqlite3.Connection, job: Job) -> BaseException | None:
    database.execute("SAVEPOINT job")
    complaint = None
    try:
        job.value = job.work(database)
    except BaseException as error:
        what = trouble(error)
        if what not in (None, Trouble.DAMAGED) or not database.in_transaction:
            # SQLite has rolled back by itself, and everybody's work, as it may
            # where the disk is full; or should have.
            raise
        if type(error) in _DISK:
            job.refuse(error)
        else:
            job.failure = Failure()
        complaint = error if what is not None else None
        database.execute("ROLLBACK TO job")
    database.execute("RELEASE job")
    return complaint
