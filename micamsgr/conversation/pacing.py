"""
Not too much at once.
"""

from __future__ import annotations

from attrs import define, field


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
