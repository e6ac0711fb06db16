"""
Points in time, as the planner sees them.

Waits are counted on the monotonic clock, which nobody sets; the wall clock
serves only for comparison with what Meta says.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Tick:
    """
    A reading of the monotonic clock.

    :ivar seconds: since some point that differs from boot to boot.
    :ivar boot: which boot of the machine that was.
    """

    seconds: float
    boot: str


@frozen(kw_only=True)
class Moment:
    """
    Now.

    :ivar wall: milliseconds since the epoch, by Meta's clock as far as we
        know it.
    :ivar tick: the monotonic clock.
    :ivar started: the monotonic clock's seconds when this process started.
    :ivar sure: whether Meta's clock has been heard of; if not, *wall* is this
        machine's, and may be days off.
    """

    wall: int
    tick: Tick
    started: float
    sure: bool = True

    def since(self, tick: Tick) -> float:
        """
        Count the seconds that surely passed since *tick*.

        After a reboot that is the age of this process: the clock began anew,
        and how long the machine was down nobody knows.
        """
        if tick.boot == self.tick.boot:
            return self.tick.seconds - tick.seconds
        return self.tick.seconds - self.started

    def until(self, tick: Tick | None) -> float:
        """
        Count the seconds left until *tick*; none after a reboot.
        """
        if tick is None or tick.boot != self.tick.boot:
            return 0.0
        return max(0.0, tick.seconds - self.tick.seconds)

    def plus(self, seconds: float) -> Tick:
        """
        Name the point that many *seconds* from now.
        """
        return Tick(self.tick.seconds + seconds, self.tick.boot)
