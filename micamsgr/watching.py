"""
Looking at what is the case, every some seconds, for the metrics.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import ILogObserver, Logger, LogPublisher
from twisted.python.failure import Failure

from .conversation.moment import Moment
from .errors import StoreUnavailable
from .metrics import Metrics
from .store.database import Transact
from .store.tally import read_figures, take_counts

# Seconds between two looks, and between two looks at the reactor.
_INTERVAL, _LAG = 15.0, 1.0

# What was seen longer ago than this, in seconds, is not known any more.
_STALE = 60.0

_DAY = 86_400_000


@define(eq=False)
class Watching(Service):
    """
    Keep the metrics up to date.

    :ivar _clock: for every wait; usually the reactor.
    :ivar metrics: what is kept up to date, and may be served.
    :ivar _now: reads the clocks.
    :ivar _path: of the store.
    :ivar _budgets: gives, by bot, most tokens of a day; those without a limit
        are not there.
    :ivar _publisher: of the log.
    :ivar _bots: names those whose events are waited for; of a bot that was
        taken away nobody answers what is left.  ``None``: all.
    """

    _clock: IReactorTime
    _now: Callable[[], Moment]
    metrics: Metrics
    _write: Transact
    _read: Transact
    _path: str
    _budgets: Callable[[], Mapping[str, int]]
    _publisher: LogPublisher
    _bots: Callable[[], Collection[str] | None] = field(
        default=lambda: None, kw_only=True
    )

    #: Bytes that are free on the store's disk, as of the last look; ``None``: not
    #: known.
    free: int | None = field(default=None, init=False)

    _look_call: IDelayedCall | None = field(default=None, init=False)
    _lag_call: IDelayedCall | None = field(default=None, init=False)
    _looking: Deferred[None] | None = field(default=None, init=False)
    # Since how many seconds the oldest event waits, if any does; and when that
    # was so.
    _oldest: tuple[float | None, float] | None = field(default=None, init=False)

    _log = Logger()

    def startService(self) -> None:
        super().startService()
        observer: ILogObserver = self.metrics
        self._publisher.addObserver(observer)
        self._look()
        self._wait()

    def stopService(self) -> None:
        super().stopService()
        self._publisher.removeObserver(self.metrics)
        for call in (self._look_call, self._lag_call):
            if call is not None and call.active():
                call.cancel()
        if self._looking is not None:
            self._looking.cancel()

    @property
    def oldest(self) -> float | None:
        """
        Since how many seconds the oldest event waits that has no answer; 0
        where none does, ``None`` where that isn't known, as the store could not
        be read for a while.
        """
        if self._oldest is None:
            return None
        waited, at = self._oldest
        since = self._clock.seconds() - at
        if since > _STALE:
            return None
        return 0.0 if waited is None else waited + since

    def _wait(self) -> None:
        due = self._clock.seconds() + _LAG
        self._lag_call = self._clock.callLater(_LAG, self._woken, due)

    def _woken(self, due: float) -> None:
        self.metrics.late(max(0.0, self._clock.seconds() - due))
        self._wait()

    def _look(self) -> None:
        looking = Deferred.fromCoroutine(self._see())
        self._looking = looking
        looking.addErrback(self._failed)
        looking.addCallback(self._looked)

    def _failed(self, failure: Failure) -> None:
        # A store that fails is told of by those who need it.
        if not failure.check(CancelledError, StoreUnavailable):
            self._log.failure(
                "a defect, looking at what is the case", failure, event="defect"
            )

    def _looked(self, _: None) -> None:
        self._looking = None
        if self.running:
            self._look_call = self._clock.callLater(_INTERVAL, self._look)

    async def _see(self) -> None:
        self._see_disk()
        now = self._now().wall
        bots = self._bots()
        figures = await self._read(
            lambda database: read_figures(database, now // _DAY, bots)
        )
        waited = None
        if figures.oldest is not None:
            waited = max(0.0, (now - figures.oldest) / 1000.0)
        self._oldest = waited, self._clock.seconds()
        self.metrics.open(figures.states, waited or 0.0)
        for bot, most in self._budgets().items():
            self.metrics.spent(bot, figures.tokens.get(bot, 0) / most)
        for it in await self._write(take_counts):
            self.metrics.moved(it.what, it.kind, it.state, it.reason, it.count)

    def _see_disk(self) -> None:
        log = free = size = 0
        self.free = None
        with suppress(OSError):
            log = Path(f"{self._path}-wal").stat().st_size
        with suppress(OSError):
            disk = os.statvfs(Path(self._path).parent)
            free = self.free = disk.f_bavail * disk.f_frsize
            size = disk.f_blocks * disk.f_frsize
        self.metrics.disk(log, free, size)
