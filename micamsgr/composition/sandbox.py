"""
Puts together the sandbox, and the bots that it serves.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from micamsgr.config.values import Bot, Config, Secret
from micamsgr.httpcall import HTTPCaller
from micamsgr.messenger.seldom import Seldom
from micamsgr.sandbox.addresses import base_url, served
from micamsgr.sandbox.memory import Memory
from micamsgr.sandbox.service import (
    DEMO_SUGGESTIONS,
    MOST_THREAD,
    SUGGESTIONS,
    Sandbox,
    SandboxBot,
)
from micamsgr.services import CannotStart, Listener
from micamsgr.web.deadlines import Deadlines
from micamsgr.web.site import Budget, LimitedSite

from .bots import alias_of


def of_this_run(bots: Sequence[Bot], config: Config, secret: str) -> tuple[Bot, ...]:
    """
    Give the bots of the sandbox a secret that nobody knows.

    The one in the file may be known, and with it any page that a browser on
    this machine shows could write to the bot, at the cost of who pays for it.
    """
    return tuple(
        evolve(bot, facebook=evolve(bot.facebook, secret=Secret(secret)))
        if in_sandbox(bot, config)
        else bot
        for bot in bots
    )


def in_sandbox(bot: Bot, config: Config) -> bool:
    """
    Say whether the sandbox is a bot's Graph API.
    """
    return served(bot.facebook.graph_url, config.sandbox.listen)


def check_sandbox(before: Config, after: Config) -> None:
    """
    See to it that the sandbox can go on serving its bots.

    :raises CannotStart: where it could not: it knows them from its start.
    """
    old, new = (
        {bot.name: bot.facebook for bot in config.bots if in_sandbox(bot, before)}
        for config in (before, after)
    )
    if old != new:
        raise CannotStart(
            "sandbox: which bots it serves, and what is below their facebook, can"
            " change only at a start: restart the daemon"
        )


def make_sandbox(reactor: Any, config: Config, caller: HTTPCaller) -> Sandbox | None:
    """
    Make it, where the configuration wants one.
    """
    if not config.sandbox.listen:
        return None
    bots = [bot for bot in config.bots if in_sandbox(bot, config)]
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
        alias=alias_of(bot),
        quiet=bot.handover.quiet,
    )


def sandbox_listeners(
    reactor: Any, config: Config, sandbox: Sandbox | None, seldom: Seldom
) -> list[Listener]:
    """
    Make what listens for the sandbox's browsers, and for calls of its Graph API.
    """
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
