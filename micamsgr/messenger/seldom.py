"""
When to log what others can cause.
"""

from __future__ import annotations

from collections.abc import Hashable

from attrs import define, field
from twisted.internet.interfaces import IReactorTime


@define(eq=False)
class Seldom:
    """
    Say when a line about a subject is due, so that others can't write the log:
    the first time at once, then at most once in an interval.

    :ivar _interval: seconds.
    :ivar _most: of how many subjects it is known when they came up; beyond,
        the one of which a line was due longest ago is forgotten.
    """

    _clock: IReactorTime
    _interval: float
    _most: int = 1000

    # When a line was due last, and how often the subject came up since; the
    # longest ago first.
    _due: dict[Hashable, tuple[float, int]] = field(factory=dict, init=False)

    def count(self, subject: Hashable) -> int:
        """
        Note that *subject* came up.

        :return: 0: no line is due.  Else how often it came up since the last.
        """
        now = self._clock.seconds()
        last, since = self._due.get(subject, (None, 0))
        if last is not None and now - last < self._interval:
            self._due[subject] = (last, since + 1)
            return 0
        self._due.pop(subject, None)
        self._due[subject] = (now, 0)
        if len(self._due) > self._most:
            del self._due[next(iter(self._due))]
        return since + 1
