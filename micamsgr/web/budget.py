"""
The bytes that all bodies may hold together which are not whole yet, and which
of these bodies gives way where they are too many.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Protocol

from attrs import define, field

from .admission import SHARED


class Body(Protocol):
    """What holds bytes."""

    def give_way(self) -> None:
        """Hold nothing any more, for others need the room; raises nothing."""

    def __hash__(self) -> int: ...


def largest_holder(
    held: Mapping[Hashable, int], newcomer: Hashable, count: int
) -> Hashable:
    """
    Decide of which network a body gives way, so that one network is to hold
    more: of that which would hold most then; where these are several, of the
    one that is to hold more.

    :param held: bytes by network, each more than 0.
    :param newcomer: the network that is to hold more; it may hold none yet.
    :param count: how many bytes more.
    """
    largest = max(held, key=held.__getitem__, default=newcomer)
    if held.get(newcomer, 0) + count >= held.get(largest, 0):
        return newcomer
    return largest


@define(eq=False)
class Budget:
    """
    Bytes that may be held at once.

    Where there is no room for more, bodies of the network that holds most give
    way, the one first that has been unfinished longest. Where that is the very
    network that wants more, the body that wants it gives way instead: so a
    network that holds little never suffers from one that holds much. Who shares
    :data:`~.admission.SHARED` can't be told apart: there the one gives way that
    has been unfinished longest, in this case too, for whoever delivers in
    earnest is done soon.

    :ivar limit: how many.
    :ivar held: how many there are.
    """

    limit: int
    held: int = field(default=0, init=False)
    # By network, the bodies and their bytes, each more than 0; those whose first
    # byte came first are first; no network is empty.  (Of a plain ``dict``, to
    # find the first key takes as long as others were removed before it.)
    _bodies: dict[Hashable, OrderedDict[Body, int]] = field(factory=dict, init=False)
    # By network, the sum of these.
    _sums: dict[Hashable, int] = field(factory=dict, init=False)

    def take(self, network: Hashable, body: Body, count: int) -> bool:
        """
        Let a body hold more, for which others, or it itself, may have to give
        way.

        :param network: that it comes from.
        :param count: how many bytes, more than 0.

        :return: whether it holds them; ``False`` where it gave way itself.
        """
        # To look at all networks is dear, but each time costs some client its
        # connection, which was dearer.
        while self.held + count > self.limit:
            place, loser = self._loser(network, body, count)
            self.give_back(place, loser)
            loser.give_way()
            if loser is body:
                return False
        bodies = self._bodies.get(network)
        if bodies is None:
            bodies = self._bodies[network] = OrderedDict()
        bodies[body] = bodies.get(body, 0) + count
        self._sums[network] = self._sums.get(network, 0) + count
        self.held += count
        return True

    def give_back(self, network: Hashable, body: Body) -> None:
        """
        Give back all that a body holds, if it holds anything.
        """
        bodies = self._bodies.get(network)
        if bodies is None or body not in bodies:
            return
        count = bodies.pop(body)
        self.held -= count
        self._sums[network] -= count
        if not bodies:
            del self._bodies[network], self._sums[network]

    def _loser(
        self, network: Hashable, body: Body, count: int
    ) -> tuple[Hashable, Body]:
        place = largest_holder(self._sums, network, count)
        if place == network and (network != SHARED or place not in self._bodies):
            return network, body
        return place, next(iter(self._bodies[place]))
