"""
The command lines of the operator's commands.
"""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from typing import Any

from . import console
from .commands import MOST

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = 366 * 86400

_TO_DAEMON = " The daemon does it, which must be running."


def add_commands(
    commands: Any, common: ArgumentParser, psid: Callable[[str], str]
) -> None:
    """
    Add the operator's commands.

    :param commands: what ``add_subparsers()`` returns.
    :param common: what every command takes.
    :param psid: reads a page-scoped ID.
    """
    parents = [common, _json()]
    person = [*parents, _whose(psid)]

    def add(
        to: Any, name: str, work: Any, help: str, more: str = "", **given: Any
    ) -> ArgumentParser:
        parser: ArgumentParser = to.add_parser(
            name,
            help=help,
            description=f"{help[0].upper()}{help[1:]}.{more}",
            **{"parents": parents, **given},
        )
        parser.set_defaults(operate=work)
        return parser

    add(commands, "status", console.status, "tell how the daemon is", _TO_DAEMON)
    add(
        commands,
        "reload",
        console.reload,
        "put the configuration in force that the file says now",
        " All of it, or nothing, and then it says why." + _TO_DAEMON,
    )
    queue = _group(commands, "queue", "look at what waits, and decide about it")
    listing = add(
        queue,
        "list",
        console.queue_list,
        "list what waits, what is in doubt and what was given up",
        " No texts are shown." + _TO_DAEMON,
    )
    _limit(listing, 100)
    for name, work, help, more in (
        ("show", console.queue_show, "show one thing of the queue", ""),
        (
            "retry",
            console.queue_retry,
            "have something tried again",
            " A message that was given up, or left to a human, is answered after all,"
            " if Meta's 24-hour window is open; a part in doubt is sent again, so that"
            " the person reads it twice if it had arrived.",
        ),
        (
            "drop",
            console.queue_drop,
            "give something up",
            " It ends with the reason `operator`. A part in doubt may have arrived.",
        ),
    ):
        one = add(queue, name, work, help, more + _TO_DAEMON)
        one.add_argument(
            "id", metavar="ID", type=_id, help="as `queue list` shows it: e1, t1, …"
        )
    talk = _group(
        commands, "conversation", "look at what was said to a person, and pause the bot"
    )
    shown = add(
        talk,
        "show",
        console.conversation_show,
        "show what was said, and until when the bot is quiet",
        _TO_DAEMON,
        parents=person,
    )
    _limit(shown, 40)
    pause = add(
        talk,
        "pause",
        console.conversation_pause,
        "let the bot be quiet there, as if a human answered",
        " What it was about to say is taken back." + _TO_DAEMON,
        parents=person,
    )
    pause.add_argument(
        "--for",
        dest="seconds",
        metavar="TIME",
        type=seconds,
        help="such as 90s, 30m, 2h or 7d (for good)",
    )
    add(
        talk,
        "resume",
        console.conversation_resume,
        "let the bot be awake there",
        _TO_DAEMON,
        parents=person,
    )
    send = add(
        commands,
        "send",
        console.send,
        "say something as the Page",
        " It counts as a human's words: the bot is quiet after them for"
        " handover.quiet_minutes." + _TO_DAEMON,
        parents=person,
    )
    send.add_argument(
        "text",
        metavar="TEXT",
        help="what to say; - reads it from standard input, so that it stands in no"
        " list of processes",
    )
    exported = add(
        commands,
        "export",
        console.export_person,
        "write all that is kept of a person, as JSON",
        " Whether the daemon runs or not.",
        parents=person,
    )
    exported.add_argument(
        "--output", metavar="FILE", help="a new file, which only its owner can read"
    )
    copied = add(
        commands,
        "backup",
        console.backup,
        "copy the store into a new file, and check the copy",
        " Whether the daemon runs or not.",
    )
    copied.add_argument("file", metavar="FILE")
    restored = add(
        commands,
        "restore",
        console.restore,
        "put a copy in the place of the store",
        " The daemon must be stopped. What was there is kept beside it.",
    )
    restored.add_argument("file", metavar="FILE")
    migrated = add(
        commands,
        "migrate",
        console.migrate,
        "bring the store up to date, as a start does",
        " The daemon must be stopped.",
    )
    migrated.add_argument(
        "--dry-run", action="store_true", help="only say what would be done"
    )


def _group(commands: Any, name: str, help: str) -> Any:
    group = commands.add_parser(
        name, help=help, description=f"{help[0].upper()}{help[1:]}."
    )
    return group.add_subparsers(required=True, metavar="COMMAND")


def _json() -> ArgumentParser:
    parser = ArgumentParser(add_help=False)
    parser.add_argument("--json", action="store_true", help="for programs to read")
    return parser


def _whose(psid: Callable[[str], str]) -> ArgumentParser:
    parser = ArgumentParser(add_help=False)
    parser.add_argument("psid", metavar="PSID", type=psid, help="their page-scoped ID")
    parser.add_argument("--page", metavar="ID", help="only of this Page")
    parser.add_argument("--bot", metavar="NAME", help="only of this bot")
    return parser


def _limit(parser: ArgumentParser, default: int) -> None:
    parser.add_argument(
        "--limit",
        metavar="N",
        type=_count,
        default=default,
        help=f"the most of each kind, 1 to {MOST} (%(default)s)",
    )


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST):
        raise ArgumentTypeError(f"a number from 1 to {MOST}")
    return int(text)


def _id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
        raise ArgumentTypeError("an ID as `queue list` shows it")
    return text


def seconds(text: str) -> int:
    """
    Read a time such as ``90s`` or ``30m``, in seconds.

    :raises ArgumentTypeError: where it is none.
    """
    named = re.fullmatch(r"([0-9]{1,8})([smhd])", text)
    count = 0 if named is None else int(named[1]) * _UNITS[named[2]]
    if not 1 <= count <= _LONGEST:
        raise ArgumentTypeError("a time such as 90s, 30m, 2h or 7d, at most 366d")
    return count
