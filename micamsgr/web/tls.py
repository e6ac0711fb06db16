"""
TLS for those who connect to us: with which certificate.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from attrs import define, field, frozen
from OpenSSL.SSL import Connection, Context
from twisted.internet.interfaces import IAddress, IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from .certificate_files import CertificateFiles, Certified, Unusable, noting
from .handshake import ServerConnection

__all__ = [
    "CertificateFiles",
    "CertificateSet",
    "Offer",
    "SecureConnections",
    "ServerCertificate",
    "Unusable",
    "utc_now",
]


@frozen(eq=False)
class CertificateSet:
    """
    Certificates that are in force together.

    Which one a client is shown depends on the name that it asks for: the first
    that has just this name, or else the first that has it by a star.  To look
    it up costs the same for any name and any number of certificates.

    :ivar certificates: at least one; the first is also for those who ask for a
        name that none has, or for no name.
    """

    certificates: tuple[Certified, ...]

    # By name, and by what follows the star's label.
    _exact: dict[bytes, Certified] = field(factory=dict, init=False, repr=False)
    _starred: dict[bytes, Certified] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        for one in self.certificates:
            for name in one.names:
                if name.startswith(b"*."):
                    self._starred.setdefault(name[2:], one)
                else:
                    self._exact.setdefault(name, one)

    @property
    def expires(self) -> datetime:
        """When the first of them does, in UTC."""
        return min(one.expires for one in self.certificates)

    def doubts(self) -> Iterator[str]:
        """
        Say why clients may not trust one, or why nobody is ever shown it.
        """
        shown = {*self._exact.values(), *self._starred.values()}
        for one in self.certificates:
            if one.doubt:
                yield one.doubt
            if one is not self.certificates[0] and one not in shown:
                yield (
                    f"{one.key}: nobody is shown {one.file}: it has no name that"
                    " those before it don't have"
                )

    def context_for(self, name: bytes | None) -> Context:
        """
        Choose for a client.

        :param name: that it asks for, as it came; or ``None``.
        """
        if name is None:
            return self.certificates[0].context
        # Of anything but ASCII this changes nothing, and it fits no name.
        wanted = name.lower().rstrip(b".")
        chosen = self._exact.get(wanted)
        if chosen is None:
            label, _, rest = wanted.partition(b".")
            chosen = self._starred.get(rest) if label else None
        return (chosen or self.certificates[0]).context


@frozen
class Offer:
    """
    What those who connect are to be offered.

    :ivar files: of each certificate, the first one's first.
    :ivar modern: whether only TLS 1.3 is spoken.
    """

    files: tuple[CertificateFiles, ...]
    modern: bool = False

    def version(self) -> tuple[object, ...]:
        """
        Tell the files from what they were: it changes when they do.
        """
        return tuple(each.version() for each in self.files)

    def load(self, now: datetime) -> CertificateSet:
        """
        Read all files, once, and check them.

        :raises Unusable: where any of them can't be used, with the faults of
            all.
        """
        problems: list[str] = []
        found: list[Certified] = []
        for each in self.files:
            with noting(problems):
                found.append(each.load(now, modern=self.modern))
        if problems:
            raise Unusable(*problems)
        return CertificateSet(tuple(found))


def utc_now() -> datetime:
    """
    Read the wall clock.
    """
    return datetime.now(timezone.utc)


@implementer(IOpenSSLServerConnectionCreator)
@define(eq=False)
class ServerCertificate:
    """
    Make the server's side of TLS connections.

    :ivar current: for connections to come; may be replaced at any time, and
        those that are open go on as they are.  ``None`` before the first.
    """

    current: CertificateSet | None = None

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> Connection:
        current = self.current
        assert current is not None
        return ServerConnection(current.context_for(None), current.context_for)


class SecureConnections(TLSMemoryBIOFactory):
    """
    Put TLS on the connections of another factory, which may refuse some.

    :ivar hsts: for how many seconds browsers are told to come only by TLS, by
        connections to come; 0 tells them nothing.
    """

    hsts = 0

    def buildProtocol(self, addr: IAddress | None) -> Any:
        protocol = self.wrappedFactory.buildProtocol(addr)
        if protocol is None:
            return None
        protocol.hsts = self.hsts
        return self.protocol(self, protocol)
