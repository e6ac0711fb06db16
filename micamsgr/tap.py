"""
``twistd -n micamessenger``: reads the configuration and puts the parts
together.  The only module that knows all of them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define
from twisted.application.service import IService, Service
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import ILogObserver, Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.components import Componentized
from twisted.python.usage import Options as UsageOptions

from .assistant.chat_completions import ChatCompletions, Endpoint
from .assistant.demo import Demo
from .assistant.prompt import messages
from .clock import Clocks, boot_id
from .config import load_config
from .config.document import ConfigError
from .config.values import Bot, Config, LanguageModel
from .conversation.assistant import IAssistant
from .conversation.dispatcher import Dispatcher
from .conversation.events import BotName, Psid
from .conversation.interfaces import IStore
from .conversation.steps import Steps
from .errors import StoreUnavailable
from .httpcall import HTTPCaller, outbound_client
from .logs import observer
from .messenger.graph import GraphMessenger
from .messenger.markdown import plain
from .messenger.pages import PageFinder
from .messenger.rendering import split
from .messenger.webhook import Channel, Webhook, webhooks
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
    CannotStart,
    Closing,
    Draining,
    InTurn,
    Listener,
    OnHangup,
    SecondSignal,
    raise_file_limit,
)
from .store.service import StoreService
from .upkeep import housekeeping, make_metrics
from .web.certificates import CertificateWatch
from .web.site import Budget, LimitedSite
from .web.tls import CertificateFiles, ServerCertificate, Unusable, utc_now

# Seconds that a stop gives to what is in flight.
_DRAIN = 10.0


class Options(UsageOptions):
    """
    ``twistd -n micamessenger --config FILE``
    """

    longdesc = "Answer the people who write to a Facebook Page, with an LLM."
    optParameters = [  # noqa: RUF012
        ["config", "c", "etc/mica.yaml", "The configuration file."],
    ]

    config: Config

    def postOptions(self) -> None:
        parent: Any = self.parent
        if parent is not None:
            if not parent.get("nodaemon"):
                # Not a UsageError, which twistd prints below a page of help.
                _give_up(
                    "only `twistd -n micamessenger` is supported; let systemd, or"
                    " whatever starts it, keep it in the background"
                )
            # A stale one would keep the next start from succeeding.
            parent["pidfile"] = ""
        try:
            self.config = load_config(Path(self["config"]), os.environ)
        except ConfigError as error:
            _give_up(str(error))


def _give_up(why: str) -> None:
    print(why, file=sys.__stderr__)
    raise SystemExit(1)


class Daemon(InTurn):
    """
    The whole of it, below twistd's application.
    """

    def __init__(self, log: ILogObserver | None) -> None:
        super().__init__()
        self._observer = log

    def setServiceParent(self, parent: Any) -> None:
        # The one place where a plugin can say how twistd is to log.
        if self._observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)

    def startService(self) -> None:
        try:
            super().startService()
        except (CannotStart, StoreUnavailable) as error:
            _give_up(getattr(error, "detail", None) or str(error))


@define(eq=False)
class Greeting(Service):
    """
    What the operator should know of the configuration, said at the start.
    """

    _config: Config

    _log = Logger()

    def startService(self) -> None:
        super().startService()
        for warning in self._config.warnings:
            self._log.warn("{warning}", warning=warning)
        for key in self._config.without_effect:
            self._log.warn("{key} has no effect yet: it is not built", key=key)
        for bot in self._config.bots:
            self._log.info(
                "bot {bot}: webhook at /v1/facebook/webhook/{bot}", bot=bot.name
            )


def makeService(options: Options) -> IService:
    """
    Build the service tree for the reactor that twistd installed.

    Nothing is opened here; a service that can't start ends the process with
    status 1 and a line on standard error.
    """
    from twisted.internet import reactor

    config = options.config
    # Twisted's reactors count delays on the wall clock: set back an hour, it
    # would stop every timer for that long.
    reactor.seconds = time.monotonic  # type: ignore[method-assign]
    raise_file_limit()
    parent: Mapping[str, Any] = getattr(options, "parent", None) or {}
    elsewhere = any(parent.get(key) for key in ("logfile", "syslog", "logger"))
    log = observer(sys.stdout, level=config.log.level, format=config.log.format)
    root = Daemon(None if elsewhere else log)
    SecondSignal(reactor).setServiceParent(root)
    for service in build(reactor, config, Clocks(boot_id())):
        service.setServiceParent(root)
    return root


def build(reactor: Any, config: Config, clocks: Clocks) -> list[Any]:
    """
    Make the services, in the order in which they start.
    """
    metrics = make_metrics(config)
    store = StoreService(reactor, config.store, committed=metrics.committed)
    connections = sum(bot.llm.concurrency for bot in config.bots)
    client, pool = outbound_client(reactor, connections=max(64, connections))
    caller = HTTPCaller(reactor, client.request)
    sandbox = _sandbox(reactor, config, caller)
    bots = Draining(_DRAIN)
    channels: dict[BotName, Channel] = {}
    for bot in config.bots:
        assistant = _assistant(reactor, bot, caller)
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
    site = LimitedSite(
        webhooks(webhook, channels.values()),
        reactor,
        largest_body=config.clients.body,
        unverified=Budget(config.clients.unverified),
    )
    return [
        Greeting(config),
        store,
        *housekeeping(reactor, config, clocks, store, metrics),
        Closing(pool.closeCachedConnections),
        *_sandbox_listeners(reactor, config, sandbox),
        bots,
        *_listeners(reactor, config, site, metrics),
        *([] if sandbox is None else [sandbox]),
    ]


def _bot(
    reactor: Any,
    bot: Bot,
    store: IStore,
    caller: HTTPCaller,
    assistant: IAssistant,
    clocks: Clocks,
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
    steps = Steps(
        bot.name,
        reactor,
        clocks.now,
        store,
        messenger,
        assistant,
        lambda text: split(plain(text)),
        random.random,
        os.urandom,
        alias,
        delivery=bot.delivery,
        manners=manners,
        handover=bot.handover,
        limits=bot.limits,
        slots=bot.llm.concurrency,
        texts=texts,
    )
    dispatcher = Dispatcher(
        bot.name, reactor, store, steps, random.random, drain=_DRAIN
    )
    finder = PageFinder(
        bot.name,
        reactor,
        store,
        messenger,
        facebook.page_access_token.value,
        random.random,
        facebook.page_id,
    )
    channel = Channel(
        bot=bot.name,
        verify_token=facebook.verify_token.value.encode(),
        secret=facebook.secret.value.encode(),
        page=lambda: finder.page,
        allow=frozenset(bot.allow),
        handover=bot.handover,
        app=facebook.app_id,
        alias=alias,
        wake=dispatcher.wake,
        hush=dispatcher.hush,
    )
    return [finder, dispatcher], channel


def _assistant(reactor: Any, bot: Bot, caller: HTTPCaller) -> IAssistant:
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
        random.random,
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


def _in_sandbox(bot: Bot, config: Config) -> bool:
    return served(bot.facebook.graph_url, config.sandbox.listen)


def _sandbox(reactor: Any, config: Config, caller: HTTPCaller) -> Sandbox | None:
    if not config.sandbox.listen:
        return None
    bots = [bot for bot in config.bots if _in_sandbox(bot, config)]
    demo = all(bot.llm.provider == "demo" for bot in bots)
    try:
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
    except CannotStart as error:
        _give_up(str(error))
        raise


def _sandbox_bot(bot: Bot) -> SandboxBot:
    facebook = bot.facebook
    return SandboxBot(
        name=bot.name,
        page=facebook.page_id,
        token=facebook.page_access_token.value,
        secret=facebook.secret.value,
        verify_token=facebook.verify_token.value,
        alias=_alias(facebook.secret.value),
    )


def _sandbox_listeners(
    reactor: Any, config: Config, sandbox: Sandbox | None
) -> list[Listener]:
    if sandbox is None:
        return []
    site = LimitedSite(
        sandbox.root, reactor, largest_body=1 << 16, unverified=Budget(1 << 20)
    )
    return [
        Listener(reactor, endpoint, config.places[endpoint], site)
        for endpoint in config.sandbox.listen
    ]


def _listeners(
    reactor: Any, config: Config, site: IProtocolFactory, metrics: Metrics
) -> list[Service]:
    services: list[Service] = [
        Listener(reactor, endpoint, config.places[endpoint], site)
        for endpoint in config.listen
    ]
    reload: list[Callable[[], None]] = []
    if config.tls is not None:
        tls = config.tls
        files = CertificateFiles(Path(tls.certificate), Path(tls.private_key))
        try:
            certificate = ServerCertificate(files.load(utc_now()))
        except Unusable as error:
            _give_up(str(error))
            raise
        watch = CertificateWatch(reactor, files, certificate, utc_now)
        reload.append(watch.reload)
        metrics.certificate(lambda: certificate.current.expires.timestamp())
        secure = TLSMemoryBIOFactory(certificate, False, site, reactor)
        services = [
            watch,
            *services,
            *(
                Listener(reactor, endpoint, config.places[endpoint], secure)
                for endpoint in tls.listen
            ),
        ]
    return [OnHangup(reactor, reload), *services]
