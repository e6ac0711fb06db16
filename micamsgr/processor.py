"""
Keeping this process on one processor, as long as nobody else wants that one.

Of its threads only one at a time runs Python.  Where they are on two
processors, each time that one lets another go on it has to wake a processor,
which takes longer than most of what is done in between: see docs/performance.md.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from attrs import define, field, frozen
from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

# Seconds between two looks; and for which it goes where there is room, once
# others wanted the processor.
_INTERVAL, _ELSEWHERE = 1.0, 60.0

# It gives way to others that make it wait for more than this share of the time.
_MOST_WAITED = 0.1

_PROC = Path("/proc/self")


@frozen
class Usage:
    """
    What became of this process so far, in seconds.

    :ivar waited: for which the calling thread could have run, and something else
        did on its processor.
    :ivar threads: of processor time that this process's other threads took.
    """

    waited: float
    threads: float


class Scheduler(Protocol):
    """What the system does with the threads of this process."""

    def allowed(self) -> Collection[int]:
        """List the processors on which they may run; none: they can't be kept."""

    def here(self) -> int:
        """Name the one on which the calling thread runs."""

    def keep(self, processors: Collection[int]) -> None:
        """
        Let them run only on these; those that begin later, too.

        :raises OSError: where the system refuses.
        """

    def usage(self) -> Usage:
        """Tell what they had so far."""


class Linux:
    """
    Linux, with its accounts of who waits.

    Source: sched(7), proc_pid_stat(5), and the kernel's
    Documentation/scheduler/sched-stats.rst.
    """

    def allowed(self) -> Collection[int]:
        """
        See :class:`Scheduler`; none also where somebody chose processors for
        this process, or the kernel keeps no accounts.
        """
        processors = os.sched_getaffinity(0)
        chosen = len(processors) < (os.cpu_count() or 1)
        return () if chosen or not (_PROC / "schedstat").exists() else processors

    def here(self) -> int:
        """See :class:`Scheduler`."""
        # Behind the name, which may hold anything, it is the 37th field.
        fields = (_PROC / "stat").read_text().rpartition(")")[2].split()
        return int(fields[36])

    def keep(self, processors: Collection[int]) -> None:
        """See :class:`Scheduler`."""
        for thread in (_PROC / "task").iterdir():
            # One may have ended meanwhile.
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), processors)

    def usage(self) -> Usage:
        """See :class:`Scheduler`; to be called by the main thread."""
        _, waited, _ = map(int, (_PROC / "schedstat").read_text().split())
        return Usage(waited / 1e9, time.process_time() - time.thread_time())


@define(eq=False)
class OneProcessor(Service):
    """
    Keep the process on the processor on which it is, unless others want that one;
    then, for a minute, let it go wherever there is room.

    Where it can't be kept, nothing is done.
    """

    _clock: IReactorTime
    _scheduler: Scheduler = field(factory=Linux)

    _allowed: Collection[int] = field(default=(), init=False)
    _kept: bool = field(default=False, init=False)
    _before: Usage = field(default=Usage(0.0, 0.0), init=False)
    _looked: float = field(default=0.0, init=False)
    _call: IDelayedCall | None = field(default=None, init=False)

    def startService(self) -> None:
        super().startService()
        self._allowed = self._scheduler.allowed()
        if len(self._allowed) > 1:
            # A start has more to do than to wait for the other thread.
            self._look_in(_INTERVAL)

    def stopService(self) -> None:
        super().stopService()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _look_in(self, seconds: float) -> None:
        # Where there is no file left to be opened, it can't be told.
        with suppress(OSError):
            self._before = self._scheduler.usage()
        self._looked = self._clock.seconds()
        self._call = self._clock.callLater(seconds, self._look)

    def _look(self) -> None:
        self._call, wait = None, _INTERVAL
        try:
            if self._kept and self._crowded():
                self._scheduler.keep(self._allowed)
                self._kept, wait = False, _ELSEWHERE
            elif not self._kept and not self._crowded():
                self._scheduler.keep({self._scheduler.here()})
                self._kept = True
        except PermissionError:
            return
        except OSError:
            pass
        self._look_in(wait)

    def _crowded(self) -> bool:
        before, now = self._before, self._scheduler.usage()
        # That its own threads wait for each other is what is wanted.
        others = now.waited - before.waited - (now.threads - before.threads)
        return others > _MOST_WAITED * (self._clock.seconds() - self._looked)
