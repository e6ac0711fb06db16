"""
Taking renewed certificates into use, without a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogLevel

from .certificate_files import Certified
from .tls import CertificateSet, Offer, ServerCertificate, Unusable

# Below this, somebody should look why it wasn't renewed.
_CLOSE = timedelta(days=14)
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


@define(eq=False)
class CertificateWatch(Service):
    """
    Put in force what the files of certificates hold at the start, and
    whenever one has changed: as a whole, and only if all of it is sound.
    Otherwise the old ones stay, and the fault is said once; and again where
    somebody asked.

    :ivar _certificate: where they are put in force.
    :ivar _now: reads the wall clock.
    :ivar _interval: seconds between two looks.
    :ivar _ready: what to begin with, and the version that the files had before
        they were read; by default they are read at the start.
    """

    _clock: IReactorTime
    _offer: Offer
    _certificate: ServerCertificate
    _now: Callable[[], datetime]
    _interval: float = 10.0
    _ready: tuple[tuple[object, ...], CertificateSet] | None = field(
        default=None, kw_only=True
    )

    # Of the files in force, and of those last refused with the reason.
    _version: tuple[object, ...] = field(factory=tuple, init=False)
    _fault: tuple[tuple[object, ...], str] | None = field(default=None, init=False)
    _call: IDelayedCall | None = field(default=None, init=False)
    # When it was last said of a certificate that it expires.
    _warned: dict[Certified, datetime] = field(factory=dict, init=False)

    _log = Logger()

    def startService(self) -> None:
        """
        :raises Unusable: where there is nothing to put in force.
        """
        super().startService()
        if self._ready is None:
            version = self._offer.version()
            self._put_in_force(version, self._offer.load(self._now()))
        else:
            self._put_in_force(*self._ready)
            self._ready = None
            self._say_taken()
        self._say_doubts()
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
        version = self._offer.version()
        try:
            taken = self._offer.load(self._now())
        except Unusable as error:
            # It is tried again at each look; and said once.
            if self._fault != (version, str(error)):
                self._fault = (version, str(error))
                self._log.error(
                    "the certificate in force stays, until {expires}: {why}",
                    event="certificate.refused",
                    expires=_at(self._current.expires),
                    why="; ".join(error.args),
                )
        else:
            self._put_in_force(version, taken)
            self._say_taken()
            self._say_doubts()

    def _put_in_force(self, version: tuple[object, ...], taken: CertificateSet) -> None:
        self._certificate.current = taken
        self._version, self._fault = version, None
        # Lest it keeps the old ones.
        self._warned.clear()

    @property
    def _current(self) -> CertificateSet:
        assert self._certificate.current is not None
        return self._certificate.current

    def _say_taken(self) -> None:
        for one in self._current.certificates:
            self._log.info(
                "a certificate is put in force, until {expires}: {file}",
                event="certificate.loaded",
                expires=_at(one.expires),
                file=one.file,
            )

    def _say_doubts(self) -> None:
        for doubt in self._current.doubts():
            self._log.warn(
                "a certificate to look at: {doubt}",
                event="certificate.doubtful",
                doubt=doubt,
            )

    def _look(self) -> None:
        self._call = self._clock.callLater(self._interval, self._look)
        if self._offer.version() != self._version:
            self._take()
        elif self._fault is not None:
            self._fault = None
            self._log.info(
                "the files of the certificate in force are back",
                event="certificate.back",
            )
        for one in self._current.certificates:
            self._warn(one)

    def _warn(self, one: Certified) -> None:
        """
        Say that it has expired, every hour, or is about to, once a day.
        """
        now, expires = self._now(), one.expires
        expired = expires <= now
        if expires - now >= _CLOSE:
            return
        warned = self._warned.get(one)
        if warned is not None and not (
            now - warned >= (_HOUR if expired else _DAY)
            or (expired and warned < expires)
        ):
            return
        self._warned[one] = now
        self._log.emit(
            LogLevel.error if expired else LogLevel.warn,
            "{key}: {file} expired at {expires}, and Meta delivers nothing any more"
            " to its names: renew it{fault}"
            if expired
            else "{key}: {file} expires at {expires}, in {days} days: renew it{fault}",
            event="certificate.expires",
            key=one.key,
            file=one.file,
            expires=_at(expires),
            days=(expires - now).days,
            fault="" if self._fault is None else f"; {self._fault[1]}",
        )

    def expires(self) -> float:
        """
        Say when the first of the certificates in force expires, in seconds since
        the epoch.
        """
        return self._current.expires.timestamp()


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
