"""
Keeping what is kept no longer than it should be, bit by bit beside everything
else that the store has to do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from micamsgr.conversation.moment import Moment
from micamsgr.errors import StoreUnavailable

from .database import Transact, Work, in_transaction
from .retention import SLICE, TASKS, Ages, Slice, Task

# Seconds from the start to the first sweep, between two, and until another try
# where the store fails or nobody knows for sure what time it is.
_FIRST, _INTERVAL, _AGAIN = 60.0, 3600.0, 300.0

# A slice is followed by a pause of four times what it took, in seconds.
_SHARE, _SHORTEST, _LONGEST = 4.0, 0.02, 5.0

# Seconds between two looks whether something else that goes first is over.
_HELD = 0.5

# The most slices of one sweep: more than an hour brings in, at fifty messages
# per second.
_MOST = 20_000

# How often the log is tried to be emptied, since somebody may be reading.
_TRIES = 20


def empty_log(database: sqlite3.Connection) -> bool:
    """
    Bring the log into the file, and cut it to nothing, so that nothing that
    was erased stays in it; in no transaction.

    :return: whether that was done: not, where somebody is reading.
    """
    (patience,) = database.execute("PRAGMA busy_timeout").fetchone()
    # Who else reads now is not waited for.
    database.execute("PRAGMA busy_timeout = 0")
    try:
        (busy, _, _) = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        database.execute(f"PRAGMA busy_timeout = {patience}")
    return not busy


async def empty_soon(alone: Transact, clock: IReactorTime) -> bool:
    """
    Empty the log as soon as nobody reads, for some seconds.

    :return: whether that was done.
    """
    for _ in range(_TRIES):
        if await alone(empty_log):
            return True
        await pause(clock, 1.0)
    return False


async def pause(clock: IReactorTime, seconds: float) -> None:
    """
    Let others have the store.
    """
    over: Deferred[None] = deferLater(clock, seconds)
    await over


def unguarded(work: Work[Slice]) -> Work[Slice]:
    """
    Let something be done in a transaction without foreign keys.
    """

    def do(database: sqlite3.Connection) -> Slice:
        database.execute("PRAGMA foreign_keys = OFF")
        try:
            return in_transaction(database, work)
        finally:
            database.execute("PRAGMA foreign_keys = ON")

    return do


@define(eq=False)
class Sweeping(Service):
    """
    Erase texts and delete rows when their time has come: soon after the start,
    then once in an hour.

    :ivar _clock: for every wait; usually the reactor.
    :ivar _now: reads the clocks; a sweep needs Meta's.
    :ivar _ahead: by how many seconds this machine's is ahead of that.  What is too
        old is so by both, lest a wrong one erase everything.
    :ivar _write: runs a transaction.
    :ivar _alone: runs something in no transaction.
    :ivar _held: asks whether something goes on that this is to wait for.
    """

    _clock: IReactorTime
    _now: Callable[[], Moment]
    _write: Transact
    _alone: Transact
    _ages: Callable[[], Ages]
    _most: int = field(default=_MOST, kw_only=True)
    _held: Callable[[], bool] = field(default=lambda: False, kw_only=True)
    _ahead: Callable[[], float | None] = field(default=lambda: None, kw_only=True)

    _call: IDelayedCall | None = field(default=None, init=False)
    _sweeping: Deferred[float] | None = field(default=None, init=False)

    _log = Logger()

    def startService(self) -> None:
        super().startService()
        self._call = self._clock.callLater(_FIRST, self._sweep)

    def stopService(self) -> None:
        super().stopService()
        if self._call is not None and self._call.active():
            self._call.cancel()
        if self._sweeping is not None:
            self._sweeping.cancel()

    def _sweep(self) -> None:
        self._call = None
        sweeping = Deferred.fromCoroutine(self._all())
        self._sweeping = sweeping
        sweeping.addErrback(self._failed)
        sweeping.addCallback(self._swept)

    def _failed(self, failure: Failure) -> float:
        if failure.check(StoreUnavailable):
            self._log.warn(
                "what is too old is erased later: the store fails: {detail}",
                event="retention.postponed",
                detail=getattr(failure.value, "detail", ""),
            )
        elif not failure.check(CancelledError):
            self._log.failure(
                "a defect, erasing what is too old", failure, event="defect"
            )
            return _INTERVAL
        return _AGAIN

    def _swept(self, interval: float) -> None:
        self._sweeping = None
        if self.running:
            self._call = self._clock.callLater(interval, self._sweep)

    async def _all(self) -> float:
        """
        :return: the seconds until the next sweep.
        """
        now = self._now()
        if not now.sure:
            return _AGAIN
        wall = now.wall + int(min(0.0, (self._ahead() or 0.0) * 1000.0))
        left, changed = self._most, dict.fromkeys((task.name for task in TASKS), 0)
        for task in TASKS:
            more = True
            while more and left > 0:
                while self._held():
                    await pause(self._clock, _HELD)
                part = await self._slice(task, wall)
                changed[task.name] += part.changed
                more, left = part.more, left - 1
            if more:
                self._log.warn(
                    "more is too old than one sweep erases; the next one goes on with"
                    " the {kind}, by {key}",
                    event="retention.behind",
                    kind=task.kind,
                    key=task.key,
                )
                break
        if any(changed.values()):
            self._log.info(
                "erased, as it was too old: {what}",
                event="retention.swept",
                what=", ".join(
                    f"{changed[task.name]} {task.kind} by {task.key}"
                    for task in TASKS
                    if changed[task.name]
                ),
                erased=changed,
            )
            if not await empty_soon(self._alone, self._clock):
                self._log.warn(
                    "what was erased may stay in the store's log for a while",
                    event="erasure.lingers",
                )
        return _FIRST if more else _INTERVAL

    async def _slice(self, task: Task, now: int) -> Slice:
        before = now - int(getattr(self._ages(), task.age) * 1000)

        def work(database: sqlite3.Connection) -> Slice:
            return task.work(database, before, now, SLICE)

        began = self._clock.seconds()
        if task.alone:
            part = await self._alone(unguarded(work))
        else:
            part = await self._write(work)
        took = self._clock.seconds() - began
        await pause(self._clock, min(_LONGEST, max(_SHORTEST, _SHARE * took)))
        return part
