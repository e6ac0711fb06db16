"""
Puts together what looks after the store, and what is counted.
"""

from __future__ import annotations

import platform
from typing import Any

from twisted.application.service import Service
from twisted.logger import globalLogPublisher

import twisted

from . import __version__
from .assistant.chat_completions import host_of
from .clock import Clocks
from .config.values import Config
from .metrics import Metrics
from .store.forgetting import Forgetting
from .store.requests import Requests
from .store.retention import Ages
from .store.service import SQLITE, StoreService
from .store.sweeping import Sweeping
from .watching import Watching


def make_metrics(config: Config) -> Metrics:
    """
    Make the metrics, with what is known before anything happens.
    """
    metrics = Metrics()
    metrics.build(__version__, platform.python_version(), twisted.__version__, SQLITE)
    for bot in config.bots:
        for model in (bot.llm, *bot.llm.fallbacks):
            if model.provider != "demo":
                metrics.endpoint(host_of(model.url), model.model)
    return metrics


def housekeeping(
    reactor: Any,
    config: Config,
    clocks: Clocks,
    store: StoreService,
    metrics: Metrics,
) -> list[Service]:
    """
    Make the services that look after the store, and at it; they are to start
    after it.
    """
    kept = config.retention
    ages = Ages(texts=kept.texts, raw=kept.raw, ledger=kept.ledger)
    requests = Requests(config.store)
    forgetting = Forgetting(reactor, clocks.now, store.write, store.alone, requests)
    budgets = {bot.name: bot.limits.bot_tokens_per_day for bot in config.bots}
    return [
        Sweeping(
            reactor,
            clocks.now,
            store.write,
            store.alone,
            ages,
            held=lambda: forgetting.busy,
        ),
        forgetting,
        Watching(
            reactor,
            clocks.now,
            metrics,
            store.write,
            store.read,
            config.store,
            {bot: most for bot, most in budgets.items() if most},
            globalLogPublisher,
        ),
    ]
