"""
The one thread that uses a connection, and commits in groups.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime

from micamsgr.errors import StoreUnavailable

from .ballast import Ballast
from .connection import News, TendedConnection
from .group import Job, Work, together

T = TypeVar("T")

# Where something has waited longer than this, in seconds, nothing new is
# taken: whoever brings it would not wait for it.
_LONGEST_WAIT = 3.0


class Reactor(IReactorFromThreads, IReactorTime):
    """What a database thread needs of the reactor."""


@define(eq=False)
class DatabaseThread:
    """
    The one thread that uses a connection.

    All that was asked for while a commit was under way goes into the next
    one; what fails takes nobody with it.

    :ivar _open: makes the connection, and checks the file; called in the
        thread, again after an I/O error.
    :ivar _path: of the store, not by way of a link.
    :ivar _tell: is given the news of the disk, in the reactor.
    :ivar _writes: whether transactions write; a reader's don't.
    :ivar _committed: told how many seconds each commit took, with all that was
        done in it, and of how many transactions it was.
    :ivar _ballast: what is given up when the disk is full.
    :ivar _most_waiting: how many transactions may wait before more are
        refused.
    :ivar _most_together: how many go into one commit.
    """

    _reactor: Reactor
    _open: Callable[[], sqlite3.Connection]
    _path: Path = field(default=Path(), kw_only=True)
    _tell: Callable[[News, str], None] = field(
        default=lambda news, detail: None, kw_only=True
    )
    _writes: bool = field(default=True, kw_only=True)
    _committed: Callable[[float, int], None] = field(
        default=lambda seconds, count: None, kw_only=True
    )
    _ballast: Ballast | None = field(default=None, kw_only=True)
    _most_waiting: int = field(default=20_000, kw_only=True)
    _most_together: int = field(default=256, kw_only=True)
    _clock: Callable[[], float] = field(default=time.monotonic, kw_only=True)

    # On the reactor's side: what was asked for in this turn of the reactor,
    # what is neither done nor refused, in the order in which it was asked for.
    _asked: list[Job] = field(factory=list, init=False)
    _waiting: deque[Job] = field(factory=deque, init=False)

    # Shared, under the condition.
    _jobs: deque[Job] = field(factory=deque, init=False)
    _ending: bool = field(default=False, init=False)
    _condition: threading.Condition = field(factory=threading.Condition, init=False)

    _connection: TendedConnection = field(init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _ended: Deferred[None] = field(factory=Deferred, init=False)

    def __attrs_post_init__(self) -> None:
        self._connection = TendedConnection(
            self._path,
            self._open,
            lambda news, detail: self._reactor.callFromThread(self._tell, news, detail),
            writes=self._writes,
            ballast=self._ballast,
            clock=self._clock,
        )

    @property
    def unopened(self) -> str | None:
        """
        Why the connection could not be opened yet, so that there may be no
        tables; ``None``: it was.
        """
        return self._connection.unopened

    def start(self) -> None:
        """
        Open the connection; returns once it is open, or waits for room.

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

    def condemn(self) -> None:
        """
        Take nothing new from now on: the file is damaged.
        """
        self._connection.condemn()

    def transact(self, work: Work[T]) -> Deferred[T]:
        """
        Finish something that was begun; see :class:`~micamsgr.store.group.Transact`.
        """
        return self._ask(work, new=False)

    def admit(self, work: Work[T]) -> Deferred[T]:
        """
        Bring in something new, which is refused while there is no room for it,
        and while what was asked for 3 s ago is still not done.
        """
        refusal = self.refusal
        if refusal is not None:
            return fail(StoreUnavailable(refusal))
        return self._ask(work, new=True)

    @property
    def refusal(self) -> str | None:
        """
        Why nothing new is taken now; ``None`` where it is.
        """
        refusing = self._connection.refusing
        if refusing is not None:
            return refusing
        if self._waiting and self._clock() - self._waiting[0].asked > _LONGEST_WAIT:
            return "the disk is too slow"
        return None

    @property
    def closed(self) -> bool:
        """
        Whether the connection is closed, as after an I/O error.
        """
        return self._connection.closed

    def ping(self) -> Deferred[None]:
        """
        See whether the thread is alive, whatever the disk is like, which is not
        touched; who asks again before there is an answer should wait for that
        one instead.

        :return: fires once the thread has come to it; fails with
            :exc:`~micamsgr.errors.StoreUnavailable` where it does not run.
        """
        if self._thread is None or self._ending:
            return fail(StoreUnavailable("the store is closed"))
        # Being one, it needs no room among those that wait.
        return self._enqueue(lambda _: None, idle=True)

    def alone(self, work: Work[T]) -> Deferred[T]:
        """
        Call *work* with nothing else, and in no transaction but what it begins
        and ends itself.
        """
        return self._ask(work, new=False, alone=True)

    def _ask(self, work: Work[T], new: bool, alone: bool = False) -> Deferred[T]:
        if self._ending:
            return fail(StoreUnavailable("the store is closed"))
        if len(self._waiting) >= self._most_waiting:
            return fail(StoreUnavailable("too much waits to be written"))
        return self._enqueue(work, new=new, alone=alone)

    def _enqueue(self, work: Work[T], **kind: Any) -> Deferred[T]:
        result: Deferred[T] = Deferred()
        if not self._asked:
            self._reactor.callLater(0, self._hand_over)
        job = Job(work, result, self._clock(), **kind)
        self._waiting.append(job)
        self._asked.append(job)
        return result

    def _hand_over(self) -> None:
        jobs, self._asked = self._asked, []
        if jobs:
            with self._condition:
                self._jobs.extend(jobs)
                self._condition.notify()

    def _answer(self, jobs: list[Job], seconds: float) -> None:
        busy = sum(not job.idle for job in jobs)
        if busy:
            self._committed(seconds, busy)
        for _ in jobs:
            # They are done in the order in which they were asked for.
            self._waiting.popleft()
        for job in jobs:
            # Who canceled has been told already, and hears nothing more.
            if job.failure is not None:
                job.result.errback(job.failure)
            else:
                job.result.callback(job.value)

    # What follows runs in the thread.

    def _run(self, opened: threading.Event, faults: list[BaseException]) -> None:
        try:
            self._connection.open()
        except BaseException as error:
            faults.append(error)
            return
        finally:
            opened.set()
        while (jobs := self._next()) is not None:
            if jobs:
                began = self._clock()
                self._connection.perform(jobs)
                seconds = self._clock() - began
                self._reactor.callFromThread(self._answer, jobs, seconds)
            self._connection.tend()
        self._connection.close()
        self._reactor.callFromThread(self._ended.callback, None)

    def _next(self) -> list[Job] | None:
        """
        Wait for something to do.

        :return: jobs; none where it is time to look after the connection;
            ``None`` where it is time to end.
        """
        with self._condition:
            if not self._jobs and not self._ending:
                self._condition.wait(self._connection.patience)
            if not self._jobs and self._ending:
                return None
            return together(self._jobs, self._most_together)
