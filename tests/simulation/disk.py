"""
A store whose threads are simulated: the same transactions in the same groups,
on a real SQLite, at moments and with failures that the simulation chooses.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred

from micamsgr.store.database import open_database
from micamsgr.store.group import commit, leave_alone
from micamsgr.store.sqlite import SQLiteStore
from micamsgr.store.thread import DatabaseThread
from tests.simulation.machine import Process


@frozen
class Condition:
    """
    How the disk behaves.

    :ivar before: makes the seconds from the beginning of a commit until it is
        durable.
    :ivar after: makes those from then until it is answered.
    :ivar failing: says whether the next commit fails.
    """

    before: Callable[[], float]
    after: Callable[[], float]
    failing: Callable[[], bool] = lambda: False


@define(eq=False, repr=False)
class Disk:
    """
    A disk with one database, which outlives the processes that use it.

    :ivar condition: may be replaced at any time.
    :ivar around_commit: told before (``True``) and after (``False``) a commit
        of a process; it may let the process die.
    :ivar commits: how many there were, and how many of them failed.
    """

    condition: Condition
    around_commit: Callable[[Process, bool], None] = lambda process, before: None
    note: Callable[..., None] = lambda *what: None

    database: sqlite3.Connection = field(init=False)
    commits: int = field(default=0, init=False)
    failed: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.database = open_database(":memory:")

    def service(
        self,
        process: Process,
        path: str,
        *,
        committed: Callable[[float, int], None],
    ) -> SimulatedStore:
        """
        Make a store's service for a process.
        """
        return SimulatedStore(process, self)


class SimulatedThread(DatabaseThread):
    """
    What the database's thread does, without a thread.
    """

    disk: Disk
    process: Process
    busy: bool = False

    def start(self) -> None:
        """Begin to work."""
        self._thread = True  # type: ignore[assignment]

    def stop(self) -> Deferred[None]:
        stopped = super().stop()
        self._rest()
        return stopped

    def _hand_over(self) -> None:
        super()._hand_over()
        self._begin()

    def _begin(self) -> None:
        if self._jobs and not self.busy:
            self.busy = True
            self.process.callLater(self.disk.condition.before(), self._work)

    def _work(self) -> None:
        jobs = self._next() or []
        disk = self.disk
        if self._writes:
            disk.around_commit(self.process, True)
            if not self.process.alive:
                return
            disk.commits += 1
        failing = disk.condition.failing()
        if failing:
            disk.failed += 1
        database: Any = disk.database if not failing else _Failing(disk.database)
        if jobs[0].alone:
            leave_alone(database, jobs[0])
        else:
            commit(database, jobs, writes=self._writes)
        disk.note("failed" if failing else "commit", self._writes, len(jobs))
        if self._writes:
            disk.around_commit(self.process, False)
        self.process.callLater(disk.condition.after(), self._worked, jobs)

    def _worked(self, jobs: list[Any]) -> None:
        self.busy = False
        self._answer(jobs, 0.0)
        self._begin()
        self._rest()

    def _rest(self) -> None:
        if self._ending and not self.busy and not self._jobs and not self._ended.called:
            self._ended.callback(None)


@define(eq=False, repr=False)
class _Failing:
    """
    A connection to a disk that takes no commit.
    """

    _database: sqlite3.Connection

    def execute(self, query: str, *values: Any) -> sqlite3.Cursor:
        if query == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")
        return self._database.execute(query, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


class SimulatedStore(Service):
    """
    The store as a service, on a simulated disk.
    """

    def __init__(self, process: Process, disk: Disk) -> None:
        self._threads = []
        for writes in (True, False):
            reactor: Any = process
            thread = SimulatedThread(
                reactor, lambda: disk.database, writes=writes, clock=process.seconds
            )
            thread.disk, thread.process = disk, process
            self._threads.append(thread)
        writer, reader = self._threads
        self.store = SQLiteStore(writer.transact, reader.transact, admit=writer.admit)
        self.write, self.read, self.alone = (
            writer.transact,
            reader.transact,
            writer.alone,
        )
        self.ping = writer.ping

    def startService(self) -> None:
        super().startService()
        for thread in self._threads:
            thread.start()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        writer, reader = self._threads
        await reader.stop()
        await writer.stop()
