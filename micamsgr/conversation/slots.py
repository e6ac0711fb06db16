"""
How many times at once the assistant is asked.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field


@define(eq=False)
class Slots:
    """
    The places of those for whom the assistant is being asked.

    :ivar limit: how many there are; may be changed at any time.
    :ivar taken: how many of them are taken; for a while more than there are,
        where the limit was lowered.
    :ivar freed: called when one is free again.
    """

    limit: int
    taken: int = field(default=0, init=False)
    freed: Callable[[], None] = field(default=lambda: None, init=False)

    @property
    def spare(self) -> bool:
        """Whether one is free."""
        return self.taken < self.limit

    def take(self) -> bool:
        """
        Take one, if one is free.
        """
        if not self.spare:
            return False
        self.taken += 1
        return True

    def free(self) -> None:
        """
        Give one back.
        """
        self.taken -= 1
        self.freed()
