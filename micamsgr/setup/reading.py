"""
Whether the daemon that runs has read the configuration; if not, it is told to.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads

from micamsgr import __version__
from micamsgr.check.aside import aside
from micamsgr.check.running import COMMAND, standing
from micamsgr.config import load_store
from micamsgr.config.document import ConfigError
from micamsgr.control.client import NotRunning, ask
from micamsgr.errors import Declined

from .failing import Failed

#: Has the daemon that runs do a command; may raise
#: :exc:`~micamsgr.errors.Declined`.
Tell = Callable[[str], Awaitable[Mapping[str, Any]]]

# Seconds for the daemon to answer; a reload reads files.
_PATIENCE = 20.0


def daemon_of(
    reactor: IReactorFromThreads, path: Path, environ: Mapping[str, str]
) -> Tell:
    """
    Find the daemon as the operator's commands do, by the store that the
    configuration names.

    :param path: of the configuration.
    :param environ: the variables of the process.
    """

    def tell(command: str) -> Mapping[str, Any]:
        try:
            store = load_store(path, environ)
        except ConfigError as error:
            raise Declined(str(error)) from error
        runtime = environ.get("RUNTIME_DIRECTORY")
        return ask(store, runtime, __version__, command, {}, patience=_PATIENCE)[1]

    async def begin(command: str) -> Mapping[str, Any]:
        return await aside(reactor, partial(tell, command), "daemon")

    return begin


async def have_it_read(
    tell: Tell, path: Path, say: Callable[[str], None], todo: str
) -> str:
    """
    Have the daemon read its configuration, if it has not.

    :param path: of the configuration.
    :param todo: the command by which an operator does the same.

    :return: nothing, where it has read it; or else why that is not known.

    :raises Failed: it has not, and does not.
    """
    try:
        there = standing(await tell(COMMAND))
    except NotRunning:
        return "no daemon takes commands here"
    except Declined as error:
        return error.detail
    if there.file != os.path.realpath(path):
        return f"the daemon here reads {there.file or 'another file'}"
    if there.refused:
        raise Failed(
            why=f"the daemon that runs can't use the configuration: {there.refused}",
            todo=f"mend that, and let it read it: {todo}",
        )
    if there.changes:
        try:
            done = await tell("reload")
        except Declined as error:
            why = " ".join(error.detail.splitlines())
            raise Failed(
                why=f"the daemon that runs does not read the configuration: {why}",
                todo=f"mend that, and let it read it: {todo}",
            ) from None
        changes = "; ".join(map(str, done.get("changes") or there.changes))
        say(f"  It ran already, and has now read the configuration ({changes})")
    else:
        say("  It has read the configuration")
    if there.later:
        keys = ", ".join(there.later)
        say(f"  Note: {keys} will hold only when it is started again")
    return ""
