"""
Where the daemon listens, with and without TLS; and how that changes while it
runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IProtocolFactory

from micamsgr.config.values import TLS, Config
from micamsgr.messenger.seldom import Seldom
from micamsgr.metrics import Metrics
from micamsgr.services import CannotStart, InTurn, Listener
from micamsgr.web.certificates import CertificateWatch
from micamsgr.web.tls import (
    CertificateFiles,
    SecureConnections,
    ServerCertificate,
    utc_now,
)


@frozen
class Door:
    """
    An endpoint where clients may come in.

    :ivar place: where the configuration names it, for errors.
    :ivar secure: whether TLS is spoken there.
    """

    endpoint: str
    place: str
    secure: bool


def doors(config: Config) -> list[Door]:
    """
    List where a configuration wants the daemon to listen.
    """
    plain = [Door(it, config.places[it], False) for it in config.listen]
    if config.tls is None:
        return plain
    secure = [Door(it, config.places[it], True) for it in config.tls.listen]
    return plain + secure


class Listeners(InTurn):
    """
    All public listeners, and the certificate that those with TLS share.

    A change takes two steps: one that may fail and then has changed nothing,
    and one that can't fail.  Connections that are open live on through both.
    """

    def __init__(
        self,
        reactor: Any,
        site: IProtocolFactory,
        due: Seldom,
        metrics: Metrics,
        config: Config,
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._due = due
        self._metrics = metrics
        self._certificate = ServerCertificate()
        secure = SecureConnections(self._certificate, False, site, reactor)
        self._factories = {False: site, True: secure}
        self._watch: CertificateWatch | None = None
        self._tls: TLS | None = None
        self._open: dict[str, tuple[Door, Listener]] = {}
        if config.tls is not None:
            self._follow(config.tls)
        for door in doors(config):
            self._add(door)

    @property
    def expires(self) -> float | None:
        """
        When the certificate in force does, in seconds since the epoch; ``None``
        where there is none.
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
        new: list[str] = []
        try:
            for door in doors(config):
                if door.endpoint not in self._open:
                    self._add(door)
                    new.append(door.endpoint)
        except CannotStart:
            for endpoint in new:
                self._close(endpoint)
            raise
        return new

    def commit(self, config: Config) -> list[str]:
        """
        Follow a configuration that :meth:`prepare` accepted.

        :return: the endpoints at which nobody listens any more.
        """
        wanted = {door.endpoint: door for door in doors(config)}
        old = [endpoint for endpoint in self._open if endpoint not in wanted]
        for endpoint in old:
            self._close(endpoint)
        for endpoint, (door, listener) in list(self._open.items()):
            if wanted[endpoint].secure != door.secure:
                listener.serve(self._factories[wanted[endpoint].secure])
            self._open[endpoint] = wanted[endpoint], listener
        if config.tls is not None and _same_files(config.tls, self._tls):
            assert self._watch is not None
            self._watch.reload()
        else:
            self._follow(config.tls)
        return old

    def _add(self, door: Door) -> None:
        listener = Listener(
            self._reactor,
            door.endpoint,
            door.place,
            self._factories[door.secure],
            due=self._due.count,
        )
        try:
            listener.setServiceParent(self)
        except CannotStart:
            self.services.remove(listener)
            raise
        self._open[door.endpoint] = door, listener

    def _close(self, endpoint: str) -> None:
        _, listener = self._open.pop(endpoint)
        maybeDeferred(listener.disownServiceParent)

    def _follow(self, tls: TLS | None) -> None:
        """
        Take the certificate from elsewhere.
        """
        if self._watch is not None:
            maybeDeferred(self._watch.disownServiceParent)
            self._watch = None
        self._tls = tls
        if tls is not None:
            self._watch = CertificateWatch(
                self._reactor, _files(tls), self._certificate, utc_now
            )
            self._watch.setServiceParent(self)
            self._metrics.certificate(self._watch.expires)


def _files(tls: TLS) -> CertificateFiles:
    return CertificateFiles(Path(tls.certificate), Path(tls.private_key))


def _same_files(one: TLS, other: TLS | None) -> bool:
    return other is not None and _files(one) == _files(other)
