"""
``micamessenger setup``: its command line, its terminal, and its end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from attrs import frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import react

from micamsgr.config.document import ConfigError
from micamsgr.httpcall import HTTPCaller, outbound_client

from . import questions
from .dashboard import OwnPage
from .failing import Failed, GivenUp
from .planning import File, taken_over
from .questions import Question, Unfit
from .reading import daemon_of
from .steps import SERVICES_FILE, Setup
from .talking import Talk
from .terminal import Terminal
from .writing import read

_WAIT = 600.0
_CONNECTIONS = 4

# By answer, what names the file that holds it, and what holds it itself.
_SECRET = {
    "app_secret": ("app_secret_file", (questions.APP_SECRET,)),
    "token": ("token_file", (questions.TOKEN,)),
    "llm_key": ("llm_key_file", (questions.LLM_KEY, "OPENAI_API_KEY")),
}
_SECRET_QUESTIONS = {
    "app_secret": questions.APP_SECRET_,
    "token": questions.TOKEN_,
    "llm_key": questions.LLM_KEY_,
}
_PLAIN = (
    "public_url",
    "bot",
    "app_id",
    "page",
    "llm_server",
    "llm_model",
    "llm_header",
    "certificate",
    "private_key",
    "listen",
    "graph_url",
    "api_version",
)


def add_command(commands: Any) -> None:
    """
    Add it to the command lines that there are.
    """
    setup: ArgumentParser = commands.add_parser(
        "setup",
        allow_abbrev=False,
        help="from nothing to a Page on which people are answered",
        description="Ask for what is needed, or take it from the command line; get a"
        " token that lasts, and choose the Page; write the configuration; wait for the"
        " daemon; tell Meta where to deliver; and check all of it. It can be repeated:"
        " what is so already it leaves.",
        epilog="Secrets are never on the command line, which others see: they are"
        f" typed, unseen, or in the variables {questions.APP_SECRET},"
        f" {questions.TOKEN} and {questions.LLM_KEY}, or in files. Exit status: 0 if"
        " the Page is live, 1 if not, 2 for a wrong command line.",
    )
    setup.add_argument(
        "--config",
        "-c",
        metavar="FILE",
        default=os.environ.get("MICA_CONFIG", "mica.yaml"),
        help="the configuration file (%(default)s; or what MICA_CONFIG names)",
    )
    _add(setup, "--public-url", "URL", "where Meta reaches it", questions.public_url)
    _add(setup, "--bot", "NAME", "the bot's name (mica)", questions.BOT.read)
    _add(setup, "--app-id", "ID", "of the app at Meta", questions.APP_ID.read)
    setup.add_argument("--app-secret-file", metavar="FILE", help="the app's secret")
    setup.add_argument("--token-file", metavar="FILE", help="a user's or Page's token")
    _add(setup, "--page", "ID", "if the token is for several", questions.PAGE.read)
    _add(
        setup,
        "--llm-server",
        "URL",
        "the LLM's server, or demo",
        questions.llm_server,
    )
    _add(setup, "--llm-model", "NAME", "its model", questions.LLM_MODEL.read)
    _add(
        setup,
        "--llm-header",
        "NAME",
        "carries its key (Authorization)",
        questions.LLM_HEADER.read,
    )
    setup.add_argument("--llm-key-file", metavar="FILE", help="its key")
    _add(setup, "--listen", "ENDPOINT", "for plain HTTP", questions.listen)
    for option in ("--certificate", "--private-key"):
        _add(setup, option, "FILE", "for TLS", questions.CERTIFICATE.read)
    setup.add_argument(
        "--secrets",
        metavar="DIRECTORY",
        help="keep secrets there, in files of their own",
    )
    _add(setup, "--graph-url", "URL", "of the Graph API", questions.graph_url)
    _add(setup, "--api-version", "VERSION", "of it", questions.api_version)
    setup.add_argument(
        "--wait",
        metavar="SECONDS",
        type=_seconds,
        default=_WAIT,
        help="for the daemon (%(default)g)",
    )
    setup.add_argument(
        "--yes",
        action="store_true",
        help="change a configuration, or an app's webhook, that is there",
    )
    setup.set_defaults(command=None, begin=run)


def _add(
    to: ArgumentParser, option: str, metavar: str, text: str, read: Callable[[str], str]
) -> None:
    def typed(given: str) -> str:
        try:
            return read(given)
        except Unfit as why:
            raise ArgumentTypeError(str(why)) from None

    to.add_argument(option, metavar=metavar, type=typed, help=text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= 86400.0:
        raise ArgumentTypeError("expected seconds, from 0 to 86400")
    return seconds


@frozen
class Known:
    """
    The answers that are known before anything is asked.

    :ivar file: the configuration as it is.
    """

    answers: dict[str, str]
    file: File


def known(given: Namespace, environ: Mapping[str, str]) -> Known:
    """
    Gather what the command line, the environment and the configuration tell;
    the former come first.

    :raises Failed: something can't be read.
    """
    path = Path(given.config).absolute()
    try:
        file = File(path, read(path).decode(), environ)
        answers = taken_over(file)
    except OSError as error:
        why = f"{path} can't be read: {error.strerror}"
        raise Failed(why=why, todo="see who may read it") from None
    except (UnicodeDecodeError, ConfigError) as error:
        why = str(error) if isinstance(error, ConfigError) else f"{path} is not UTF-8"
        raise Failed(why=why, todo="mend it, or move it away") from None
    told = {name: getattr(given, name) for name in _PLAIN}
    answers |= {name: it for name, it in told.items() if it is not None}
    for name, (option, variables) in _SECRET.items():
        question = _SECRET_QUESTIONS[name]
        held = getattr(given, option)
        if held is not None:
            answers[name] = _fit(question, _content(held), f"the file {held}")
            continue
        for variable in variables:
            # That one is others', too: it changes nothing that is there.
            foreign = variable == "OPENAI_API_KEY" and name in answers
            if environ.get(variable) and not foreign:
                text = environ[variable]
                answers[name] = _fit(question, text, f"the variable {variable}")
                break
    return Known(answers, file)


def _content(name: str) -> str:
    try:
        return Path(name).read_text("utf-8")
    except OSError as error:
        why = f"{name} can't be read: {error.strerror}"
        raise Failed(
            why=why, todo="see whether it is there, and who may read it"
        ) from None
    except UnicodeDecodeError:
        raise Failed(why=f"{name} is not text", todo="look what it is") from None


def _fit(question: Question, text: str, where: str) -> str:
    try:
        return question.read(text)
    except Unfit as why:
        raise Failed(
            why=f"{question.asked}: {why} (from {where})",
            todo="put the right one there",
        ) from None


def how_to_start(path: Path) -> str:
    """
    Say how the daemon is started, or told to read its configuration.
    """
    service = (
        "systemctl enable --now micamessenger.service\n      systemctl enable --now"
        " micamessenger.socket micamessenger.service   # with `tls:`"
    )
    alone = f"{_beside('twistd')} -n micamessenger --config {path}"
    first, otherwise, second = (
        (service, "without a service", alone)
        if str(path) == SERVICES_FILE
        else (alone, "where `make install` made a service of it", service)
    )
    return (
        f"  Start it now, in another terminal:\n      {first}\n"
        f"  or, {otherwise}:\n      {second}\n"
        "  or, if it runs already, let it read the configuration:\n"
        f"      {how_to_reload(path)}"
    )


def how_to_reload(path: Path) -> str:
    """
    Give the command by which the daemon reads its configuration.
    """
    if str(path) == SERVICES_FILE:
        return "systemctl reload micamessenger"
    return f"{_beside('micamessenger')} reload --config {path}"


def _beside(program: str) -> str:
    """
    Give the path of another program that was installed with this one.
    """
    beside = Path(sys.executable).parent / program
    return str(beside) if beside.is_file() else program


def run(
    given: Namespace, environ: Mapping[str, str], out: TextIO, input_number: int = 0
) -> int:
    """
    Set up, and check.

    :param input_number: the file descriptor where answers are typed.

    :return: 0 if the Page is live, 1 if not.
    """
    try:
        found = known(given, environ)
    except Failed as failed:
        out.write(f"{failed.why}. To do: {failed.todo}.\n")
        return 1
    page: OwnPage | None = None

    async def steps(reactor: Any, talk: Talk) -> None:
        nonlocal page
        client, pool = outbound_client(reactor, connections=_CONNECTIONS)
        caller = HTTPCaller(reactor, client.request)
        setup = Setup(
            reactor=reactor,
            call=caller.call,
            daemon=daemon_of(reactor, found.file.path, environ),
            wall=time.time,
            talk=talk,
            file=found.file,
            apart=None if given.secrets is None else Path(given.secrets).absolute(),
            agreed=given.yes,
            wait=given.wait,
            start=how_to_start(found.file.path),
            reload=how_to_reload(found.file.path),
        )
        try:
            page = await setup.run()
        except (GivenUp, CancelledError):
            how = "Interrupted" if talk.ended else "Not done"
            talk.say(f"\n{how}. What was done stays; run setup again to go on.")
        await pool.closeCachedConnections()

    def begin(reactor: Any) -> Deferred[None]:
        talk = Talk(Terminal(reactor, input_number, out), found.answers)
        running = Deferred.fromCoroutine(steps(reactor, talk))

        def end() -> None:
            talk.ended = True
            # Whoever types something unseen is to see again what they type.
            running.cancel()

        reactor.addSystemEventTrigger("before", "shutdown", end)
        return running

    try:
        react(begin)
    except SystemExit as leaving:
        if leaving.code:
            return 1
    if page is None:
        return 1
    # A script has nobody who would write.
    watch = os.isatty(input_number) and not given.yes
    return _end(found.file.path, page, out, watch)


def _end(path: Path, page: OwnPage, out: TextIO, watch: bool) -> int:
    """
    Check all of it, in a process of its own: this one's reactor has stopped.

    :param watch: wait for somebody to write, too.
    """
    out.write("\nSet up. Now all of it is checked:\n\n")
    out.flush()
    check = ["check", "--config", str(path), *(["--watch"] if watch else [])]
    # The same modules, and none that lie about in the working directory.
    code = (
        f"import sys; sys.path[:] = {sys.path!r};"
        " from micamsgr.cli import main; sys.exit(main())"
    )
    # Ctrl-C is meant for the check, which tells by its status.
    status = _call([sys.executable, "-c", code, *check])
    if status not in (0, 1):
        out.write("\nSomething is not as it should be yet: see what failed above.\n")
        return 1
    out.write(f"\n{page.name} is live. Write to it: https://m.me/{page.id}\n")
    out.write(
        "While the app is in development mode, only people with a role on it are"
        " answered.\n"
    )
    return 0


def _call(command: list[str]) -> int:
    with subprocess.Popen(command) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue
