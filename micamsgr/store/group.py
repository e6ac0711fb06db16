"""
Transactions that are committed together.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from attrs import define, frozen
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from micamsgr.errors import StoreUnavailable

from .trouble import Trouble, trouble

G = TypeVar("G")
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


@frozen
class Alike(Generic[G, T]):
    """
    Work of which much is done at once with less ado than one by one.

    :ivar do_all: is told what each is given, in the order in which they were
        asked for, and returns what came of each, as if they had been done one
        by one.
    :ivar given: what this one is.
    """

    do_all: Callable[[sqlite3.Connection, Sequence[G]], Sequence[T]]
    given: G

    def __call__(self, database: sqlite3.Connection) -> T:
        (outcome,) = self.do_all(database, [self.given])
        return outcome


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
    Perform jobs in one transaction; where one of them fails, each in its own, so
    that it takes nobody with it, unless it is the disk that fails.

    A savepoint for each would be two more statements, and hardly ever does one
    fail.

    :return: what SQLite complained of, where the disk is to blame or none was
        kept.  Each job has its outcome.
    """
    try:
        database.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        failure = _perform(database, jobs)
        database.execute("COMMIT" if failure is None else "ROLLBACK")
    except BaseException as error:
        for job in jobs:
            job.refuse(error)
        if database.in_transaction:
            # SQLite may have rolled back by itself.
            with suppress(sqlite3.Error):
                database.execute("ROLLBACK")
        return error
    if failure is None:
        return None
    if len(jobs) > 1:
        return _commit_each(database, jobs, writes)
    why = failure.value
    assert why is not None
    if type(why) in _DISK:
        jobs[0].refuse(why)
    else:
        jobs[0].failure = failure
    return why if trouble(why) is not None else None


def _commit_each(
    database: sqlite3.Connection, jobs: Sequence[Job], writes: bool
) -> BaseException | None:
    worst = None
    for number, job in enumerate(jobs, 1):
        complaint = commit(database, [job], writes=writes)
        worst = complaint or worst
        if complaint is not None and trouble(complaint) is not Trouble.DAMAGED:
            # It would be the same for the others.
            for other in jobs[number:]:
                other.refuse(complaint)
            break
    return worst


def _perform(database: sqlite3.Connection, jobs: Sequence[Job]) -> Failure | None:
    """
    Call what jobs are to do, those that are alike at once.

    :return: why it can't be committed, where one of them is to blame.
    """
    try:
        for several in _gathered(jobs):
            first = several[0].work
            if len(several) > 1 and isinstance(first, Alike):
                given = [
                    job.work.given for job in several if isinstance(job.work, Alike)
                ]
                for job, value in zip(
                    several, first.do_all(database, given), strict=True
                ):
                    job.value = value
            else:
                for job in several:
                    job.value = job.work(database)
    except BaseException as error:
        what = trouble(error)
        if what not in (None, Trouble.DAMAGED) or not database.in_transaction:
            # SQLite has rolled back by itself, and everybody's work, as it may
            # where the disk is full; or should have.
            raise
        return Failure()
    return None


def _gathered(jobs: Sequence[Job]) -> list[list[Job]]:
    """
    Bring together what is alike, in its order.

    Nobody has been told of any of them yet: whatever is done first, each was asked
    for before the other was done.
    """
    gathered: dict[object, list[Job]] = {}
    for job in jobs:
        kind = job.work.do_all if isinstance(job.work, Alike) else job
        gathered.setdefault(kind, []).append(job)
    return list(gathered.values())
