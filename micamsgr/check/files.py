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


def look_at_modes(
    path: Path, environ: Mapping[str, str], *, sandboxed: bool = False
) -> list[Mode]:
    """
    Look at the configuration's file, and at those that it takes secrets from.

    :param sandboxed: whether all bots are the sandbox's; then only at files that
        hold other secrets than those of Meta, which the sandbox makes its own.
    """
    found = Exposure(True, ())
    with suppress(OSError, ConfigError, UnicodeDecodeError):
        text = path.read_bytes().decode("utf-8")
        found = exposure(
            text, directory=path.parent, environ=environ, sandboxed=sandboxed
        )
    modes = [
        Mode(str(path), found.inline, _mode(path)),
        *(Mode(str(file), True, _mode(file)) for file in found.files),
    ]
    return [each for each in modes if each.holds or not sandboxed]


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
    known = [each for each in modes if each.mode is not None]
    if found:
        return found
    if not modes:
        return [fine("secrets", "", "there are none: all bots are the sandbox's")]
    if not known:
        return [fine("secrets", "", "there is no file that others could read")]
    return [fine("secrets", "", f"no others may read {_count(known)}")]


def _count(modes: Sequence[Mode]) -> str:
    holding = [each.path for each in modes if each.holds]
    return ", ".join(holding) or "what holds them"


# The certificate


def certificate_files(tls: TLS) -> list[CertificateFiles]:
    """
    List a configuration's certificates, in its order.
    """
    pairs = {"tls": tls} | {f"tls.further[{n}]": it for n, it in enumerate(tls.further)}
    return [
        CertificateFiles(Path(it.certificate), Path(it.private_key), place)
        for place, it in pairs.items()
    ]


@frozen(kw_only=True)
class Seen:
    """
    A certificate that can be used.

    :ivar names: for which it was issued, in lower case.
    :ivar doubt: why some may not trust it; or nothing.
    :ivar shown: the names for which the daemon shows it, which may be others
        where it lists none; ``None``: *names*.
    """

    expires: datetime
    names: tuple[str, ...]
    self_signed: bool
    doubt: str
    shown: tuple[str, ...] | None = None


def look_at_certificate(
    files: CertificateFiles, now: datetime, *, modern: bool = False
) -> Seen | Unusable:
    """
    Read a certificate as the daemon does.

    :param modern: whether it is for TLS 1.3 alone.
    """
    try:
        loaded = files.load(now, modern=modern)
        own = load_pem_x509_certificates(files.certificate.read_bytes())[0]
    except Unusable as error:
        return error
    except (OSError, ValueError) as error:
        line = f"{files.place}.certificate: {files.certificate}: {error}"
        return Unusable(line)
    return Seen(
        expires=own.not_valid_after_utc,
        names=tuple(_names(own)),
        self_signed=own.issuer == own.subject,
        doubt=loaded.doubt,
        shown=tuple(name.decode() for name in loaded.names),
    )


def _names(certificate: Certificate) -> Iterator[str]:
    with suppress(ExtensionNotFound, ValueError):
        found = certificate.extensions.get_extension_for_class(SubjectAlternativeName)
        yield from (n.lower() for n in found.value.get_values_for_type(DNSName))
        yield from map(str, found.value.get_values_for_type(IPAddress))


def judge_certificates(
    seen: Sequence[tuple[str, Seen | Unusable]], public_url: str | None, now: datetime
) -> list[Finding]:
    """
    Say whether Meta will take the certificate that it is shown, and others the
    others.

    :param seen: each with the name of its file, in the configuration's order.
    :param public_url: whose name Meta asks for; ``None``: it is not known, and
        it may ask for that of any.
    """
    if not seen:
        line = "no tls: is given; whatever is before the daemon has the certificate"
        return [fine("certificate", "", line)]
    host = urlsplit(public_url).hostname if public_url else None
    usable = [each for _, each in seen if isinstance(each, Seen)]
    chosen = None if host is None else _shown_to(host, usable)
    unsure = len(usable) < len(seen)
    if unsure and chosen and host and not covers(chosen.names, host):
        # It may be one that can't be read.
        chosen = None
    found: list[Finding] = []
    before: set[str] = set()
    for place, (file, each) in enumerate(seen):
        if isinstance(each, Unusable):
            found += [trouble("certificate.unusable", file, why) for why in each.args]
            continue
        names = set(each.names if each.shown is None else each.shown)
        unused = place > 0 and names <= before
        before |= names
        meta = host is None or each is chosen
        found.append(_judge(file, each, host, now, to_meta=meta, unused=unused))
    return found


def _judge(
    file: str,
    seen: Seen,
    host: str | None,
    now: datetime,
    *,
    to_meta: bool,
    unused: bool,
) -> Finding:
    names = ", ".join(seen.names) or "nothing"
    until = f"{seen.expires:%Y-%m-%d %H:%M} UTC"
    if to_meta and seen.self_signed:
        return trouble("certificate.self_signed", file, "its issuer is itself")
    if to_meta and host is not None and not covers(seen.names, host):
        line = f"it is for {names}, and not for {host}"
        return trouble("certificate.name", file, line)
    if seen.expires < now + _SOON:
        return trouble("certificate.expiring", file, f"it expires at {until}")
    if seen.doubt:
        return trouble("certificate.doubtful", file, seen.doubt)
    if unused:
        line = f"it is for {names}, as those before it are"
        return trouble("certificate.unused", file, line)
    line = f"it is valid until {until}"
    if host is not None:
        whom = f"Meta is shown it for {host}" if to_meta else f"it is for {names}"
        line += f"; {whom}"
    return fine("certificate", file, line)


def _shown_to(host: str, seen: Sequence[Seen]) -> Seen | None:
    """
    Choose as the daemon does: the first that has just this name, or else by a
    star, or else the first; see :class:`~micamsgr.web.tls.CertificateSet`.
    """
    wanted = host.lower().rstrip(".")
    starred = f"*.{wanted.partition('.')[2]}"
    if _is_address(wanted):
        # No client asks for one by name.
        return seen[0] if seen else None
    for name in (wanted, starred):
        for each in seen:
            if name in (each.names if each.shown is None else each.shown):
                return each
    return seen[0] if seen else None


def _is_address(host: str) -> bool:
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return True
    return False


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
