"""
Taking another configuration while the daemon runs: all of it, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

from attrs import define, field, frozen
from twisted.logger import Logger

from micamsgr.config.document import ConfigError
from micamsgr.config.values import Config
from micamsgr.services import CannotStart
from micamsgr.systemd import ServiceManager
from micamsgr.web.tls import Unusable

from .changes import BotChanges, at_next_start, at_once, bot_changes, where

_LATER = "{key} is another than at the start: it takes effect at the next"


class ReloadRefused(Exception):
    """
    The configuration in force stays; the text says why, a line for each fault.
    """


@frozen
class Unread:
    """
    What the file says and is not in force.

    :ivar changes: what a reload would change, a line each, by names and never
        by values.
    :ivar later: the keys that would hold from the next start on.
    """

    changes: tuple[str, ...]
    later: tuple[str, ...]


@define(eq=False)
class Current:
    """
    The configuration in force.
    """

    config: Config


class _Doors(Protocol):
    """What is needed of :class:`~.listeners.Listeners`."""

    def prepare(self, config: Config) -> list[str]: ...

    def commit(self, config: Config) -> list[str]: ...


@define(eq=False)
class Reload:
    """
    Put another configuration in force.

    What may fail is done first, and nothing has changed then; no connection
    and no turn is disturbed.

    :ivar _load: reads the configuration.
    :ivar _bots: told what becomes of which bots, and the configuration.
    """

    _load: Callable[[], Config]
    _current: Current
    _doors: _Doors
    _bots: Callable[[BotChanges, Config], None]
    _log_level: Callable[[str], None]
    _manager: ServiceManager

    # What only a start reads is still as it was then.
    _started: Config = field(init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._started = self._current.config

    def on_hangup(self) -> None:
        """
        Do it because of a signal: nobody but the log hears what came of it.
        """
        with suppress(ReloadRefused):
            self()

    def __call__(self) -> list[str]:
        """
        Read the configuration, and put it in force.

        :return: what changed, a line each; the log has them, too.

        :raises ReloadRefused: where the configuration in force stays.
        """
        with self._manager.reloading():
            return self._reload()

    def unread(self) -> Unread:
        """
        Read the configuration, and say what of it is not in force.  Changes
        nothing; neither endpoints nor certificates are tried.

        :raises ReloadRefused: where it can't be put in force.
        """
        before = self._current.config
        try:
            after = self._load()
        except (ConfigError, CannotStart) as error:
            raise ReloadRefused(str(error)) from error
        keys = [*at_once(before, after), *where(before, after)]
        return Unread(
            tuple(_said(bot_changes(before, after), keys, [], [])),
            tuple(at_next_start(self._started, after)),
        )

    def _reload(self) -> list[str]:
        before = self._current.config
        try:
            after = self._load()
            opened = self._doors.prepare(after)
        except (ConfigError, Unusable, CannotStart) as error:
            self._log.error(
                "the configuration in force stays: {why}",
                event="configuration.refused",
                why="; ".join(str(error).splitlines()),
            )
            raise ReloadRefused(str(error)) from error
        closed = self._doors.commit(after)
        changes = bot_changes(before, after)
        self._bots(changes, after)
        self._log_level(after.log.level)
        self._current.config = after
        said = list(_said(changes, list(at_once(before, after)), opened, closed))
        self._log.info(
            "a configuration is put in force: {changes}",
            event="configuration.loaded",
            changes="; ".join(said) or "nothing has changed",
        )
        for key in at_next_start(self._started, after):
            said.append(_LATER.format(key=key))
            self._log.warn(_LATER, event="configuration.later", key=key)
        for warning in after.warnings:
            self._log.warn(
                "a setting to look at: {warning}",
                event="configuration.doubtful",
                warning=warning,
            )
        return said


def _said(
    changes: BotChanges, keys: list[str], opened: list[str], closed: list[str]
) -> Iterator[str]:
    for what, names in (
        ("bots added", changes.added),
        ("bots changed", changes.changed),
        ("bots removed", changes.removed),
        ("changed", keys),
        ("listening on", opened),
        ("no longer listening on", closed),
    ):
        if names:
            yield f"{what}: {', '.join(names)}"
