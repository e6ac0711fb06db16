"""
Looks into the store that may take their time: each in a thread and on a
connection of its own, so that nobody else waits for them.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from threading import Event, Thread
from typing import Any, TypeVar

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from micamsgr.errors import StoreUnavailable

from .database import open_for_reading
from .group import Work

T = TypeVar("T")

# Of SQLite's machine, between two looks at whether somebody still waits.
_STEPS = 10_000


@define(eq=False)
class Looking:
    """
    Read what was committed; how many look at once is for the caller to bound.

    :ivar _path: of the store.
    """

    _reactor: IReactorFromThreads
    _path: str

    def read(self, work: Work[T]) -> Deferred[T]:
        """
        Run a function of a connection that only reads, at one moment of the
        store.

        :return: what it returns; fails with what it raises, or with
            :exc:`~micamsgr.errors.StoreUnavailable`.  Canceled, it leaves off.
        """
        look = _Look(self._reactor, self._path, work)
        Thread(target=look.run, name="store: look", daemon=True).start()
        return look.result


class _Look:
    def __init__(
        self, reactor: IReactorFromThreads, path: str, work: Work[Any]
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._work = work
        self._over = Event()
        self.result: Deferred[Any] = Deferred(lambda _: self._over.set())

    def _tell(self, outcome: object) -> None:
        # Who canceled has been told already.
        if not self.result.called:
            # A failure goes the way of failures.
            self.result.callback(outcome)

    def run(self) -> None:
        try:
            with closing(open_for_reading(self._path)) as database:
                # Not interrupt(), which ends only what has begun.
                database.set_progress_handler(self._over.is_set, _STEPS)
                database.execute("BEGIN")
                found = self._work(database)
        except sqlite3.OperationalError as error:
            unusable = StoreUnavailable(f"can't read the store {self._path}: {error}")
            self._reactor.callFromThread(self._tell, Failure(unusable))
        except BaseException:
            self._reactor.callFromThread(self._tell, Failure())
        else:
            self._reactor.callFromThread(self._tell, found)
