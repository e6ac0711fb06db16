"""
What time it is: by the monotonic clock for every wait, and by Meta's clock for
what is compared with what Meta says.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path

from attrs import define, field
from twisted.logger import Logger

from micamsgr.conversation.moment import Moment, Tick

# Meta's Date header has whole seconds and took its way here: a difference
# below this is none, in seconds.
_TOLERANCE = 2.0

# A difference of which somebody should know, in seconds.
_ALARM = 60.0


def boot_id() -> str:
    """
    Name this boot of the machine, so that readings of its monotonic clock can
    be told from an earlier boot's.
    """
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def boot_time() -> float:
    """
    Read the monotonic clock that goes on while the machine is suspended.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@define(eq=False)
class Clocks:
    """
    Tell the time.

    :ivar _wall: seconds since the epoch.
    :ivar _ticks: the monotonic clock, in seconds.
    """

    _boot: str
    _wall: Callable[[], float] = time.time
    _ticks: Callable[[], float] = boot_time

    _started: float = field(init=False)
    # What the wall clock showed, or Meta's did, when the monotonic clock
    # showed this.  From there on only the latter counts: it is never set.
    _anchor: tuple[float, float] = field(init=False)
    _date: str | None = field(default=None, init=False)
    _sure: bool = field(default=False, init=False)
    # What an answer said that is far from what was known, and when.
    _jump: tuple[float, float] | None = field(default=None, init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._started = self._ticks()
        self._anchor = (self._wall(), self._started)

    def now(self) -> Moment:
        """
        Read both clocks.
        """
        ticks = self._ticks()
        return Moment(
            wall=int(self._at(ticks) * 1000),
            tick=Tick(ticks, self._boot),
            started=self._started,
            sure=self._sure,
        )

    def seconds(self) -> float:
        """
        Read the monotonic clock alone.
        """
        return self._ticks()

    @property
    def ahead(self) -> float | None:
        """
        By how many seconds this machine's clock is ahead of Meta's, to about two;
        ``None`` while that is not known.
        """
        if not self._sure or self._date is None:
            return None
        return self._wall() - self._at(self._ticks())

    def correct(self, date: str | None) -> None:
        """
        Learn what Meta's clock shows from the ``Date`` header of an answer
        that has just come.

        A jump is believed only when a second answer agrees: one that is wrong
        would make messages look too old to be answered.

        :param date: ``None`` where it has none: then ours must do.
        """
        if date is None:
            self._sure = True
            return
        if date == self._date:
            return
        try:
            theirs = parsedate_to_datetime(date).timestamp()
        except (ValueError, TypeError, OverflowError):
            self._sure = True
            return
        self._date = date
        ticks = self._ticks()
        difference = theirs - self._at(ticks)
        if abs(difference) > _ALARM and not self._agrees(theirs, ticks):
            self._jump = (theirs, ticks)
            return
        self._sure, self._jump = True, None
        if abs(difference) > _TOLERANCE:
            self._anchor = (theirs, ticks)
        if abs(difference) > _ALARM:
            self._log.warn(
                "this machine's clock is {seconds:.0f} s behind Meta's: set it right;"
                " until then Meta's is used",
                event="clock.wrong",
                seconds=difference,
            )

    def _agrees(self, theirs: float, ticks: float) -> bool:
        if self._jump is None:
            return False
        said, then = self._jump
        return abs(theirs - said - (ticks - then)) <= _TOLERANCE

    def _at(self, ticks: float) -> float:
        wall, then = self._anchor
        return wall + (ticks - then)
