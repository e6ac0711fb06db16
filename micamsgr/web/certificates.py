"""
Taking a renewed certificate into use, without a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogLevel

from .tls import CertificateFiles, CertificateSet, ServerCertificate, Unusable

# Below this, somebody should look why it wasn't renewed.
_CLOSE = timedelta(days=14)
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


@define(eq=False)
class CertificateWatch(Service):
    """
    Put in force what the files of a certificate hold at the start, and
    whenever they have changed: as a whole, and only if it is sound.
    Otherwise the old one stays, and the fault is said once; and again where
    somebody asked.

    :ivar _now: reads the wall clock.
    :ivar _certificate: where it is put in force.
    :ivar _interval: seconds between two looks.
    """

    _clock: IReactorTime
    _files: CertificateFiles
    _certificate: ServerCertificate
    _now: Callable[[], datetime]
    _interval: float = 10.0

    # Of the files in force, and of those last refused with the reason.
    _version: tuple[object, ...] = field(factory=tuple, init=False)
    _fault: tuple[tuple[object, ...], str] | None = field(default=None, init=False)
    _call: IDelayedCall | None = field(default=None, init=False)
    _warned: datetime | None = field(default=None, init=False)

    _log = Logger()

    def startService(self) -> None:
        """
        :raises Unusable: where there is nothing to put in force.
        """
        super().startService()
        version = self._files.version()
        self._put_in_force(version, self._files.load(self._now()))
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
            taken = self._files.load(self._now())
        except Unusable as error:
            # It is tried again at each look; and said once.
            if self._fault != (version, str(error)):
                self._fault = (version, str(error))
                self._log.error(
                    "the certificate in force stays, until {expires}: {why}",
                    expires=_at(self._expires()),
                    why="; ".join(error.args),
                )
        else:
            self._put_in_force(version, taken)
            self._log.info(
                "a certificate is put in force, until {expires}: {file}",
                expires=_at(taken.expires),
                file=self._files.certificate,
            )
            self._say_doubt()

    def _put_in_force(self, version: tuple[object, ...], taken: CertificateSet) -> None:
        self._certificate.current = taken
        self._version, self._fault, self._warned = version, None, None

    def _say_doubt(self) -> None:
        current = self._certificate.current
        if current is not None and current.doubt:
            self._log.warn("{doubt}", doubt=current.doubt)

    def _look(self) -> None:
        self._call = self._clock.callLater(self._interval, self._look)
        if self._files.version() != self._version:
            self._take()
        elif self._fault is not None:
            self._fault = None
            self._log.info("the files of the certificate in force are back")
        self._warn()

    def _warn(self) -> None:
        """
        Say that it has expired, every hour, or is about to, once a day.
        """
        now, expires = self._now(), self._expires()
        expired = expires <= now
        if expires - now >= _CLOSE:
            return
        if self._warned is not None and not (
            now - self._warned >= (_HOUR if expired else _DAY)
            or (expired and self._warned < expires)
        ):
            return
        self._warned = now
        self._log.emit(
            LogLevel.error if expired else LogLevel.warn,
            "tls.certificate: {file} expired at {expires}, and Meta delivers nothing"
            " any more: renew it{fault}"
            if expired
            else "tls.certificate: {file} expires at {expires}, in {days} days: renew"
            " it{fault}",
            file=self._files.certificate,
            expires=_at(expires),
            days=(expires - now).days,
            fault="" if self._fault is None else f"; {self._fault[1]}",
        )

    def expires(self) -> float:
        """
        Say when the certificate in force expires, in seconds since the epoch.
        """
        return self._expires().timestamp()

    def _expires(self) -> datetime:
        assert self._certificate.current is not None
        return self._certificate.current.expires


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
