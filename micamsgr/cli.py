"""
``micamessenger``: what an operator does beside running the daemon.

A line for each command; the work is where the subject is.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

from attrs import asdict, frozen

from . import __version__
from .check.command import run as run_check
from .check.watch import PATIENCE
from .config import load_config, load_store, usual_file
from .config.document import ConfigError
from .control.arguments import add_commands, seconds
from .setup.command import add_command as add_setup
from .store.erasure import PSID, Person
from .store.forget_command import run_and_tell as forget_person


def parser() -> ArgumentParser:
    """
    Make what reads the command line.
    """
    top = ArgumentParser(
        prog="micamessenger",
        description="What is to be done beside running the daemon, which is started"
        " by `twistd -n micamessenger`.",
        epilog="Begin with setup. Exit status: 0 if it was done, 1 if not, 2 for a"
        " wrong command line."
        " Of check: 0 if all is well, 1 for warnings, 2 if something failed.",
    )
    top.add_argument("--version", action="version", version=__version__)
    common = ArgumentParser(add_help=False)
    common.add_argument(
        "--config",
        "-c",
        metavar="FILE",
        default=usual_file(os.environ),
        help="the configuration file (what MICA_CONFIG names; else mica.yaml here,"
        " or etc/mica.yaml)",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    add_setup(commands)
    add_commands(commands, common, _psid)
    forget = commands.add_parser(
        "forget",
        parents=[common],
        help="erase what is kept of one person",
        description="Erase what one person wrote and was told, and who they are,"
        " whether the daemon runs or not. What they have not been answered stays"
        " unanswered. Meta keeps what it has.",
    )
    forget.add_argument("psid", metavar="PSID", type=_psid, help="their page-scoped ID")
    forget.add_argument("--page", metavar="ID", type=_page, help="only of this Page")
    forget.add_argument("--bot", metavar="NAME", help="only of this bot")
    forget.add_argument("--json", action="store_true", help="for programs to read")
    forget.set_defaults(command=_forget)
    check = commands.add_parser(
        "check",
        parents=[common],
        help="find out what is wrong",
        description="Ask everything that can be wrong: the configuration, this"
        " machine, the token, Meta's subscriptions, the webhook as Meta sees it, the"
        " LLM. A line for each, with what to do. Whether the daemon runs or not;"
        " nothing is changed.",
    )
    check.add_argument("--json", action="store_true", help="for programs")
    check.add_argument(
        "--watch",
        action="store_true",
        help="then wait until somebody writes to the Page, and tell what becomes of it",
    )
    check.add_argument(
        "--for",
        dest="seconds",
        metavar="TIME",
        type=seconds,
        help="with --watch: how long, such as 90s or 10m (5m)",
    )
    check.set_defaults(command=None, begin=_check)
    top.set_defaults(command=_operate)
    return top


def _page(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise ArgumentTypeError("a Page's ID has digits only")
    return text


def _psid(text: str) -> str:
    if not re.fullmatch(PSID, text):
        raise ArgumentTypeError("a page-scoped ID has digits only")
    return text


def _forget(given: Namespace) -> tuple[int, str]:
    config = load_config(Path(given.config), os.environ)
    bots = [bot.name for bot in config.bots]
    if given.bot is not None and given.bot not in bots:
        return 1, f"no bot of {given.config} is named {given.bot}: {', '.join(bots)}"
    pages = tuple(
        (bot.name, bot.facebook.page_id)
        for bot in config.bots
        if bot.facebook.page_id is not None
    )
    person = Person(psid=given.psid, page=given.page, bot=given.bot, pages=pages)
    status, line, done = forget_person(config.store, person)
    if given.json and status == 0 and done is not None:
        return 0, json.dumps(asdict(done), indent=2, sort_keys=True)
    return status, line


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Do what the command line says.

    Where whoever reads what is printed goes away, as ``head -1`` does, the
    process ends at once and quietly, by SIGPIPE.

    :param arguments: by default, those of the process.

    :return: the exit status.
    """
    out, errors = (_Piped(stream) for stream in (sys.stdout, sys.stderr))
    with redirect_stdout(cast(TextIO, out)), redirect_stderr(cast(TextIO, errors)):
        try:
            return _main(arguments)
        finally:
            # At the interpreter's end it is too late to be quiet.
            out.flush()


def _main(arguments: Sequence[str] | None) -> int:
    reading = parser()
    given = reading.parse_args(arguments)
    if given.command is None:
        if getattr(given, "seconds", None) is not None and not given.watch:
            reading.error("--for needs --watch")
        # It tells of the configuration's faults itself.
        begin: Callable[[Namespace, Mapping[str, str], TextIO], int] = given.begin
        return begin(given, os.environ, sys.stdout)
    try:
        command: Callable[[Namespace], tuple[int, str]] = given.command
        status, line = command(given)
    except ConfigError as error:
        status, line = 1, str(error)
    as_json = getattr(given, "json", False)
    if as_json and not line.startswith("{"):
        line = json.dumps({"error": line})
    _print(sys.stderr if status and not as_json else sys.stdout, line)
    return status


def _check(given: Namespace, environ: Mapping[str, str], out: TextIO) -> int:
    return run_check(
        Path(given.config),
        environ,
        out,
        as_json=given.json,
        patience=float(given.seconds or PATIENCE) if given.watch else None,
    )


def _operate(given: Namespace) -> tuple[int, str]:
    given.program = __version__
    # Nothing else of the file is needed, and it may be what is wrong.
    store = load_store(Path(given.config), os.environ)
    status, text = given.operate(given, store)
    return int(status), str(text)


def _print(stream: TextIO, text: str) -> None:
    # What people wrote may be more than the terminal can show.
    encoding = stream.encoding or "utf-8"
    shown = text.encode(encoding, "backslashreplace").decode(encoding)
    stream.write(f"{shown}\n")


@frozen
class _Piped:
    """
    A stream that may be a pipe, and its reader gone.

    Python ignores SIGPIPE, and so must a program that writes to sockets: so it
    is only for this stream that the process ends by it.
    """

    _stream: TextIO

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            _end_by_pipe()
            raise

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            _end_by_pipe()
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _end_by_pipe() -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
