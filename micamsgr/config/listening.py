"""
Where the daemon is to listen, seen over the whole file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address

from attrs import frozen
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor

from micamsgr.config.document import ConfigError, Entries, Fault, Node
from micamsgr.config.readers import endpoint
from micamsgr.config.values import TLS

#: Where it listens where the file says nothing.
DEFAULT = "tcp:8080:interface=127.0.0.1:backlog=1024"

_KEYS = ("listen", "tls.listen", "admin.listen", "sandbox.listen")
_EVERYWHERE = ("0.0.0.0", "::")


@frozen
class _Spot:
    """
    What one endpoint takes for itself.

    :ivar kind: ``tcp4``, ``tcp6``, ``unix`` or ``other``.
    :ivar name: the address, the path, or all that is known.
    :ivar port: of TCP; elsewhere any number but 0.
    """

    kind: str
    name: str
    port: int = 1

    def meets(self, other: _Spot) -> bool:
        """
        Say whether no more than one of the two can be had.

        Whether IPv6 takes IPv4 along is for the system to say, and not
        counted.
        """
        if (self.kind, self.port) != (other.kind, other.port) or not self.port:
            return False
        return self.name == other.name or any(
            spot.name in _EVERYWHERE for spot in (self, other)
        )


def places(found: Entries) -> dict[str, str]:
    """
    Tell by endpoint, for the operator, where the file names it.

    :return: file, line and key.

    :raises ConfigError: for each that is taken by another one of the file.
    """
    named: dict[str, str] = {}
    taken: list[tuple[_Spot, Node]] = []
    faults: list[Fault] = []
    for node, text in _endpoints(found):
        spot = _spot(text)
        for other, first in taken:
            if spot.meets(other):
                faults += node.refusal(
                    f"taken already by {_shown(first)}; name another endpoint, or"
                    " take one of them away"
                ).faults
                break
        taken.append((spot, node))
        key = node.path.partition("[")[0]
        place = str(Fault(node.line, key, "", node.source.name))
        named.setdefault(text, place)
    if faults:
        raise ConfigError(faults)
    return named


def _endpoints(found: Entries) -> Iterator[tuple[Node, str]]:
    tls = found.node.find("tls")
    secure = tls is not None and not tls.null
    for key in _KEYS:
        node = found.node.find(*key.split("."))
        if node is not None:
            for item in node.items():
                with suppress(ConfigError):  # told by the key's own reader
                    yield item, endpoint(item)
        elif key == "listen" and not secure:
            yield found[key], DEFAULT
        elif key == "tls.listen" and tls is not None and secure:
            for text in TLS(certificate="", private_key="").listen:
                yield tls.child("listen", tls.line, None), text


def _spot(text: str) -> _Spot:
    kind = text.partition(":")[0]
    if kind not in ("tcp", "tcp6", "unix"):
        return _Spot("other", text)
    reactor = MemoryReactor()
    serverFromString(reactor, text).listen(Factory())
    for path, *_ in reactor.unixServers:
        return _Spot("unix", path)
    ((port, _, _, interface),) = reactor.tcpServers
    host = {"": "0.0.0.0", "localhost": "127.0.0.1"}.get(interface, interface)
    with suppress(ValueError):
        address = ip_address(host)
        return _Spot(f"tcp{address.version}", str(address), port)
    return _Spot("tcp4", host, port)


def _shown(node: Node) -> str:
    if node.absent:
        return f"the default of {node.path}"
    return f"{node.path} in line {node.line}"
