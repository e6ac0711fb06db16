"""
What is in the files of the configuration and of the certificate, and who may
read them.
"""

from __future__ import annotations

import ipaddress
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from attrs import frozen
from cryptography.x509 import (
    Certificate,
    DNSName,
    ExtensionNotFound,
    IPAddress,
    SubjectAlternativeName,
    load_pem_x509_certificates,
)

from micamsgr.config.document import ConfigError
from micamsgr.config.exposure import Exposure, exposure
from micamsgr.config.values import TLS, Config
from micamsgr.web.tls import CertificateFiles, Unusable

from .findings import Finding, fine
from .troubles import trouble

_SOON = timedelta(days=14)


# The configuration


def judge_faults(error: ConfigError) -> list[Finding]:
    """
    Tell each fault of a configuration that can't be used.
    """
    return [trouble("configuration.fault", "", str(each)) for each in error.faults]


def judge_configuration(name: str, config: Config) -> list[Finding]:
    """
    Tell what is doubtful in a configuration that can be used.

    :param name: of its file.
    """
    lines = [
        *config.warnings,
        *(f"{key} has no effect yet" for key in config.without_effect),
    ]
    if lines:
        return [trouble("configuration.doubtful", name, line) for line in lines]
    bots = ", ".join(bot.name for bot in config.bots)
    return [fine("configuration", name, f"it can be used; bots: {bots}")]


# Secrets


@frozen
class Mode:
    """
    Who may do what with a file.

    :ivar holds: whether it holds secrets, and not only the names of files that
        do.
    :ivar mode: its permission bits; ``None``: it can't be looked at.
    """

    path: str
    holds: bool
    mode: int | None


def look_at_modes(path: Path, environ: Mapping[str, str]) -> list[Mode]:
    """
    Look at the configuration's file, and at those that it takes secrets from.
    """
    found = Exposure(True, ())
    with suppress(OSError, ConfigError, UnicodeDecodeError):
        text = path.read_bytes().decode("utf-8")
        found = exposure(text, directory=path.parent, environ=environ)
    return [
        Mode(str(path), found.inline, _mode(path)),
        *(Mode(str(file), True, _mode(file)) for file in found.files),
    ]


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except (OSError, ValueError):
        return None


def judge_secrets(modes: Sequence[Mode]) -> list[Finding]:
    """
    Say of each file whether others may read or change what they should not.

    :return: one finding that all is well, or one for each file that is not.
    """
    found: list[Finding] = []
    for each in modes:
        if each.mode is None:
            continue
        shown = f"mode {each.mode:04o}"
        if each.mode & stat.S_IWOTH:
            found.append(trouble("secrets.changeable", each.path, shown))
        elif each.mode & stat.S_IWGRP or (each.holds and each.mode & stat.S_IROTH):
            found.append(trouble("secrets.readable", each.path, shown))
    if found:
        return found
    return [fine("secrets", "", f"no others may read {_count(modes)}")]


def _count(modes: Sequence[Mode]) -> str:
    holding = [each.path for each in modes if each.holds]
    return ", ".join(holding) or "what holds them"


# The certificate


def certificate_files(tls: TLS) -> list[CertificateFiles]:
    """
    List a configuration's certificates.
    """
    return [CertificateFiles(Path(tls.certificate), Path(tls.private_key))]


@frozen(kw_only=True)
class Seen:
    """
    A certificate that can be used.

    :ivar names: for which it was issued, in lower case.
    :ivar doubt: why some may not trust it; or nothing.
    """

    expires: datetime
    names: tuple[str, ...]
    self_signed: bool
    doubt: str


def look_at_certificate(files: CertificateFiles, now: datetime) -> Seen | Unusable:
    """
    Read a certificate as the daemon does.
    """
    try:
        loaded = files.load(now)
        own = load_pem_x509_certificates(files.certificate.read_bytes())[0]
    except Unusable as error:
        return error
    except (OSError, ValueError) as error:
        return Unusable(f"tls.certificate: {files.certificate}: {error}")
    return Seen(
        expires=own.not_valid_after_utc,
        names=tuple(_names(own)),
        self_signed=own.issuer == own.subject,
        doubt=loaded.doubt,
    )


def _names(certificate: Certificate) -> Iterator[str]:
    with suppress(ExtensionNotFound, ValueError):
        found = certificate.extensions.get_extension_for_class(SubjectAlternativeName)
        yield from (n.lower() for n in found.value.get_values_for_type(DNSName))
        yield from map(str, found.value.get_values_for_type(IPAddress))


def judge_certificates(
    seen: Mapping[str, Seen | Unusable], public_url: str | None, now: datetime
) -> list[Finding]:
    """
    Say whether Meta will take the certificates.

    :param seen: by file.
    :param public_url: for whose name one of them has to be; ``None``: it is
        not known.
    """
    if not seen:
        line = "no tls: is given; whatever is before the daemon has the certificate"
        return [fine("certificate", "", line)]
    host = urlsplit(public_url).hostname if public_url else None
    usable = [each for each in seen.values() if isinstance(each, Seen)]
    fits = host is None or any(covers(each.names, host) for each in usable)
    found: list[Finding] = []
    for file, each in seen.items():
        if isinstance(each, Unusable):
            found += [trouble("certificate.unusable", file, why) for why in each.args]
        elif each.self_signed:
            line = "its issuer is itself"
            found.append(trouble("certificate.self_signed", file, line))
        elif not fits:
            names = ", ".join(each.names) or "nothing"
            line = f"it is for {names}, and not for {host}"
            found.append(trouble("certificate.name", file, line))
        elif each.expires < now + _SOON:
            line = f"it expires at {each.expires:%Y-%m-%d %H:%M} UTC"
            found.append(trouble("certificate.expiring", file, line))
        elif each.doubt:
            found.append(trouble("certificate.doubtful", file, each.doubt))
        else:
            line = f"it is valid until {each.expires:%Y-%m-%d %H:%M} UTC"
            found.append(fine("certificate", file, line))
    return found


def covers(names: Sequence[str], host: str) -> bool:
    """
    Say whether a certificate for *names* is one for *host*; a star stands for
    one label.
    """
    host = host.lower().rstrip(".")
    try:
        return str(ipaddress.ip_address(host)) in names
    except ValueError:
        _, _, rest = host.partition(".")
        return host in names or (bool(rest) and f"*.{rest}" in names)
