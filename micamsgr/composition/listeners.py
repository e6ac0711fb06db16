"""
Where the daemon listens, with and without TLS; and how that changes while it
runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IProtocolFactory

from micamsgr.config.values import TLS, Config
from micamsgr.messenger.seldom import Seldom
from micamsgr.metrics import Metrics
from micamsgr.web.certificates import CertificateWatch
from micamsgr.web.tls import (
    CertificateFiles,
    SecureConnections,
    ServerCertificate,
    utc_now,
)

from .doors import Door, Doors


def doors(config: Config) -> list[Door]:
    """
    List where a configuration wants the daemon to listen.
    """
    plain = [Door(it, config.places[it], False) for it in config.listen]
    if config.tls is None:
        return plain
    secure = [Door(it, config.places[it], True) for it in config.tls.listen]
    return plain + secure


class Listeners(Doors):
    """
    All public listeners, and the certificate that those with TLS share.
    """

    def __init__(
        self,
        reactor: Any,
        site: IProtocolFactory,
        due: Seldom,
        metrics: Metrics,
        config: Config,
    ) -> None:
        self._certificate = ServerCertificate()
        secure = SecureConnections(self._certificate, False, site, reactor)
        super().__init__(reactor, due, doors, {False: site, True: secure})
        self._metrics = metrics
        self._watch: CertificateWatch | None = None
        self._tls: TLS | None = None
        if config.tls is not None:
            self._follow(config.tls)
        super().prepare(config)

    @property
    def expires(self) -> float | None:
        """
        When the certificate in force expires, in seconds since the epoch;
        ``None`` without TLS.
        """
        return None if self._watch is None else self._watch.expires()

    def prepare(self, config: Config) -> list[str]:
        """
        Check the certificate, and listen wherever else a configuration wants
        it.

        :return: the endpoints that are new.

        :raises Unusable: where the certificate is not sound.
        :raises CannotStart: where nobody can listen at one of the endpoints.
        """
        if config.tls is not None:
            _files(config.tls).load(utc_now())
        return super().prepare(config)

    def commit(self, config: Config) -> list[str]:
        """
        Follow a configuration that :meth:`prepare` accepted.

        :return: the endpoints at which nobody listens any more.
        """
        old = super().commit(config)
        if config.tls is not None and _same_files(config.tls, self._tls):
            assert self._watch is not None
            self._watch.reload()
        else:
            self._follow(config.tls)
        return old

    def _follow(self, tls: TLS | None) -> None:
        """
        Take the certificate from elsewhere.
        """
        if self._watch is not None:
            maybeDeferred(self._watch.disownServiceParent)
            self._watch = None
        self._tls = tls
        if tls is None:
            self._metrics.certificate(None)
        else:
            self._watch = CertificateWatch(
                self._reactor, _files(tls), self._certificate, utc_now
            )
            self._watch.setServiceParent(self)
            self._metrics.certificate(self._watch.expires)


def _files(tls: TLS) -> CertificateFiles:
    return CertificateFiles(Path(tls.certificate), Path(tls.private_key))


def _same_files(one: TLS, other: TLS | None) -> bool:
    return other is not None and _files(one) == _files(other)
