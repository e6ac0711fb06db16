"""
The files of a certificate and its key: read, and checked so that what is put in
force works.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from attrs import field, frozen
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import (
    Certificate,
    DNSName,
    DuplicateExtension,
    ExtensionNotFound,
    SubjectAlternativeName,
    UnsupportedGeneralNameType,
    load_pem_x509_certificates,
)
from cryptography.x509.oid import NameOID
from OpenSSL.SSL import Context, Error

from .handshake import make_context, try_out

# In bytes.
_LARGEST = 1 << 20

# With a star for one whole label, the first.
_NAME = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*", re.ASCII)

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


@frozen(eq=False, kw_only=True)
class Certified:
    """
    A certificate with its chain and its key, checked, and ready for use.

    :ivar key: of the configuration, which names its file.
    :ivar names: those that it is for, in lower case; one may begin with ``*.``,
        for one label of any kind.
    :ivar expires: when it does, in UTC.
    :ivar doubt: why some clients may not trust it, for the operator; or
        nothing.
    """

    key: str
    file: Path
    context: Context = field(repr=False)
    names: tuple[bytes, ...]
    expires: datetime
    doubt: str = ""


@frozen
class CertificateFiles:
    """
    Where a certificate and its key are, both in PEM.

    :ivar certificate: the server's own first, then those that issued it.
    :ivar place: the section of the configuration that names them.
    """

    certificate: Path
    private_key: Path
    place: str = "tls"

    @property
    def _about(self) -> str:
        return f"{self.place}.certificate: {self.certificate}"

    def version(self) -> tuple[object, ...]:
        """
        Tell these files from what they were: it changes when they do.
        """
        return tuple(map(_version, (self.certificate, self.private_key)))

    def load(self, now: datetime, *, modern: bool = False) -> Certified:
        """
        Read both, once, and check them together.

        :param modern: as for :func:`~micamsgr.web.handshake.make_context`.

        :raises Unusable: where they can't be read, are not what they should
            be, don't fit each other, are not valid now, or are such that no
            client could connect; or where others may read the key.
        """
        problems: list[str] = []
        with noting(problems):
            chain = _chain(f"{self.place}.certificate", self.certificate)
            _check_strength(self._about, chain[0])
            _check_dates(self._about, chain[0], now)
        with noting(problems):
            key = _key(f"{self.place}.private_key", self.private_key)
        if problems:
            raise Unusable(*problems)
        self._check_fit(chain, key)
        context = make_context(modern=modern)
        with self._usable():
            context.use_certificate(chain[0])
        for number, issuer in enumerate(chain[1:], 2):
            with self._usable(f": certificate {number} in it"):
                context.add_extra_chain_cert(issuer)
        with self._usable(" and its key"):
            context.use_privatekey(key)
            context.check_privatekey()
            # Some of what clients would be refused for shows only now.
            try_out(context)
        return Certified(
            key=f"{self.place}.certificate",
            file=self.certificate,
            context=context,
            names=names_of(chain[0]),
            expires=chain[0].not_valid_after_utc,
            doubt=self._doubt(chain),
        )

    def _check_fit(self, chain: Sequence[Certificate], key: Any) -> None:
        public = key.public_key()
        places = [n for n, one in enumerate(chain, 1) if _holds(one, public)]
        if 1 in places:
            return
        if places:
            raise Unusable(
                f"{self._about} has the server's own certificate in place {places[0]}:"
                " it must come first, and behind it those that issued it, in their"
                " order"
            )
        raise Unusable(
            f"{self.place}.private_key: {self.private_key} is not the key of"
            f" {self.certificate}"
        )

    @contextmanager
    def _usable(self, what: str = "") -> Iterator[None]:
        try:
            yield
        except (Error, TypeError, ValueError) as error:
            raise Unusable(
                f"{self._about}{what} can't be used for TLS: {_reason(error)}; have"
                " another one issued"
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


def names_of(certificate: Certificate) -> tuple[bytes, ...]:
    """
    List the names that a certificate is for, in lower case and without a dot at
    the end.

    What is no name that a client can ask for is left out.  The subject counts
    only where the certificate has no list of names.

    :return: each at most once; one may begin with ``*.``.
    """
    try:
        found = certificate.extensions.get_extension_for_class(SubjectAlternativeName)
        written = found.value.get_values_for_type(DNSName)
    except ExtensionNotFound:
        subject = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        written = [one.value for one in subject if isinstance(one.value, str)]
    except (ValueError, DuplicateExtension, UnsupportedGeneralNameType):
        # Most clients refuse it anyway.
        return ()
    names = (one.lower().rstrip(".") for one in written)
    plain = (one.encode() for one in names if _NAME.fullmatch(one))
    return tuple(dict.fromkeys(plain))


def _reason(error: Exception) -> str:
    if isinstance(error, Error) and error.args and isinstance(error.args[0], list):
        return ", ".join(str(entry[-1]) for entry in error.args[0])
    return str(error)


def _version(path: Path) -> object:
    try:
        status = path.stat()
    except OSError as error:
        return error.errno
    return status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode


@contextmanager
def noting(problems: list[str]) -> Iterator[None]:
    """
    Go on where something can't be used, and add why to *problems*.
    """
    try:
        yield
    except Unusable as error:
        problems += error.args


def _check_strength(about: str, own: Certificate) -> None:
    try:
        key = own.public_key()
    except (ValueError, UnsupportedAlgorithm):
        key = None
    match key:
        case RSAPublicKey(key_size=size) if size < _LEAST_RSA:
            raise Unusable(
                f"{about} is for an RSA key of {size} bits, which"
                f" clients refuse: have one issued for {_LEAST_RSA} bits or more"
            )
        case RSAPublicKey() | Ed25519PublicKey() | Ed448PublicKey():
            return
        case EllipticCurvePublicKey() if key.curve.name in _CURVES:
            return
    raise Unusable(
        f"{about} is for a kind of key that clients don't take: have"
        " one issued for an RSA key, or an EC key on P-256, P-384 or P-521"
    )


def _check_dates(about: str, own: Certificate, now: datetime) -> None:
    if own.not_valid_after_utc <= now:
        raise Unusable(
            f"{about} expired at {own.not_valid_after_utc:%Y-%m-%d %H:%M} UTC: renew it"
        )
    if own.not_valid_before_utc > now:
        raise Unusable(
            f"{about} is valid only from"
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


def _chain(key: str, path: Path) -> list[Certificate]:
    content, _ = _read(key, path)
    try:
        chain = load_pem_x509_certificates(content)
    except ValueError as error:
        raise Unusable(f"{key}: {path} holds no certificate in PEM") from error
    begun = len(_BEGIN.findall(content))
    if begun != len(chain):
        raise Unusable(
            f"{key}: {path} begins {begun} certificates, and only"
            f" {len(chain)} can be read: is it still being written, or cut short?"
        )
    return chain


def _key(key: str, path: Path) -> Any:
    content, status = _read(key, path)
    if status.st_mode & (stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP):
        raise Unusable(
            f"{key}: {path} has mode {stat.S_IMODE(status.st_mode):04o}, so"
            " that others may read or change it: `chmod 600` it, or 640 for a group"
        )
    try:
        return load_pem_private_key(content, None)
    except TypeError as error:
        raise Unusable(
            f"{key}: {path} is encrypted, and there is nobody to ask for"
            " the passphrase: store it without one"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unusable(f"{key}: {path} holds no private key in PEM") from error
