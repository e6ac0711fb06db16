"""
What the daemon tells those who watch it, on listeners of its own.
"""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import Any

from attrs import define, field
from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from micamsgr.clock import Clocks
from micamsgr.config.values import Config
from micamsgr.messenger.seldom import Seldom
from micamsgr.metrics import CONTENT_TYPE, Metrics
from micamsgr.services import Listener
from micamsgr.store.service import StoreService
from micamsgr.watching import Watching
from micamsgr.web.admission import Admission, Origin
from micamsgr.web.health import JSON, PLAIN, Pulse, View, pages
from micamsgr.web.readiness import Check, Facts, readiness
from micamsgr.web.site import Budget, LimitedSite
from micamsgr.web.tls import utc_now

from .bots import Bots
from .doors import Door, Doors
from .listeners import Listeners

# Connections at once, over all endpoints; and the most bytes of a body, which
# nobody looks at.
_CONNECTIONS = 32
_BODY = 1 << 10


@define(eq=False)
class Admin:
    """
    What is answered on the listeners for those who watch.

    :ivar _store: is asked for nothing before somebody looks.
    """

    _reactor: Any
    _metrics: Metrics
    _store: StoreService
    _listeners: Listeners
    _bots: Bots
    _watching: Watching
    _clocks: Clocks

    #: Whether the store's thread is alive.
    pulse: Pulse = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.pulse = Pulse(self._reactor, lambda: self._store.ping())

    async def healthz(self) -> View:
        """
        Say whether the process is alive: that the reactor is shows in that it
        is said.
        """
        stuck = await self.pulse.feel()
        if stuck is None:
            return View(200, PLAIN, b"ok\n")
        return View(503, PLAIN, f"the store's thread: {stuck}\n".encode())

    async def readyz(self) -> View:
        """
        Say whether it can do its work, and if not why.
        """
        checks = await self.checks()
        ready = all(check["ok"] for check in checks)
        told = {"ready": ready, "checks": checks}
        body = json.dumps(told, indent=2) + "\n"
        return View(200 if ready else 503, JSON, body.encode())

    async def checks(self) -> list[dict[str, object]]:
        """
        Say of each thing that it needs whether it is well, and else what to do.
        """
        return [_shown(it) for it in readiness(self.facts(await self.pulse.feel()))]

    async def metrics(self) -> View:
        """
        Show all that is counted and measured.
        """
        # Whether the thread is alive is seen at the next look: this one must
        # not wait, for what it shows is needed most where something is stuck.
        self.pulse.feel()
        checks = readiness(self.facts(self.pulse.stuck))
        self._metrics.checked((it.name, it.bot or "", it.ok) for it in checks)
        bots = self._bots.by_name.items()
        self._metrics.paused({name: bot.paused for name, bot in bots})
        self._metrics.tokens({name: bot.token_expires for name, bot in bots})
        return View(200, CONTENT_TYPE, self._metrics.page())

    def facts(self, stuck: str | None) -> Facts:
        """
        Gather what is known.

        :param stuck: why the store's thread is taken for dead, if it is.
        """
        expires = self._listeners.expires
        now = utc_now().timestamp()
        return Facts(
            serving=bool(self._listeners.running),
            stuck=stuck,
            store=self._store.refusal,
            expires=None if expires is None else expires - now,
            oldest=self._watching.oldest,
            bots=[bot.facts for bot in self._bots.by_name.values()],
            free=self._watching.free,
            ahead=self._clocks.ahead,
        )


def _shown(check: Check) -> dict[str, object]:
    return {
        "name": check.name,
        "bot": check.bot,
        "ok": check.ok,
        "status": check.status.value,
        "means": check.means,
        "todo": check.todo,
    }


def is_private(address: IAddress) -> bool:
    """
    Say whether only this machine can connect to an address.
    """
    if isinstance(address, UNIXAddress):
        return True
    try:
        return ip_address(getattr(address, "host", "")).is_loopback
    except ValueError:
        return False


@define(eq=False)
class AdminListener(Listener):
    """
    Warn where others than this machine may connect.
    """

    _log = Logger()

    def startService(self) -> None:
        """
        See :class:`~micamsgr.services.Listener`.
        """
        super().startService()
        assert self._port is not None
        if not is_private(self._port.getHost()):
            self._log.warn(
                "{place}: {endpoint} is not on loopback: whoever can connect there"
                " reads the metrics, without a password; put interface=127.0.0.1"
                " there, or see to it that only those can who may",
                event="admin.exposed",
                place=self._place,
                endpoint=self._endpoint,
            )


class _Few(Admission):
    """
    So many, wherever they come from.
    """

    def __init__(self) -> None:
        super().__init__(_CONNECTIONS, _CONNECTIONS)

    def refusal(self, origin: Origin) -> str | None:
        refused = super().refusal(origin)
        return refused and f"{_CONNECTIONS}, on admin.listen"


def admin_listeners(
    reactor: Any, config: Config, admin: Admin, seldom: Seldom
) -> Doors:
    """
    Make what listens for those who watch, where the configuration wants it.

    They are to start before those whom they tell of, and to stop after them.
    """
    site = LimitedSite(
        pages(
            {
                "healthz": admin.healthz,
                "readyz": admin.readyz,
                "metrics": admin.metrics,
            }
        ),
        reactor,
        largest_body=_BODY,
        unverified=Budget(_CONNECTIONS * _BODY),
        admission=_Few(),
        due=seldom.count,
    )
    doors = Doors(reactor, seldom, _doors, {False: site}, AdminListener)
    doors.prepare(config)
    return doors


def _doors(config: Config) -> list[Door]:
    return [Door(it, config.places[it], False) for it in config.admin.listen]
