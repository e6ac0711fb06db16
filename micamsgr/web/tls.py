"""
TLS for those who connect to us: which, and with which certificate.

Protocols and suites are Mozilla's "intermediate": TLS 1.2 and 1.3, only suites
with forward secrecy and authenticated encryption, of which Twisted's own list is
a superset, and the choice is the client's.  The groups for the key exchange are
OpenSSL's own.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificates
from OpenSSL.SSL import (
    MODE_RELEASE_BUFFERS,
    OP_NO_RENEGOTIATION,
    OP_NO_TICKET,
    SESS_CACHE_OFF,
    TLS1_2_VERSION,
    TLS_CLIENT_METHOD,
    TLS_SERVER_METHOD,
    Connection,
    Context,
    Error,
    WantReadError,
)
from twisted.internet.interfaces import IAddress, IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"

# In bytes.
_LARGEST = 1 << 20

_BEGIN = re.compile(b"-----BEGIN (?:X509 )?CERTIFICATE-----")

_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_LEAST_RSA = 2048

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
    :ivar doubt: why some clients may not trust it, for the operator; or
        nothing.
    """

    context: Context = field(repr=False)
    expires: datetime
    doubt: str = ""


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
            be, don't fit each other, are not valid now, or are such that no
            client could connect; or where others may read the key.
        """
        problems: list[str] = []
        with _noting(problems):
            chain = _chain(self.certificate)
            _check_strength(self.certificate, chain[0])
            _check_dates(self.certificate, chain[0], now)
        with _noting(problems):
            key = _key(self.private_key)
        if problems:
            raise Unusable(*problems)
        self._check_fit(chain, key)
        context = _context()
        with self._usable():
            context.use_certificate(chain[0])
        for number, issuer in enumerate(chain[1:], 2):
            with self._usable(f": certificate {number} in it"):
                context.add_extra_chain_cert(issuer)
        with self._usable(" and its key"):
            context.use_privatekey(key)
            context.check_privatekey()
            # Some of what clients would be refused for shows only now.
            _shake(context)
        expires = chain[0].not_valid_after_utc
        return CertificateSet(context, expires, self._doubt(chain))

    def _check_fit(self, chain: Sequence[Certificate], key: Any) -> None:
        public = key.public_key()
        places = [n for n, one in enumerate(chain, 1) if _holds(one, public)]
        if 1 in places:
            return
        if places:
            raise Unusable(
                f"tls.certificate: {self.certificate} has the server's own certificate"
                f" in place {places[0]}: it must come first, and behind it those that"
                " issued it, in their order"
            )
        raise Unusable(
            f"tls.private_key: {self.private_key} is not the key of {self.certificate}"
        )

    @contextmanager
    def _usable(self, what: str = "") -> Iterator[None]:
        try:
            yield
        except (Error, TypeError, ValueError) as error:
            raise Unusable(
                f"tls.certificate: {self.certificate}{what} can't be used for TLS:"
                f" {_reason(error)}; have another one issued"
            ) from error

    def _doubt(self, chain: Sequence[Certificate]) -> str:
        for number, (one, issuer) in enumerate(pairwise(chain), 2):
            try:
                one.verify_directly_issued_by(issuer)
            except (InvalidSignature, TypeError, ValueError, UnsupportedAlgorithm):
                return (
                    f"{self.certificate}: certificate {number} in it did not issue the"
                    " one before it, so that clients may not trust the chain"
                )
        return ""


def _holds(certificate: Certificate, public: Any) -> bool:
    try:
        return bool(certificate.public_key() == public)
    except (ValueError, UnsupportedAlgorithm):
        return False


def _reason(error: Exception) -> str:
    if isinstance(error, Error) and error.args and isinstance(error.args[0], list):
        return ", ".join(str(entry[-1]) for entry in error.args[0])
    return str(error)


def _shake(context: Context) -> None:
    """
    Let a client connect that takes anything.

    :raises Error: where it can't.
    """
    lenient = Context(TLS_CLIENT_METHOD)
    lenient.set_cipher_list(b"ALL:@SECLEVEL=0")
    client, server = Connection(lenient, None), Connection(context, None)
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(3):
        for side, other in ((client, server), (server, client)):
            with suppress(WantReadError):
                side.do_handshake()
            with suppress(WantReadError):
                while True:
                    other.bio_write(side.bio_read(1 << 16))


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


def _check_strength(path: Path, own: Certificate) -> None:
    try:
        key = own.public_key()
    except (ValueError, UnsupportedAlgorithm):
        key = None
    match key:
        case RSAPublicKey(key_size=size) if size < _LEAST_RSA:
            raise Unusable(
                f"tls.certificate: {path} is for an RSA key of {size} bits, which"
                f" clients refuse: have one issued for {_LEAST_RSA} bits or more"
            )
        case RSAPublicKey() | Ed25519PublicKey() | Ed448PublicKey():
            return
        case EllipticCurvePublicKey() if key.curve.name in _CURVES:
            return
    raise Unusable(
        f"tls.certificate: {path} is for a kind of key that clients don't take: have"
        " one issued for an RSA key, or an EC key on P-256, P-384 or P-521"
    )


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
        chain = load_pem_x509_certificates(content)
    except ValueError as error:
        raise Unusable(
            f"tls.certificate: {path} holds no certificate in PEM"
        ) from error
    begun = len(_BEGIN.findall(content))
    if begun != len(chain):
        raise Unusable(
            f"tls.certificate: {path} begins {begun} certificates, and only"
            f" {len(chain)} can be read: is it still being written, or cut short?"
        )
    return chain


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
    context.set_options(OP_NO_TICKET | OP_NO_RENEGOTIATION)
    context.set_mode(MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SESS_CACHE_OFF)
    context.set_cipher_list(_CIPHERS)
    context.set_alpn_select_callback(_select_protocol)
    return context


def _select_protocol(_: Connection, offered: list[bytes]) -> Any:
    if b"http/1.1" in offered:
        return b"http/1.1"
    # Raised here, it makes OpenSSL tell the client, and is raised again by the
    # handshake, where Twisted takes it for one of OpenSSL's own.
    raise Error([("SSL routines", "", "no application protocol")])


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
        assert self.current is not None
        return Connection(self.current.context, None)


class SecureConnections(TLSMemoryBIOFactory):
    """
    Put TLS on the connections of another factory, which may refuse some.
    """

    def buildProtocol(self, addr: IAddress | None) -> Any:
        protocol = self.wrappedFactory.buildProtocol(addr)
        return None if protocol is None else self.protocol(self, protocol)
