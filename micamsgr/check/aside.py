"""
Waiting beside the reactor's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads

T = TypeVar("T")


def aside(
    reactor: IReactorFromThreads, work: Callable[[], T], what: str
) -> Deferred[T]:
    """
    Do what waits for the disk or another process in a thread of its own.

    Nobody waits for the thread, not even the process's end; what comes of it
    after the result was canceled is dropped.

    :param what: names the thread.

    :return: what it returns, or fails with what it raises.
    """
    done: Deferred[T] = Deferred()

    def run() -> None:
        try:
            result = work()
        except Exception as error:
            reactor.callFromThread(done.errback, error)
        else:
            reactor.callFromThread(done.callback, result)

    Thread(target=run, name=f"aside: {what}", daemon=True).start()
    return done
