"""
Taking a renewed certificate into use, without a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from .tls import CertificateFiles, ServerCertificate, Unusable

# Below this, somebody should look why it wasn't renewed; said once a day.
_CLOSE = timedelta(days=14)
_DAY = timedelta(days=1)


@define(eq=False)
class CertificateWatch(Service):
    """
    Look at the files of a certificate now and then, and put what they hold in
    force when they have changed: as a whole, and only if it is sound.
    Otherwise the old one stays, and the fault is said once; and again where
    somebody asked.

    :ivar _now: reads the wall clock.
    :ivar _interval: seconds between two looks.
    """

    _clock: IReactorTime
    _files: CertificateFiles
    _certificate: ServerCertificate
    _now: Callable[[], datetime]
    _interval: float = 10.0

    _version: tuple[object, ...] = field(init=False)
    _fault: tuple[tuple[object, ...], str] | None = field(default=None, init=False)
    _call: IDelayedCall | None = field(default=None, init=False)
    _warned: datetime | None = field(default=None, init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._version = self._files.version()

    def startService(self) -> None:
        super().startService()
        self._say_doubt()
        self._look()

    def stopService(self) -> None:
        super().stopService()
        if self._call is not None and self._call.active():
            self._call.cancel()

    def reload(self) -> None:
        """
        Take what the files hold now, whether they have changed or not; and say
        what came of it.
        """
        self._fault = None
        self._take()

    def _take(self) -> None:
        version = self._files.version()
        try:
            self._certificate.current = self._files.load(self._now())
        except Unusable as error:
            # It is tried again at each look; and said once.
            if self._fault != (version, str(error)):
                self._fault = (version, str(error))
                self._log.error(
                    "the certificate in force stays, until {expires}: {why}",
                    expires=self._certificate.current.expires,
                    why="; ".join(error.args),
                )
        else:
            self._version, self._fault = version, None
            self._log.info(
                "a certificate is put in force, until {expires}",
                expires=self._certificate.current.expires,
            )
            self._say_doubt()

    def _say_doubt(self) -> None:
        if doubt := self._certificate.current.doubt:
            self._log.warn("{doubt}", doubt=doubt)

    def _look(self) -> None:
        self._call = self._clock.callLater(self._interval, self._look)
        if self._files.version() != self._version:
            self._take()
        now = self._now()
        expires = self._certificate.current.expires
        if expires - now < _CLOSE and (
            self._warned is None or now - self._warned >= _DAY
        ):
            self._warned = now
            self._log.warn("the certificate expires at {expires}", expires=expires)
