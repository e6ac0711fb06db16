"""
Puts together what serves an operator's commands, and tells how the daemon is.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from attrs import define, field

from micamsgr import __version__
from micamsgr.clock import Clocks
from micamsgr.config.values import Bot, Config
from micamsgr.control.commands import Commands, Voice
from micamsgr.control.listening import ControlSocket
from micamsgr.control.protocol import socket_path
from micamsgr.errors import Declined
from micamsgr.messenger.rendering import MOST, split
from micamsgr.store.database import Transact
from micamsgr.store.looking import Looking
from micamsgr.store.tally import read_figures

from .bots import Bots, RunningBot
from .listeners import Listeners
from .reload import Current, Reload, ReloadRefused

_DAY = 86_400_000


@define(eq=False)
class Subscribed:
    """
    Whether the bots' Pages were found to be subscribed.

    :ivar _tell: whom else to tell.
    """

    _tell: Callable[[str, bool], None]
    found: dict[str, bool] = field(factory=dict, init=False)

    def __call__(self, bot: str, is_so: bool) -> None:
        self.found[bot] = is_so
        self._tell(bot, is_so)


@define(eq=False)
class Status:
    """
    Tell how the daemon is.

    :ivar _path: of the store, which no reload changes.
    :ivar _checks: says of each thing that it needs whether it is well.
    """

    _path: str
    _clocks: Clocks
    _bots: Bots
    _subscribed: Subscribed
    _listeners: Listeners
    _read: Transact
    _checks: Callable[[], Awaitable[list[dict[str, object]]]]

    async def __call__(self) -> Mapping[str, Any]:
        now = self._clocks.now()
        figures = await self._read(
            lambda database: read_figures(database, now.wall // _DAY)
        )
        oldest = figures.oldest
        expires = self._listeners.expires
        states = figures.states
        return {
            "version": __version__,
            "pid": os.getpid(),
            "uptime": round(now.tick.seconds - now.started, 1),
            "bots": [
                self._bot(bot, figures.tokens.get(name, 0))
                for name, bot in self._bots.by_name.items()
            ],
            "queue": {
                "waiting": states.get(("event", "new"), 0),
                "in_turn": states.get(("event", "in_turn"), 0),
                "turns": sum(
                    n for (it, _), n in figures.states.items() if it == "turn"
                ),
                "unsent": states.get(("part", "composed"), 0),
                "sending": states.get(("part", "sending"), 0),
                "in_doubt": states.get(("part", "unknown"), 0),
                "oldest_unanswered": None
                if oldest is None
                else max(0.0, (now.wall - oldest) / 1000.0),
            },
            "certificate": None
            if expires is None
            else {
                "ends": datetime.fromtimestamp(expires, timezone.utc).isoformat(),
                "days": round((expires * 1000 - now.wall) / _DAY, 1),
            },
            "store": _store(self._path),
            "checks": await self._checks(),
        }

    def _bot(self, running: RunningBot, tokens: int) -> dict[str, Any]:
        bot, stopped = running.bot, running.stopped
        return {
            "name": bot.name,
            "page": running.channel.page(),
            "subscribed": self._subscribed.found.get(bot.name),
            "sending": "open" if stopped is None else "paused",
            "paused_for": None if stopped is None else round(stopped[0], 1),
            "why": None if stopped is None else stopped[1],
            "endpoints": [
                {"host": host, "model": model, "left_alone_for": alone}
                for host, model, alone in running.endpoints
            ],
            "tokens_today": tokens,
            "tokens_per_day": bot.limits.bot_tokens_per_day or None,
        }


def _store(path: str) -> dict[str, Any]:
    sizes: dict[str, int | None] = {
        "bytes": None,
        "log_bytes": None,
        "free_bytes": None,
    }
    with suppress(OSError):
        sizes["bytes"] = Path(path).stat().st_size
    with suppress(OSError):
        sizes["log_bytes"] = Path(f"{path}-wal").stat().st_size
    with suppress(OSError):
        disk = os.statvfs(Path(path).parent)
        sizes["free_bytes"] = disk.f_bavail * disk.f_frsize
    return {"path": path, **sizes}


def control(
    reactor: Any,
    current: Current,
    clocks: Clocks,
    write: Transact,
    bots: Bots,
    subscribed: Subscribed,
    listeners: Listeners,
    reload: Reload,
    checks: Callable[[], Awaitable[list[dict[str, object]]]],
    entropy: Callable[[int], bytes],
    runtime: str | None,
    file: Path | None,
) -> ControlSocket:
    """
    Make the service for an operator's commands; it is to start after the store
    and the bots.

    What is served follows every reload, but for the socket's path.

    :param runtime: ``$RUNTIME_DIRECTORY``.
    :param file: the configuration's; ``None``: there is none.
    """
    config: Config = current.config
    read = Looking(reactor, config.store).read

    def voices() -> dict[str, Voice]:
        return {name: _voice(bot) for name, bot in bots.by_name.items()}

    def reload_now() -> Mapping[str, Any]:
        try:
            changes = reload()
            return {"changes": changes, "certificates": current.config.tls is not None}
        except ReloadRefused as error:
            raise Declined(f"the configuration in force stays:\n{error}") from error

    def configuration() -> Mapping[str, Any]:
        changes: list[str] = []
        later: list[str] = []
        refused = ""
        try:
            unread = reload.unread()
            changes, later = [*unread.changes], [*unread.later]
        except ReloadRefused as error:
            refused = str(error)
        return {
            # As it is found now, whatever links lead to it.
            "file": None if file is None else os.path.realpath(file),
            "in_force": not (changes or later or refused),
            "changes": changes,
            "at_next_start": later,
            "refused": refused,
        }

    commands = Commands(
        reactor,
        clocks.now,
        write,
        read,
        voices,
        lambda text: split(text.strip()),
        MOST,
        Status(config.store, clocks, bots, subscribed, listeners, read, checks),
        reload_now,
        configuration,
        entropy,
    )
    path = socket_path(config.store, runtime)
    return ControlSocket(reactor, path, __version__, commands)


def _voice(running: RunningBot) -> Voice:
    bot: Bot = running.bot
    channel = running.channel
    return Voice(
        wake=running.wake,
        hush=channel.hush,
        delivery=bot.delivery,
        quiet=bot.handover.quiet,
        try_again=running.try_again,
        stopped=lambda: running.stopped,
    )
