"""
Puts the parts together.  The only module that knows all of them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import random
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define, evolve
from twisted.application.service import Service
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from .assistant.chat_completions import ChatCompletions, Endpoint
from .assistant.demo import Demo
from .assistant.prompt import messages
from .clock import Clocks
from .config.values import Bot, Config, LanguageModel, Secret
from .conversation.assistant import IAssistant
from .conversation.dispatcher import Dispatcher
from .conversation.events import BotName, Psid
from .conversation.interfaces import IStore
from .conversation.pacing import TokenBucket
from .conversation.steps import Steps
from .httpcall import HTTPCaller, outbound_client
from .messenger.catch_up import CatchUp
from .messenger.graph import GraphMessenger
from .messenger.markdown import plain
from .messenger.pages import PageFinder
from .messenger.rendering import split
from .messenger.repair import Repair
from .messenger.seldom import Seldom
from .messenger.subscriptions import Subscriptions
from .messenger.webhook import Channel, Webhook
from .messenger.webhook_resource import webhooks
from .metrics import Metrics
from .sandbox.addresses import base_url, served
from .sandbox.memory import Memory
from .sandbox.service import (
    DEMO_SUGGESTIONS,
    MOST_THREAD,
    SUGGESTIONS,
    Sandbox,
    SandboxBot,
)
from .services import (
    Closing,
    Draining,
    Listener,
    OnHangup,
)
from .store.service import StoreService
from .upkeep import housekeeping, make_metrics
from .web.admission import MOST_CLOSING, Admission, affordable
from .web.certificates import CertificateWatch
from .web.deadlines import Deadlines
from .web.site import Budget, LimitedSite
from .web.tls import (
    CertificateFiles,
    SecureConnections,
    ServerCertificate,
    utc_now,
)

# Files that are open besides connections: the store's, the log's, and others.
_FILES = 64

# Seconds between two lines about those who connect.
_CLIENTS_INTERVAL = 60.0

# Seconds that a stop gives to what is in flight.
_DRAIN = 10.0

_CHANCE = random.SystemRandom()


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
            self._log.warn("{warning}", warning=warning)
        if self._connections < self._config.clients.connections:
            self._log.warn(
                "clients.connections: {connections} is all that the limit on open"
                " files allows; raise that one (LimitNOFILE=, ulimit -Hn)",
                connections=self._connections,
            )
        for key in self._config.without_effect:
            self._log.warn("{key} has no effect yet: it is not built", key=key)
        for bot in self._config.bots:
            self._log.info(
                "bot {bot}: webhook at /v1/facebook/webhook/{bot}", bot=bot.name
            )


def build(
    reactor: Any,
    config: Config,
    clocks: Clocks,
    files: int = sys.maxsize,
    *,
    open_store: Callable[..., Any] = StoreService,
    chance: random.Random = _CHANCE,
) -> list[Any]:
    """
    Make the services, in the order in which they start.

    :param files: how many may be open in this process.
    :param open_store: makes what is like a :class:`StoreService`, for a reactor
        and a path.
    :param chance: where jitter and IDs come from.
    """
    bots_of_this_run = tuple(_of_this_run(bot, config) for bot in config.bots)
    config = evolve(config, bots=bots_of_this_run)
    metrics = make_metrics(config)
    store = open_store(reactor, config.store, committed=metrics.committed)
    calls = max(64, sum(bot.llm.concurrency for bot in config.bots))
    client, pool = outbound_client(reactor, connections=calls)
    caller = HTTPCaller(reactor, client.request)
    sandbox = _sandbox(reactor, config, caller)
    bots = Draining(_DRAIN)
    channels: dict[BotName, Channel] = {}
    for bot in config.bots:
        assistant = _assistant(reactor, bot, caller, chance)
        if sandbox is not None and _in_sandbox(bot, config):
            demo = bot.llm.provider == "demo"
            assistant = sandbox.troubled(assistant, 0.8 if demo else 0.0)
        services, channel = _bot(
            reactor,
            bot,
            store.store,
            caller,
            assistant,
            clocks,
            chance,
            partial(metrics.subscribed, bot.name),
            texts=config.log.texts,
        )
        channels[bot.name] = channel
        for service in services:
            service.setServiceParent(bots)
    webhook = Webhook(
        reactor,
        clocks.now,
        store.store,
        channels,
        texts=config.log.texts,
        answered=metrics.answered,
    )
    clients = config.clients
    # As many calls to the Graph API as to LLMs may be under way.
    own = _FILES + MOST_CLOSING + 2 * calls
    connections = affordable(clients.connections, files, own)
    seldom = Seldom(reactor, _CLIENTS_INTERVAL)
    site = LimitedSite(
        webhooks(webhook, channels.values()),
        reactor,
        largest_body=clients.body,
        unverified=Budget(clients.unverified),
        admission=Admission(connections, clients.per_address, clients.trusted_proxies),
        due=seldom.count,
    )
    return [
        Greeting(config, connections),
        store,
        *housekeeping(reactor, config, clocks, store, metrics),
        Closing(pool.closeCachedConnections),
        *_sandbox_listeners(reactor, config, sandbox, seldom),
        bots,
        *_listeners(reactor, config, site, seldom, metrics),
        *([] if sandbox is None else [sandbox]),
    ]


def _bot(
    reactor: Any,
    bot: Bot,
    store: IStore,
    caller: HTTPCaller,
    assistant: IAssistant,
    clocks: Clocks,
    chance: random.Random,
    subscribed: Callable[[bool], None],
    *,
    texts: bool,
) -> tuple[list[Any], Channel]:
    facebook = bot.facebook
    alias = _alias(facebook.secret.value)
    messenger = GraphMessenger(
        caller.call,
        f"{facebook.graph_url}/{facebook.api_version}",
        facebook.page_access_token.value,
        facebook.secret.value,
        bot.delivery.deadline,
        clocks.correct,
        facebook.mark_seen,
    )
    manners = bot.assistant.manners
    look_ups = TokenBucket(bot.delivery.lookup_rate)
    steps = Steps(
        bot.name,
        reactor,
        clocks.now,
        store,
        messenger,
        assistant,
        lambda text: split(plain(text)),
        chance.random,
        chance.randbytes,
        alias,
        delivery=bot.delivery,
        manners=manners,
        handover=bot.handover,
        limits=bot.limits,
        slots=bot.llm.concurrency,
        texts=texts,
        look_ups=look_ups,
    )
    dispatcher = Dispatcher(
        bot.name, reactor, store, steps, chance.random, drain=_DRAIN
    )
    finder = PageFinder(
        bot.name,
        reactor,
        store,
        messenger,
        facebook.page_access_token.value,
        chance.random,
        facebook.page_id,
    )
    allow = frozenset(bot.allow)
    catch_up = CatchUp(
        bot.name,
        reactor,
        clocks.now,
        store,
        messenger,
        look_ups,
        alias,
        dispatcher.wake,
        dispatcher.hush,
        allow=allow,
        handover=bot.handover,
        app=facebook.app_id,
    )
    repair = Repair(
        bot.name,
        reactor,
        clocks.now,
        store,
        Subscriptions(
            bot.name,
            messenger,
            facebook.app_id,
            bot.subscriptions.repair,
            subscribed,
        ),
        catch_up,
        lambda: finder.page,
        chance.random,
    )
    channel = Channel(
        bot=bot.name,
        verify_token=facebook.verify_token.value.encode(),
        secret=facebook.secret.value.encode(),
        page=lambda: finder.page,
        allow=allow,
        handover=bot.handover,
        app=facebook.app_id,
        alias=alias,
        wake=dispatcher.wake,
        hush=dispatcher.hush,
        kept=repair.kept,
    )
    return [finder, repair, dispatcher], channel


def _assistant(
    reactor: Any, bot: Bot, caller: HTTPCaller, chance: random.Random
) -> IAssistant:
    if bot.llm.provider == "demo":
        return Demo(reactor)
    manners = bot.assistant.manners
    return ChatCompletions(
        caller.call,
        [_endpoint(model) for model in (bot.llm, *bot.llm.fallbacks)],
        partial(
            messages,
            bot.assistant.instructions,
            history_messages=manners.history_messages,
            history_characters=manners.history_characters,
        ),
        reactor.seconds,
        chance.random,
    )


def _endpoint(model: LanguageModel) -> Endpoint:
    return Endpoint(
        url=model.url,
        model=model.model,
        headers={name: value.value for name, value in model.headers.items()},
        api_key=None if model.api_key is None else model.api_key.value,
        parameters=model.parameters,
        timeout=model.timeout,
    )


def _alias(secret: str) -> Callable[[Psid], str]:
    """
    Name people in the log so that one can tell them apart, but only who knows
    the key can find out who they are.
    """
    key = hashlib.sha256(b"log:" + secret.encode()).digest()

    def alias(psid: Psid) -> str:
        return hmac.new(key, psid.encode(), hashlib.sha256).hexdigest()[:8]

    return alias


def _of_this_run(bot: Bot, config: Config) -> Bot:
    """
    Give a bot of the sandbox a secret that nobody knows.

    The one in the file may be known, and with it any page that a browser on
    this machine shows could write to the bot, at the cost of who pays for it.
    """
    if not _in_sandbox(bot, config):
        return bot
    secret = Secret(os.urandom(16).hex())
    return evolve(bot, facebook=evolve(bot.facebook, secret=secret))


def _in_sandbox(bot: Bot, config: Config) -> bool:
    return served(bot.facebook.graph_url, config.sandbox.listen)


def _sandbox(reactor: Any, config: Config, caller: HTTPCaller) -> Sandbox | None:
    if not config.sandbox.listen:
        return None
    bots = [bot for bot in config.bots if _in_sandbox(bot, config)]
    demo = all(bot.llm.provider == "demo" for bot in bots)
    return Sandbox(
        reactor,
        random.Random(),
        caller.call,
        [_sandbox_bot(bot) for bot in bots],
        base_url(config.listen),
        base_url(config.sandbox.listen),
        lambda address: print(
            f"Open {address} in a browser.", file=sys.__stdout__, flush=True
        ),
        Memory(Path(f"{config.store}.sandbox"), MOST_THREAD),
        suggestions=DEMO_SUGGESTIONS if demo else SUGGESTIONS,
    )


def _sandbox_bot(bot: Bot) -> SandboxBot:
    facebook = bot.facebook
    return SandboxBot(
        name=bot.name,
        page=facebook.page_id,
        token=facebook.page_access_token.value,
        secret=facebook.secret.value,
        verify_token=facebook.verify_token.value,
        alias=_alias(facebook.secret.value),
        quiet=bot.handover.quiet,
    )


def _sandbox_listeners(
    reactor: Any, config: Config, sandbox: Sandbox | None, seldom: Seldom
) -> list[Listener]:
    if sandbox is None:
        return []
    site = LimitedSite(
        sandbox.root,
        reactor,
        largest_body=1 << 16,
        unverified=Budget(1 << 20),
        # Browsers are told of events for as long as they look on, and a Graph
        # API that is out of order doesn't answer.
        deadlines=Deadlines(answer=None),
        due=seldom.count,
    )
    return [
        Listener(reactor, endpoint, config.places[endpoint], site, due=seldom.count)
        for endpoint in config.sandbox.listen
    ]


def _listeners(
    reactor: Any,
    config: Config,
    site: IProtocolFactory,
    seldom: Seldom,
    metrics: Metrics,
) -> list[Service]:
    services: list[Service] = [
        Listener(reactor, endpoint, config.places[endpoint], site, due=seldom.count)
        for endpoint in config.listen
    ]
    reload: list[Callable[[], None]] = []
    if config.tls is not None:
        tls = config.tls
        files = CertificateFiles(Path(tls.certificate), Path(tls.private_key))
        certificate = ServerCertificate()
        watch = CertificateWatch(reactor, files, certificate, utc_now)
        reload.append(watch.reload)
        metrics.certificate(watch.expires)
        secure = SecureConnections(certificate, False, site, reactor)
        services = [
            watch,
            *services,
            *(
                Listener(
                    reactor, endpoint, config.places[endpoint], secure, due=seldom.count
                )
                for endpoint in tls.listen
            ),
        ]
    return [OnHangup(reactor, reload), *services]
