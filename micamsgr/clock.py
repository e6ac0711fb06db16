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

from micamsgr.conversation.moment import Moment, Tick

# Meta's Date header has whole seconds and took its way here: a difference
# below this is none, in seconds.
_TOLERANCE = 2.0

# Seconds between two corrections.
_INTERVAL = 60.0


def boot_id() -> str:
    """
    Name this boot of the machine, so that readings of its monotonic clock can
    be told from an earlier boot's.
    """
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


@define(eq=False)
class Clocks:
    """
    Tell the time.

    :ivar _wall: seconds since the epoch.
    :ivar _ticks: the monotonic clock, in seconds.
    """

    _boot: str
    _wall: Callable[[], float] = time.time
    _ticks: Callable[[], float] = time.monotonic

    _started: float = field(init=False)
    _offset: float = field(default=0.0, init=False)
    _corrected: float | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._started = self._ticks()

    def now(self) -> Moment:
        """
        Read both clocks.
        """
        return Moment(
            wall=int((self._wall() + self._offset) * 1000),
            tick=Tick(self._ticks(), self._boot),
            started=self._started,
        )

    def correct(self, date: str | None) -> None:
        """
        Learn how far our wall clock is from Meta's, from the ``Date`` header
        of an answer that has just come; now and then, since it costs.
        """
        now = self._ticks()
        if date is None or (
            self._corrected is not None and now - self._corrected < _INTERVAL
        ):
            return
        try:
            theirs = parsedate_to_datetime(date).timestamp()
        except (ValueError, TypeError, OverflowError):
            return
        self._corrected = now
        difference = theirs - self._wall()
        self._offset = difference if abs(difference) > _TOLERANCE else 0.0
