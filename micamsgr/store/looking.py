"""
Looks into the store that may take their time: each in a thread and on a
connection of its own, so that nobody else waits for them.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from threading import Thread
from typing import Any, TypeVar

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from micamsgr.errors import StoreUnavailable

from .database import open_for_reading
from .group import Work

T = TypeVar("T")


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
        self._database: sqlite3.Connection | None = None
        self.result: Deferred[Any] = Deferred(lambda _: self._interrupt())

    def _interrupt(self) -> None:
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.interrupt()

    def run(self) -> None:
        try:
            with closing(open_for_reading(self._path)) as self._database:
                self._database.execute("BEGIN")
                found = self._work(self._database)
        except sqlite3.OperationalError as error:
            unusable = StoreUnavailable(f"can't read the store {self._path}: {error}")
            self._reactor.callFromThread(self.result.errback, Failure(unusable))
        except BaseException:
            self._reactor.callFromThread(self.result.errback, Failure())
        else:
            self._reactor.callFromThread(self.result.callback, found)
