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
    CertificateSet,
    Offer,
    SecureConnections,
    ServerCertificate,
    utc_now,
)

from .doors import Door, Doors

_Ready = tuple[tuple[object, ...], CertificateSet]


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
    All public listeners, and the certificates that those with TLS share.
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
        self._secure = SecureConnections(self._certificate, False, site, reactor)
        super().__init__(reactor, due, doors, {False: site, True: self._secure})
        self._metrics = metrics
        self._watch: CertificateWatch | None = None
        self._offer: Offer | None = None
        self._ready: _Ready | None = None
        self._follow(config.tls)
        super().prepare(config)

    @property
    def expires(self) -> float | None:
        """
        When the first of the certificates in force expires, in seconds since
        the epoch; ``None`` without TLS.
        """
        return None if self._watch is None else self._watch.expires()

    def prepare(self, config: Config) -> list[str]:
        """
        Check the certificates, and listen wherever else a configuration wants
        it.

        :return: the endpoints that are new.

        :raises Unusable: where one of the certificates is not sound.
        :raises CannotStart: where nobody can listen at one of the endpoints.
        """
        self._ready = None
        if config.tls is not None:
            offer = _offer(config.tls)
            version = offer.version()
            self._ready = version, offer.load(utc_now())
        return super().prepare(config)

    def commit(self, config: Config) -> list[str]:
        """
        Follow a configuration that :meth:`prepare` accepted.

        :return: the endpoints at which nobody listens any more.
        """
        old = super().commit(config)
        self._follow(config.tls)
        return old

    def _follow(self, tls: TLS | None) -> None:
        """
        Speak TLS as it is wanted now, with what was found in its files if they
        were read already.
        """
        ready, self._ready = self._ready, None
        offer = None if tls is None else _offer(tls)
        self._secure.hsts = 0 if tls is None else int(tls.hsts)
        if self._watch is not None and offer == self._offer:
            self._watch.reload()
            return
        if self._watch is not None:
            maybeDeferred(self._watch.disownServiceParent)
            self._watch = None
        self._offer = offer
        if offer is None:
            self._metrics.certificate(None)
        else:
            self._watch = CertificateWatch(
                self._reactor, offer, self._certificate, utc_now, ready=ready
            )
            self._watch.setServiceParent(self)
            self._metrics.certificate(self._watch.expires)


def _offer(tls: TLS) -> Offer:
    files = [CertificateFiles(Path(tls.certificate), Path(tls.private_key))]
    files += (
        CertificateFiles(
            Path(pair.certificate), Path(pair.private_key), f"tls.further[{number}]"
        )
        for number, pair in enumerate(tls.further)
    )
    return Offer(tuple(files), tls.modern)
