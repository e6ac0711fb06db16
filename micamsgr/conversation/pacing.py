"""
Not too much at once.
"""

from __future__ import annotations

from attrs import define, field, frozen


@frozen(kw_only=True)
class Pressure:
    """
    How near a limit of somebody else's is.

    :ivar source: which limit; what is told of one replaces what was told of it
        before.
    :ivar share: of the usual rate, how much is still to be used; above 0, and
        1 where there is no reason to hurry less.
    :ivar rest: for how many seconds nothing is to be sent.
    :ivar detail: for the log.
    """

    source: str
    share: float = 1.0
    rest: float = 0.0
    detail: str = ""


@define(eq=False)
class TokenBucket:
    """
    Let through *rate* per second on average, and a second's worth at once.

    :ivar rate: per second; 0 lets everything through.
    """

    rate: float
    _full: float = field(init=False)
    _tokens: float = field(init=False)
    _at: float | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._full = self._tokens = max(1.0, self.rate)

    def change(self, rate: float, now: float) -> None:
        """
        Let through *rate* per second from now on; who waits on credit is
        forgotten, and has to ask again.
        """
        self.wait(now)
        self.rate, self._full = rate, max(1.0, rate)
        self._tokens = min(self._full, max(0.0, self._tokens))

    def take(self, now: float) -> bool:
        """
        Take a token, if there is one.

        :param now: seconds on a clock that never goes back.
        """
        if self.rate <= 0.0 or self.wait(now) <= 0.0:
            self._tokens -= 1.0
            return True
        return False

    def reserve(self, now: float) -> float:
        """
        Take a token, on credit if need be.

        :return: the seconds until it is really there.
        """
        wait = self.wait(now)
        self._tokens -= 1.0
        return wait

    def wait(self, now: float) -> float:
        """
        Count the seconds until there is a token.
        """
        if self.rate <= 0.0:
            return 0.0
        if self._at is not None:
            passed = max(0.0, now - self._at)
            self._tokens = min(self._full, self._tokens + passed * self.rate)
        self._at = now
        return max(0.0, (1.0 - self._tokens) / self.rate)
