"""
Puts the parts together.  The only room that knows all of them.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, evolve
from twisted.application.service import IService, Service
from twisted.logger import Logger, LogPublisher, globalLogPublisher
from twisted.web.resource import Resource

from micamsgr.clock import Clocks
from micamsgr.config.values import Bot, Config
from micamsgr.conversation.assistant import IAssistant
from micamsgr.httpcall import HTTPCaller, outbound_client
from micamsgr.messenger.compliance import Compliance
from micamsgr.messenger.compliance_resource import callbacks
from micamsgr.messenger.erasure_codes import ErasureCodes
from micamsgr.messenger.seldom import Seldom
from micamsgr.messenger.status_page import Kept
from micamsgr.messenger.webhook import Webhook
from micamsgr.messenger.webhook_resource import webhooks
from micamsgr.services import Closing, OnHangup
from micamsgr.store.deletions import Deletions
from micamsgr.store.service import StoreService
from micamsgr.systemd import Notifying, ServiceManager
from micamsgr.timers import SharedTimers
from micamsgr.web.admission import MOST_CLOSING, Admission, affordable
from micamsgr.web.site import Budget, LimitedSite

from .admin import Admin, admin_listeners
from .bots import Bots, Surroundings
from .changes import BotChanges
from .control import Subscribed, control
from .doors import AllDoors
from .listeners import Listeners
from .reload import Current, Reload
from .sandbox import (
    check_sandbox,
    in_sandbox,
    make_sandbox,
    of_this_run,
    sandbox_listeners,
)
from .upkeep import expect, housekeeping, leave_out, make_metrics

# Files that are open besides connections: the store's, the log's, and others.
_FILES = 64

# Seconds between two lines about those who connect.
_CLIENTS_INTERVAL = 60.0

# Seeded by the system, which takes as long for each number as a message for all.
# Nothing of this is a secret: delays, and IDs that must only be distinct.
_CHANCE = random.Random()
_NOBODY = ServiceManager()


@define(eq=False)
class Greeting(Service):
    """
    What the operator should know of the configuration, said at the start.
    """

    _config: Config
    _connections: int

    _log = Logger()

    def startService(self) -> None:
        super().startService()
        for warning in self._config.warnings:
            self._log.warn(
                "a setting to look at: {warning}",
                event="configuration.doubtful",
                warning=warning,
            )
        if self._connections < self._config.clients.connections:
            self._log.warn(
                "clients.connections: {connections} is all that the limit on open"
                " files allows; raise that one (LimitNOFILE=, ulimit -Hn)",
                event="clients.capped",
                connections=self._connections,
            )
        for key in self._config.without_effect:
            self._log.warn(
                "{key} has no effect yet: it is not built",
                event="configuration.without_effect",
                key=key,
            )
        for bot in self._config.bots:
            self._log.info(
                "bot {bot}: webhook at /v1/facebook/webhook/{bot}",
                event="bot.served",
                bot=bot.name,
            )


def build(
    reactor: Any,
    config: Config,
    clocks: Clocks,
    files: int = sys.maxsize,
    *,
    load: Callable[[], Config] | None = None,
    log_level: Callable[[str], None] = lambda _: None,
    open_store: Callable[..., Any] = StoreService,
    manager: ServiceManager = _NOBODY,
    chance: random.Random = _CHANCE,
    publisher: LogPublisher = globalLogPublisher,
    runtime: str | None = None,
    file: Path | None = None,
) -> list[IService]:
    """
    Make the services, in the order in which they start.

    :param files: how many may be open in this process.
    :param load: reads the configuration again, for a reload; by default it is
        the same for ever.
    :param log_level: sets from which level on the log is written.
    :param manager: who wants to know how it is.
    :param open_store: makes what is like a :class:`StoreService`, for a reactor
        and a path.
    :param chance: where jitter and IDs come from.
    :param publisher: where what is logged can be counted.
    :param runtime: ``$RUNTIME_DIRECTORY``, where commands find the daemon.
    :param file: what *load* reads, for whoever asks.
    """
    secret = os.urandom(16).hex()
    config = _of_this_run(config, secret)
    current = Current(config)
    metrics = make_metrics(config)
    store = open_store(reactor, config.store, committed=metrics.committed)
    calls = _calls(config)
    client, pool = outbound_client(reactor, connections=calls)
    caller = HTTPCaller(SharedTimers(reactor), client.request)
    sandbox = make_sandbox(reactor, config, caller)

    def troubled(bot: Bot, assistant: IAssistant) -> IAssistant:
        if sandbox is None or not in_sandbox(bot, config):
            return assistant
        return sandbox.troubled(assistant, 0.8 if bot.llm.provider == "demo" else 0.0)

    subscribed = Subscribed(metrics.subscribed)
    around = Surroundings(
        reactor=reactor,
        clocks=clocks,
        store=store.store,
        caller=caller,
        chance=chance,
        troubled=troubled,
        subscribed=subscribed,
    )
    bots = Bots(around, config.bots, texts=config.log.texts)
    deletions = Deletions(store.write, store.read)
    webhook = Webhook(
        reactor,
        clocks.now,
        store.store,
        bots.channels,
        texts=config.log.texts,
        codes=ErasureCodes(deletions),
        answered=metrics.answered,
    )
    compliance = Compliance(
        reactor,
        clocks.now,
        deletions,
        lambda: webhook.channels,
        lambda: current.config.public_url,
    )

    def kept() -> Kept:
        retention = current.config.retention
        return Kept(texts=retention.texts, ledger=retention.ledger)

    def public() -> Resource:
        channels = list(webhook.channels.values())
        return webhooks(webhook, channels, callbacks(compliance, channels, kept))

    clients = config.clients
    # As many calls to the Graph API as to LLMs may be under way.
    own = _FILES + MOST_CLOSING + 2 * calls
    connections = affordable(clients.connections, files, own)
    seldom = Seldom(reactor, _CLIENTS_INTERVAL)
    site = LimitedSite(
        public(),
        reactor,
        largest_body=clients.body,
        unverified=Budget(clients.unverified),
        admission=Admission(connections, clients.per_address, clients.trusted_proxies),
        refused=metrics.refused,
        due=seldom.count,
    )

    def change_bots(changes: BotChanges, after: Config) -> None:
        pool.maxPersistentPerHost = _calls(after)
        bots.apply(changes, after.bots, texts=after.log.texts)
        webhook.channels, webhook.texts = bots.channels, after.log.texts
        site.resource = public()
        for bot in after.bots:
            if bot.name in changes.added + changes.changed:
                expect(metrics, bot)
        leave_out(metrics, after)

    listeners = Listeners(reactor, site, seldom, metrics, config)
    upkeep = housekeeping(
        reactor, current, clocks, store, deletions, metrics, publisher
    )
    *_, watching = upkeep
    admin = Admin(reactor, metrics, store, listeners, bots, watching, clocks)
    admin_doors = admin_listeners(reactor, config, admin, seldom)

    def read_again() -> Config:
        after = config if load is None else _of_this_run(load(), secret)
        check_sandbox(config, after)
        return after

    reload = Reload(
        read_again,
        current,
        AllDoors([listeners, admin_doors]),
        change_bots,
        log_level,
        manager,
    )
    return [
        Greeting(config, connections),
        store,
        *upkeep,
        Closing(pool.closeCachedConnections),
        admin_doors,
        *sandbox_listeners(reactor, config, sandbox, seldom),
        bots,
        control(
            reactor,
            current,
            clocks,
            store.write,
            bots,
            subscribed,
            listeners,
            reload,
            admin.checks,
            chance.randbytes,
            runtime,
            file,
        ),
        OnHangup(reactor, [reload.on_hangup]),
        Closing(site.leave),
        listeners,
        *([] if sandbox is None else [sandbox]),
        Notifying(reactor, manager, store.ping, lambda: _status(current)),
    ]


def _status(current: Current) -> str:
    names = [bot.name for bot in current.config.bots]
    return f"answering for {', '.join(names)}"


def _calls(config: Config) -> int:
    return max(64, sum(bot.llm.concurrency for bot in config.bots))


def _of_this_run(config: Config, secret: str) -> Config:
    return evolve(config, bots=of_this_run(config.bots, config, secret))
