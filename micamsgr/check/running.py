"""
Whether the daemon that runs has read the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from micamsgr import __version__
from micamsgr.control.client import NotOurs, NotRunning, ask
from micamsgr.errors import Declined

from .findings import Finding, fine
from .troubles import trouble

#: The daemon's command.
COMMAND = "configuration"

# Seconds for it.
_PATIENCE = 5.0


@frozen(kw_only=True)
class Standing:
    """
    What a daemon says of its configuration.

    :ivar file: the path of its file, with no links in it; empty: not known.
    :ivar changes: what of the file is not in force, a line each.
    :ivar later: the keys of it that hold from the next start on.
    :ivar refused: why it can't be put in force, on one line; or nothing.
    """

    file: str
    changes: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    refused: str = ""


def standing(said: Mapping[str, Any]) -> Standing:
    """
    Read what the daemon answers to :data:`COMMAND`.

    :raises Declined: where that can't be read.
    """
    try:
        return Standing(
            file=str(said["file"] or ""),
            changes=tuple(map(str, said["changes"])),
            later=tuple(map(str, said["at_next_start"])),
            refused="; ".join(str(said["refused"]).splitlines()),
        )
    except (KeyError, TypeError) as error:
        raise Declined("the daemon's answer can't be read") from error


def ask_running(store: str, runtime: str | None) -> Standing | Declined:
    """
    Ask the daemon of a store, for a few seconds at most.

    :param runtime: ``$RUNTIME_DIRECTORY``, if there is one.

    :return: what it says; or why it says nothing.
    """
    try:
        _, said = ask(store, runtime, __version__, COMMAND, {}, patience=_PATIENCE)
        return standing(said)
    except Declined as error:
        return error


def judge_running(name: str, real: str, said: Standing | Declined) -> list[Finding]:
    """
    Say whether the daemon that runs has read a file.

    :param name: of the file.
    :param real: its path, with no links in it.

    :return: nothing, where no daemon runs.
    """
    if isinstance(said, NotRunning):
        return []
    if isinstance(said, NotOurs):
        line = "only the user of the daemon that runs can ask whether it has read this"
        return [fine("configuration", name, line)]
    if isinstance(said, Declined):
        return [trouble("configuration.untold", name, said.detail)]
    if said.file != real:
        # No fault: it may be checked before it takes the other one's place.
        other = said.file or "no file"
        line = f"the daemon of its store reads {other}: nothing of this one is in force"
        return [fine("configuration", name, line)]
    if said.refused:
        return [trouble("configuration.refused", name, said.refused)]
    found = []
    if said.changes:
        line = "; ".join(said.changes)
        found.append(trouble("configuration.not_in_force", name, line))
    if said.later:
        line = f"changed since the start: {', '.join(said.later)}"
        found.append(trouble("configuration.later", name, line))
    line = "the daemon that runs has read it"
    return found or [fine("configuration", name, line)]
