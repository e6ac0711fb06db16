"""
Who may connect: so many in all, and so many from one address; and who has to
go where there are so many.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Protocol

from attrs import define, field
from twisted.internet.interfaces import IAddress

from .waiting import Waiting

MOST_CLOSING = 256
"""Connections that are closed to make room, and not gone yet; beyond the others.

They go with the next turn of the reactor, and it accepts about a hundred in one.
"""

# Whoever has an IPv6 address has all of its /64: that many count as one.
_INTERFACE_BITS = 64

# What one customer of a provider has, who easily gets many of the above: a /48
# of IPv6 and, for want of a better guess, a /24 of IPv4. By version, the bits
# that an origin has beyond it.
_CUSTOMER_BITS = {4: 8, 6: 16}

Origin = tuple[int, int] | None
"""What a connection is counted by: version and number; ``None``: exempt."""

SHARED: Hashable = None
"""The network of all that is exempt: others' clients come through there."""

Network = IPv4Network | IPv6Network


def _networks(texts: Iterable[str]) -> tuple[Network, ...]:
    return tuple(map(ip_network, texts))


class Connection(Protocol):
    """What is counted."""

    def make_room(self) -> None:
        """Be gone by the next turn of the reactor."""

    def __hash__(self) -> int: ...


def network_of(origin: Origin) -> Hashable:
    """
    Find of which network an origin is: a /48 of IPv6, a /24 of IPv4.
    """
    if origin is None:
        return SHARED
    version, number = origin
    return version, number >> _CUSTOMER_BITS[version]


@define(eq=False)
class Admission:
    """
    Count the connections there are.

    Where there are as many as there may be, another one takes the place of one
    whose client keeps us waiting: for its first request, for the rest of one,
    for a further one, or for its going. It is of the network from which most do
    so (a /48 of IPv6, a /24 of IPv4), the newcomer counted; and of these the one
    that does so longest, since it connected or was answered. So a few networks
    can fill all places, and can't keep others out. Who is being answered, or is
    exempt, never has to go.

    Where a connection comes from is what its socket says. A header such as
    ``X-Forwarded-For`` is never looked at: anybody can write one, and the
    decision falls before the first byte.

    :ivar _most: connections at once.
    :ivar _per_address: connections at once from one address.
    :ivar _trusted: networks that are exempt from the latter, as loopback and
        what is no IP address at all are.
    :ivar open: connections that there are.
    """

    _most: int = 10_000
    _per_address: int = 256
    _trusted: tuple[Network, ...] = field(default=(), converter=_networks)

    open: int = field(default=0, init=False)
    # Connections by origin; none is 0.
    _origins: dict[Origin, int] = field(factory=dict, init=False)
    # Those that keep us waiting, and those that are being closed for others; in
    # at most one of these is each connection.
    _waiting: Waiting[Connection] = field(factory=Waiting, init=False)
    _closing: set[Connection] = field(factory=set, init=False)

    def origin(self, address: IAddress) -> Origin:
        """
        Find what an address is counted by.
        """
        host = getattr(address, "host", None)
        if not isinstance(host, str):
            return None
        ip = ip_address(host)
        if isinstance(ip, IPv6Address):
            # So it comes from a socket that takes both.
            ip = ip.ipv4_mapped or ip
        if ip.is_loopback or any(ip in network for network in self._trusted):
            return None
        if isinstance(ip, IPv6Address):
            return 6, int(ip) >> _INTERFACE_BITS
        return 4, int(ip)

    def refusal(self, origin: Origin) -> str | None:
        """
        Ask whether one more may connect.

        :return: why not, as the key of the configuration that sets the limit.
            Where it is that on all connections, :meth:`make_room` may help.
        """
        if origin is not None and self._origins.get(origin, 0) >= self._per_address:
            return "clients.per_address"
        if self.open - len(self._closing) >= self._most:
            return "clients.connections"
        return None

    def make_room(self, origin: Origin) -> Connection | None:
        """
        Close a connection for another one.

        :param origin: where that one comes from.

        :return: which; ``None`` where there is none that may be closed.
        """
        found = self._waiting.first(network_of(origin))
        if found is None or len(self._closing) >= MOST_CLOSING:
            return None
        network, connection = found
        self._waiting.remove(network, connection)
        self._closing.add(connection)
        connection.make_room()
        return connection

    def enter(self, origin: Origin, connection: Connection) -> None:
        """
        Count a connection, which waits for its client.
        """
        self.open += 1
        if origin is not None:
            self._origins[origin] = self._origins.get(origin, 0) + 1
        self.wait(origin, connection)

    def wait(self, origin: Origin, connection: Connection) -> None:
        """
        Note that a connection waits for its client, from now on.
        """
        if origin is not None:
            self._waiting.add(network_of(origin), connection)

    def serve(self, origin: Origin, connection: Connection) -> None:
        """
        Note that its client waits for us.
        """
        if origin is not None:
            self._waiting.remove(network_of(origin), connection)

    def leave(self, origin: Origin, connection: Connection) -> None:
        """
        Count it no longer.
        """
        self.serve(origin, connection)
        self._closing.discard(connection)
        self.open -= 1
        if origin is not None:
            self._origins[origin] -= 1
            if not self._origins[origin]:
                del self._origins[origin]


def affordable(wanted: int, files: int, own: int) -> int:
    """
    Decide how many connections to take, so that what we open ourselves (the
    store, calls to others) never fails for want of a file descriptor.

    :param wanted: by the configuration.
    :param files: how many may be open in this process.
    :param own: how many of these we may need ourselves.

    :return: at most *wanted*; where files are few, half of them at least.
    """
    return min(wanted, max(files - own, files // 2))
