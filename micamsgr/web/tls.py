"""
TLS for those who connect to us: which, and with which certificate.

Mozilla's "intermediate": TLS 1.2 and 1.3, only suites with forward secrecy and
authenticated encryption, of which Twisted's own list is a superset.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificates
from OpenSSL.SSL import (
    MODE_RELEASE_BUFFERS,
    NO_OVERLAPPING_PROTOCOLS,
    OP_CIPHER_SERVER_PREFERENCE,
    OP_NO_RENEGOTIATION,
    OP_NO_TICKET,
    SESS_CACHE_OFF,
    TLS1_2_VERSION,
    TLS_SERVER_METHOD,
    Connection,
    Context,
    Error,
)
from twisted.internet.interfaces import IAddress, IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"

# In bytes.
_LARGEST = 1 << 20

_ADVICE = {
    errno.ENOENT: "correct the path, or have the certificate issued first",
    errno.EACCES: "let the user that the daemon runs as read it, and enter"
    " each directory above it",
    errno.EISDIR: "name the file in it",
}


class Unusable(ValueError):
    """
    A certificate or its key can't be used.

    :ivar args: what is wrong, all of it, in a line each that begins with the
        key of the configuration, names the file and says what to do.
    """

    def __str__(self) -> str:
        return "\n".join(self.args)


@frozen
class CertificateSet:
    """
    A certificate with its chain and its key, checked, and ready for use.

    :ivar expires: when it does, in UTC.
    """

    context: Context = field(repr=False)
    expires: datetime


@frozen
class CertificateFiles:
    """
    Where a certificate and its key are, both in PEM.

    :ivar certificate: the server's own first, then those that issued it.
    """

    certificate: Path
    private_key: Path

    def version(self) -> tuple[object, ...]:
        """
        Tell these files from what they were: it changes when they do.
        """
        return tuple(map(_version, (self.certificate, self.private_key)))

    def load(self, now: datetime) -> CertificateSet:
        """
        Read both, once, and check them as a set.

        :raises Unusable: where they can't be read, are not what they should
            be, don't fit each other, or are not valid now; or where others
            may read the key.
        """
        problems: list[str] = []
        with _noting(problems):
            chain = _chain(self.certificate)
            _check_dates(self.certificate, chain[0], now)
        with _noting(problems):
            key = _key(self.private_key)
        if problems:
            raise Unusable(*problems)
        context = _context()
        try:
            context.use_certificate(chain[0])
            for issuer in chain[1:]:
                context.add_extra_chain_cert(issuer)
            context.use_privatekey(key)
            context.check_privatekey()
        except (Error, TypeError, ValueError) as error:
            raise Unusable(
                f"tls.private_key: {self.private_key} is not the key of"
                f" {self.certificate}"
            ) from error
        return CertificateSet(context, chain[0].not_valid_after_utc)


def _version(path: Path) -> object:
    try:
        status = path.stat()
    except OSError as error:
        return error.errno
    return status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode


@contextmanager
def _noting(problems: list[str]) -> Iterator[None]:
    try:
        yield
    except Unusable as error:
        problems += error.args


def _check_dates(path: Path, own: Certificate, now: datetime) -> None:
    if own.not_valid_after_utc <= now:
        raise Unusable(
            f"tls.certificate: {path} expired at"
            f" {own.not_valid_after_utc:%Y-%m-%d %H:%M} UTC: renew it"
        )
    if own.not_valid_before_utc > now:
        raise Unusable(
            f"tls.certificate: {path} is valid only from"
            f" {own.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on: is the clock right?"
        )


def _read(key: str, path: Path) -> tuple[bytes, os.stat_result]:
    try:
        # Not to wait for whoever would write into a pipe.
        with open(path, "rb", opener=_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise Unusable(f"{key}: {path} is not a file; name the file itself")
            content = file.read(_LARGEST + 1)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "see to it that it can be read")
        raise Unusable(f"{key}: {path}: {error.strerror}; {advice}") from error
    if len(content) > _LARGEST:
        raise Unusable(f"{key}: {path} is larger than 1 MiB: is it the right file?")
    return content, status


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _chain(path: Path) -> list[Certificate]:
    content, _ = _read("tls.certificate", path)
    try:
        return load_pem_x509_certificates(content)
    except ValueError as error:
        raise Unusable(
            f"tls.certificate: {path} holds no certificate in PEM"
        ) from error


def _key(path: Path) -> Any:
    content, status = _read("tls.private_key", path)
    if status.st_mode & (stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP):
        raise Unusable(
            f"tls.private_key: {path} has mode {stat.S_IMODE(status.st_mode):04o}, so"
            " that others may read or change it: `chmod 600` it, or 640 for a group"
        )
    try:
        return load_pem_private_key(content, None)
    except TypeError as error:
        raise Unusable(
            f"tls.private_key: {path} is encrypted, and there is nobody to ask for"
            " the passphrase: store it without one"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unusable(
            f"tls.private_key: {path} holds no private key in PEM"
        ) from error


def _context() -> Context:
    context = Context(TLS_SERVER_METHOD)
    context.set_min_proto_version(TLS1_2_VERSION)
    context.set_options(
        OP_CIPHER_SERVER_PREFERENCE | OP_NO_TICKET | OP_NO_RENEGOTIATION
    )
    context.set_mode(MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SESS_CACHE_OFF)
    context.set_cipher_list(_CIPHERS)
    context.set_alpn_select_callback(_select_protocol)
    return context


def _select_protocol(_: Connection, offered: list[bytes]) -> Any:
    return b"http/1.1" if b"http/1.1" in offered else NO_OVERLAPPING_PROTOCOLS


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
        those that are open go on as they are.
    """

    current: CertificateSet

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> Connection:
        return Connection(self.current.context, None)


class SecureConnections(TLSMemoryBIOFactory):
    """
    Put TLS on the connections of another factory, which may refuse some.
    """

    def buildProtocol(self, addr: IAddress | None) -> Any:
        protocol = self.wrappedFactory.buildProtocol(addr)
        return None if protocol is None else self.protocol(self, protocol)
