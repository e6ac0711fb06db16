"""
Connections whose clients keep us waiting, and which of them makes room.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, Generic, TypeVar

from attrs import define, field

T = TypeVar("T", bound=Hashable)

# So many entries of the heap may be out of date, beyond as many as are not.
_MOST_STALE = 64

_Entry = tuple[int, int, Any]


@define(eq=False)
class Waiting(Generic[T]):
    """
    Things that wait, by the network that they are of.

    A step takes as long as the logarithm of their number, on average.
    """

    # By network, those who wait longest first, each with a number that grows
    # with time; none is empty.  (Of a plain ``dict``, to find the first key
    # takes as long as others were removed before it.)
    _networks: dict[Hashable, OrderedDict[T, int]] = field(factory=dict, init=False)
    # The networks as they are, and as they were: how many of theirs wait, less
    # than 0; the first one's number.
    _heap: list[_Entry] = field(factory=list, init=False)
    _numbers: count[int] = field(factory=count, init=False)

    def add(self, network: Hashable, one: T) -> None:
        """
        Let one wait that doesn't yet, behind all others of its network.
        """
        self._networks.setdefault(network, OrderedDict())[one] = next(self._numbers)
        self._changed(network)

    def remove(self, network: Hashable, one: T) -> None:
        """
        Let one wait no longer, if it does.
        """
        there = self._networks.get(network)
        if there is None or one not in there:
            return
        del there[one]
        if there:
            self._changed(network)
        else:
            del self._networks[network]

    def first(self, network: Hashable) -> tuple[Hashable, T] | None:
        """
        Find who makes room for one more of a network: of the network from which
        most wait then, who waits longest; where these are several, of the one
        that is to have one more, else of that in which somebody waits longest.

        :return: the network, too; ``None`` where nobody waits.
        """
        while self._heap and not self._true(self._heap[0]):
            heappop(self._heap)
        if not self._heap:
            return None
        size, _, largest = self._heap[0]
        if len(self._networks.get(network, ())) == -size:
            largest = network
        return largest, next(iter(self._networks[largest]))

    def _entry(self, network: Hashable) -> _Entry:
        there = self._networks[network]
        return -len(there), next(iter(there.values())), network

    def _true(self, entry: _Entry) -> bool:
        network = entry[2]
        return network in self._networks and entry == self._entry(network)

    def _changed(self, network: Hashable) -> None:
        if len(self._heap) >= 2 * len(self._networks) + _MOST_STALE:
            self._heap = [self._entry(each) for each in self._networks]
            heapify(self._heap)
        else:
            heappush(self._heap, self._entry(network))
