"""
``micamessenger``: what an operator does beside running the daemon.

A line for each command; the work is where the subject is.
"""

from __future__ import annotations

import os
import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from pathlib import Path

from .check.command import run as run_check
from .config import load_config
from .config.document import ConfigError
from .config.values import Config
from .store.erasure import PSID, Person
from .store.forgetting import run as forget_person


def parser() -> ArgumentParser:
    """
    Make what reads the command line.
    """
    top = ArgumentParser(
        prog="micamessenger",
        description="What is to be done beside running the daemon, which is started"
        " by `twistd -n micamessenger`.",
        epilog="Exit status: 0 if it was done, 1 if not, 2 for a wrong command line."
        " Of check: 0 if all is well, 1 for warnings, 2 if something failed.",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    forget = commands.add_parser(
        "forget",
        help="erase what is kept of one person",
        description="Erase what one person wrote and was told, and who they are,"
        " whether the daemon runs or not. What they have not been answered stays"
        " unanswered. Meta keeps what it has.",
    )
    forget.add_argument("psid", metavar="PSID", type=_psid, help="their page-scoped ID")
    forget.add_argument("--page", metavar="ID", type=_page, help="only of this Page")
    forget.add_argument("--bot", metavar="NAME", help="only of this bot")
    _add_config(forget)
    forget.set_defaults(command=_forget)
    check = commands.add_parser(
        "check",
        help="find out what is wrong",
        description="Ask everything that can be wrong: the configuration, this"
        " machine, the token, Meta's subscriptions, the webhook as Meta sees it, the"
        " LLM. A line for each, with what to do. Whether the daemon runs or not;"
        " nothing is changed.",
    )
    _add_config(check)
    check.add_argument("--json", action="store_true", help="for programs")
    check.set_defaults(command=None)
    return top


def _add_config(command: ArgumentParser) -> None:
    command.add_argument(
        "--config",
        "-c",
        metavar="FILE",
        default="etc/mica.yaml",
        help="the configuration file (%(default)s)",
    )


def _page(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise ArgumentTypeError("a Page's ID has digits only")
    return text


def _psid(text: str) -> str:
    if not re.fullmatch(PSID, text):
        raise ArgumentTypeError("a page-scoped ID has digits only")
    return text


def _forget(given: Namespace, config: Config) -> tuple[int, str]:
    bots = [bot.name for bot in config.bots]
    if given.bot is not None and given.bot not in bots:
        return 1, f"no bot of {given.config} is named {given.bot}: {', '.join(bots)}"
    pages = tuple(
        (bot.name, bot.facebook.page_id)
        for bot in config.bots
        if bot.facebook.page_id is not None
    )
    person = Person(psid=given.psid, page=given.page, bot=given.bot, pages=pages)
    return forget_person(config.store, person)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Do what the command line says.

    :param arguments: by default, those of the process.

    :return: the exit status.
    """
    given = parser().parse_args(arguments)
    if given.command is None:
        # It tells of the configuration's faults itself.
        return run_check(Path(given.config), os.environ, sys.stdout, as_json=given.json)
    try:
        config = load_config(Path(given.config), os.environ)
    except ConfigError as error:
        status, line = 1, str(error)
    else:
        status, line = given.command(given, config)
    stream = sys.stderr if status else sys.stdout
    stream.write(f"{line}\n")
    return status
