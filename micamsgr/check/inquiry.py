"""
Asks all questions, of one configuration, at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from micamsgr.config.values import Bot, Config
from micamsgr.httpcall import HTTPCaller
from micamsgr.sandbox.addresses import served
from micamsgr.store.look import Look, look
from micamsgr.web.tls import Unusable

from .aside import aside
from .asking_graph import GraphAsker, judge_answers
from .files import (
    Seen,
    certificate_files,
    judge_certificates,
    judge_configuration,
    judge_secrets,
    look_at_certificate,
    look_at_modes,
)
from .findings import Finding, fine
from .knocking import Knocker, ask_webhook
from .llm import ask, judge_llm
from .machine import judge_port, judge_store
from .ports import PortAsker
from .running import ask_running, judge_running
from .subscribed import judge_mode
from .troubles import QUESTIONS, trouble

T = TypeVar("T")

# Seconds for one question; and for an answer of an LLM.
_LONGEST, _LLM = 25.0, 20.0

# So many bots are asked about at once.
_BOTS = 8

_LOOPBACK = ("127.0.0.1", "::1", "localhost")

_OF_GRAPH = (
    "graph",
    "clock",
    "token",
    "app",
    "page",
    "scopes",
    "appsecret_proof",
    "app_subscription",
    "page_subscription",
    "routing",
)
_OF_WEBHOOK = (
    "webhook",
    "webhook_verification",
    "webhook_signed",
    "webhook_unsigned",
)


@define(eq=False)
class Inquiry:
    """
    Ask about one configuration.

    For up to eight bots it takes half a minute at most, for every eight more
    another one; a question that takes longer than 25 seconds is not waited for.

    :ivar _path: of the configuration's file.
    :ivar _wall: the wall clock, in seconds since the epoch.
    """

    _reactor: Any
    _caller: HTTPCaller
    _path: Path
    _config: Config
    _environ: Mapping[str, str]
    _wall: Callable[[], float]

    _longest: float = field(default=_LONGEST, kw_only=True)

    async def ask(self) -> list[Finding]:
        """
        Ask everything.

        :return: in the order of :data:`~micamsgr.check.troubles.QUESTIONS`;
            within a question, in the order of the configuration.
        """
        config = self._config
        looking = aside(self._reactor, partial(look, Path(config.store)), "disk")
        turns = DeferredSemaphore(_BOTS)
        asked: list[Deferred[list[Finding]]] = [
            self._within(("configuration",), "", self._ask_files()),
            self._within(("configuration",), str(self._path), self._ask_daemon()),
            self._within(("ports",), "", self._ask_ports()),
            self._within(("store",), config.store, self._ask_store(looking)),
        ]
        asked += [turns.run(self._ask_bot, bot, looking) for bot in config.bots]
        found = [one for some in await gatherResults(asked) for one in some]
        looking.addErrback(lambda _: None)  # it was told above
        order = list(QUESTIONS)
        return sorted(found, key=lambda finding: order.index(finding.question))

    # This machine

    async def _ask_files(self) -> list[Finding]:
        config = self._config
        now = datetime.fromtimestamp(self._wall(), timezone.utc)
        seen = _certificates(config, now)
        sandboxed = all(map(self._sandboxed, config.bots))
        modes = look_at_modes(self._path, self._environ, sandboxed=sandboxed)
        return [
            *judge_configuration(str(self._path), config),
            *judge_secrets(modes),
            *judge_certificates(seen, config.public_url, now),
        ]

    async def _ask_daemon(self) -> list[Finding]:
        runtime = self._environ.get("RUNTIME_DIRECTORY")
        asking = partial(ask_running, self._config.store, runtime)
        said = await aside(self._reactor, asking, "daemon")
        real = os.path.realpath(self._path)
        return judge_running(str(self._path), real, said)

    async def _ask_ports(self) -> list[Finding]:
        config, asker = self._config, PortAsker(self._reactor, self._reactor.seconds)
        bot = config.bots[0]
        secure = () if config.tls is None else config.tls.listen
        public = [
            *((it, False) for it in config.listen),
            *((it, True) for it in secure),
        ]
        sandboxed = self._sandboxed(bot)
        asked = [
            *(asker.ask_public(*it, bot, sandboxed=sandboxed) for it in public),
            *(asker.ask_private(it, "/healthz") for it in config.admin.listen),
            *(asker.ask_private(it, "/") for it in config.sandbox.listen),
        ]
        begun = [Deferred.fromCoroutine(each) for each in asked]
        return [judge_port(port) for port in await gatherResults(begun)]

    async def _ask_store(self, looking: Deferred[Look]) -> list[Finding]:
        return [judge_store(self._config.store, await _shared(looking))]

    # A bot

    def _ask_bot(self, bot: Bot, looking: Deferred[Look]) -> Deferred[list[Finding]]:
        asked = [
            self._within(("mode",), bot.name, self._ask_mode(bot, looking)),
            self._within(("llm",), bot.name, self._ask_llm(bot)),
        ]
        if self._sandboxed(bot):
            line = "the sandbox is Meta here, with an app secret of each run: not asked"
            about_meta = [*_OF_GRAPH, *_OF_WEBHOOK]
            asked.append(succeed([fine(it, bot.name, line) for it in about_meta]))
        else:
            asked += [
                self._within(_OF_GRAPH, bot.name, self._ask_graph(bot)),
                self._within(_OF_WEBHOOK, bot.name, self._ask_webhook(bot)),
            ]
        return gatherResults(asked).addCallback(
            lambda found: [one for some in found for one in some]
        )

    def _sandboxed(self, bot: Bot) -> bool:
        return served(bot.facebook.graph_url, self._config.sandbox.listen)

    async def _ask_graph(self, bot: Bot) -> list[Finding]:
        asker = GraphAsker(
            self._caller.call, bot.facebook, self._wall, self._reactor.seconds
        )
        sharing = tuple(
            str(other.name)
            for other in self._config.bots
            if other.facebook.secret == bot.facebook.secret
        )
        told = await asker.ask()
        return judge_answers(
            bot.name,
            bot.facebook,
            self._config.public_url,
            sharing,
            self._wall(),
            told,
        )

    async def _ask_mode(self, bot: Bot, looking: Deferred[Look]) -> list[Finding]:
        seen = await _shared(looking)
        people = None if seen.version is None else seen.people.get(bot.name, 0)
        return [judge_mode(bot.name, people, _stand_in(bot))]

    async def _ask_webhook(self, bot: Bot) -> list[Finding]:
        public_url = self._config.public_url
        if public_url is None:
            line = "public_url is not given"
            return [
                trouble("webhook.unknown", bot.name, line),
                *(
                    trouble(f"{question}.unasked", bot.name, line)
                    for question in _OF_WEBHOOK[1:]
                ),
            ]
        knocker = Knocker(self._caller.call, self._reactor.seconds)
        modern = self._config.tls is not None and self._config.tls.modern
        return await ask_webhook(
            knocker, bot, public_url, _stand_in(bot), modern=modern
        )

    async def _ask_llm(self, bot: Bot) -> list[Finding]:
        if bot.llm.provider == "demo":
            return [fine("llm", bot.name, "the demo, which needs no LLM")]
        models = [bot.llm, *bot.llm.fallbacks]
        begun = [
            Deferred.fromCoroutine(
                ask(self._caller.call, model, self._reactor.seconds, _LLM)
            )
            for model in models
        ]
        came = await gatherResults(begun, consumeErrors=True)
        return [
            judge_llm(bot.name, model, place, one)
            for place, (model, one) in enumerate(zip(models, came, strict=True))
        ]

    # Waiting

    def _within(
        self,
        questions: Sequence[str],
        about: str,
        asking: Coroutine[Any, Any, list[Finding]],
    ) -> Deferred[list[Finding]]:
        """
        Give up in time, and where there is a defect, and say so of each
        question.
        """
        clock: IReactorTime = self._reactor

        def unanswered(failure: Failure) -> list[Finding]:
            # Names the kind of a defect, and nothing that was in it.
            why = type(failure.value).__name__
            return [trouble(f"{it}.unanswered", about, why) for it in questions]

        begun = Deferred.fromCoroutine(asking).addTimeout(self._longest, clock)
        return begun.addErrback(unanswered)


def _shared(result: Deferred[T]) -> Deferred[T]:
    """
    Wait for what others wait for too; to be canceled alone.
    """
    mine: Deferred[T] = Deferred()

    def pass_on(outcome: Any) -> Any:
        if not mine.called:
            mine.callback(outcome)
        return outcome

    result.addBoth(pass_on)
    return mine


def _certificates(config: Config, now: datetime) -> list[tuple[str, Seen | Unusable]]:
    tls = config.tls
    if tls is None:
        return []
    return [
        (str(it.certificate), look_at_certificate(it, now, modern=tls.modern))
        for it in certificate_files(tls)
    ]


def _stand_in(bot: Bot) -> bool:
    return urlsplit(bot.facebook.graph_url).hostname in _LOOPBACK
