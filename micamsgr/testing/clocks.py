"""
Clocks that a test sets.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.task import Clock

from micamsgr.conversation.moment import Moment, Tick

#: When :class:`FixedClocks` begin, in milliseconds since the epoch.
NOW = 1_795_362_617_000


@define(eq=False)
class FixedClocks:
    """
    Tell the time by a test's :class:`~twisted.internet.task.Clock`.

    :ivar boot: which boot of the machine it is.
    :ivar wall: its milliseconds when the Clock showed 0; set it, and it jumps.
    :ivar sure: whether Meta's clock has been heard of.
    """

    _clock: Clock
    boot: str = "first boot"
    wall: int = NOW
    sure: bool = True

    _started: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._started = self._clock.seconds()

    def now(self) -> Moment:
        """
        Read both clocks.
        """
        seconds = self._clock.seconds()
        return Moment(
            wall=self.wall + round(seconds * 1000),
            tick=Tick(seconds, self.boot),
            started=self._started,
            sure=self.sure,
        )
