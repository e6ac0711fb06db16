"""
Puts together what looks after the store, and what is counted.
"""

from __future__ import annotations

import platform
from typing import Any

from twisted.application.service import Service
from twisted.logger import LogPublisher

import twisted
from micamsgr import __version__
from micamsgr.assistant.chat_completions import host_of
from micamsgr.clock import Clocks
from micamsgr.config.values import Bot, Config
from micamsgr.metrics import Metrics
from micamsgr.store.deletions import Deletions
from micamsgr.store.forgetting import Forgetting
from micamsgr.store.requests import Requests
from micamsgr.store.retention import Ages
from micamsgr.store.service import SQLITE, StoreService
from micamsgr.store.sweeping import Sweeping
from micamsgr.watching import Watching

from .reload import Current


def make_metrics(config: Config) -> Metrics:
    """
    Make the metrics, with what is known before anything happens.
    """
    metrics = Metrics()
    metrics.build(__version__, platform.python_version(), twisted.__version__, SQLITE)
    for bot in config.bots:
        expect(metrics, bot)
    return metrics


def expect(metrics: Metrics, bot: Bot) -> None:
    """
    Show what is to be asked for a bot, before it is.
    """
    for host, model in _endpoints(bot):
        metrics.endpoint(host, model)


def leave_out(metrics: Metrics, config: Config) -> None:
    """
    Show nothing more of bots and LLMs that a configuration no longer names:
    what was known of them last would be shown for ever.
    """
    endpoints = [it for bot in config.bots for it in _endpoints(bot)]
    metrics.only([bot.name for bot in config.bots], endpoints)


def _endpoints(bot: Bot) -> list[tuple[str, str]]:
    return [
        (host_of(model.url), model.model)
        for model in (bot.llm, *bot.llm.fallbacks)
        if model.provider != "demo"
    ]


def housekeeping(
    reactor: Any,
    current: Current,
    clocks: Clocks,
    store: StoreService,
    deletions: Deletions,
    metrics: Metrics,
    publisher: LogPublisher,
) -> tuple[Service, Service, Watching]:
    """
    Make the services that look after the store, and at it; they are to start
    after it.
    """

    def ages() -> Ages:
        kept = current.config.retention
        return Ages(texts=kept.texts, raw=kept.raw, ledger=kept.ledger)

    def budgets() -> dict[str, int]:
        budgets = {it.name: it.limits.bot_tokens_per_day for it in current.config.bots}
        return {name: most for name, most in budgets.items() if most}

    path = current.config.store
    forgetting = Forgetting(
        reactor, clocks.now, store.write, store.alone, Requests(path), deletions
    )
    return (
        Sweeping(
            reactor,
            clocks.now,
            store.write,
            store.alone,
            ages,
            held=lambda: forgetting.busy,
            ahead=lambda: clocks.ahead,
        ),
        forgetting,
        Watching(
            reactor,
            clocks.now,
            metrics,
            store.write,
            store.read,
            path,
            budgets,
            publisher,
            bots=lambda: [bot.name for bot in current.config.bots],
        ),
    )
