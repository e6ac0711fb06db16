"""
Who may connect: so many in all, and so many from one address.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from attrs import define, field
from twisted.internet.interfaces import IAddress

# Whoever has an IPv6 address has all of its /64: that many count as one.
_INTERFACE_BITS = 64

Network = IPv4Network | IPv6Network


def _networks(texts: Iterable[str]) -> tuple[Network, ...]:
    return tuple(map(ip_network, texts))


@define(eq=False)
class Admission:
    """
    Count the connections there are.

    Where a connection comes from is what its socket says. A header such as
    ``X-Forwarded-For`` is never looked at: anybody can write one, and the
    decision falls before the first byte.

    :ivar _most: connections at once.
    :ivar _per_address: connections at once from one address.
    :ivar _trusted: networks that are exempt from the latter, as loopback and
        what is no IP address at all are.
    :ivar open: connections that there are.
    :ivar refused: how many were refused so far.
    """

    _most: int = 10_000
    _per_address: int = 256
    _trusted: tuple[Network, ...] = field(default=(), converter=_networks)

    open: int = field(default=0, init=False)
    refused: int = field(default=0, init=False)
    # Connections by origin; none is 0.
    _origins: dict[Hashable, int] = field(factory=dict, init=False)

    def origin(self, address: IAddress) -> Hashable:
        """
        Find what an address is counted by.

        :return: ``None`` where it is exempt.
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

    def refusal(self, origin: Hashable) -> str | None:
        """
        Ask whether one more may connect.

        :return: why not, as the key of the configuration that sets the limit.
        """
        if self.open >= self._most:
            self.refused += 1
            return "clients.connections"
        if origin is not None and self._origins.get(origin, 0) >= self._per_address:
            self.refused += 1
            return "clients.per_address"
        return None

    def enter(self, origin: Hashable) -> None:
        """
        Count a connection.
        """
        self.open += 1
        if origin is not None:
            self._origins[origin] = self._origins.get(origin, 0) + 1

    def leave(self, origin: Hashable) -> None:
        """
        Count it no longer.
        """
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
