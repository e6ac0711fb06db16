"""
The daemon as a process of its own, started as an operator starts it.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import treq
import yaml
from attrs import define, field
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, TimeoutError, succeed
from twisted.internet.error import ConnectError, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.client import RequestTransmissionFailed, ResponseFailed

from micamsgr.sandbox.journal import Applied, Wrote
from micamsgr.sandbox.meta import Page
from tests import oracle
from tests.planted import shown
from tests.ports import free_port
from tests.stand_ins import LLM_KEY, Client, StandIns

reactor: Any = _reactor

#: What Meta must know for its verification to be answered.
VERIFY_TOKEN = "verify-token"

# What only programmers read: Python's own spelling of objects, enumerations,
# exceptions, bytes, tables and lists of text.
_FOR_PROGRAMMERS = re.compile(
    r"\b[A-Z]\w*\((\w+=|'|\"|\))|<[\w.]+: |<[\w.]+ object|\bb'|\{'|\[['(]|\('|\bNone\b"
)

#: How messages are sent where doubts are to be over soon.
DELIVERY = {
    "rate": 0,
    "deadline": 1,
    "quarantine": 2,
    "lookup_lag": 1,
    "lookup_rate": 1000,
}

_ROOT = Path(__file__).resolve().parent.parent

# Runs a command as systemd does with sockets, which are open from number 3 on.
_HANDED_OVER = (
    "import os, sys;"
    "os.environ['LISTEN_PID'] = str(os.getpid());"
    "os.environ['LISTEN_FDS'] = str(len(sys.argv[1].split(':')));"
    "os.environ['LISTEN_FDNAMES'] = sys.argv[1];"
    "os.execv(sys.argv[2], sys.argv[2:])"
)

_NOT_YET = (ConnectError, RequestTransmissionFailed, ResponseFailed, TimeoutError)

# Seconds between two looks at whether the daemon is ready.
_POLL = 0.05

# And how long one of them may take.
_ATTEMPT = 5.0


@cache
def admin_port(port: int) -> int:
    """
    Find where a daemon shows its pages for the operator that takes notifications
    at *port*.
    """
    return free_port()


def callback(port: int, bot_name: str = "mica") -> str:
    """
    Tell where the daemon takes notifications.
    """
    return f"http://127.0.0.1:{port}/v1/facebook/webhook/{bot_name}"


def configuration(
    stand_ins: StandIns, page: Page, port: int, **changes: Any
) -> dict[str, Any]:
    """
    Make a configuration by which the daemon serves a Page of the stand-ins.

    :param port: where it takes notifications.
    :param changes: further keys; those of a section are added to it.
    """
    document: dict[str, Any] = {
        "bot_name": "mica",
        "llm_config": {
            "headers": {"Authorization": LLM_KEY},
            "server": stand_ins.llm_url,
        },
        "facebook": {
            "verify_token": VERIFY_TOKEN,
            "page_access_token": page.token,
            "secret": page.app.secret,
            "graph_url": stand_ins.graph_url,
        },
        "listen": f"tcp:{port}:interface=127.0.0.1",
        "store": "sqlite:mica.db",
        "admin": {"listen": f"tcp:{admin_port(port)}:interface=127.0.0.1"},
    }
    for key, value in changes.items():
        if isinstance(document.get(key), dict) and isinstance(value, dict):
            document[key].update(value)
        else:
            document[key] = value
    return document


def _twistd() -> list[str]:
    script = Path(sys.executable).parent / "twistd"
    if script.exists():
        return [sys.executable, str(script)]
    return [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]


@define(eq=False)
class Daemon(ProcessProtocol):
    """
    One process of the daemon; make another to start it again.

    :ivar directory: where it runs, and keeps its configuration and store.
    :ivar port: where it takes notifications, by plain HTTP.
    :ivar configuration: written when it is started; empty: there is one.
    :ivar starter: the words of a command that runs the command after it.
    :ivar sockets: by name, those that it is handed over as systemd does.
    """

    directory: Path
    port: int
    configuration: dict[str, Any]
    starter: Sequence[str] = ()
    sockets: Mapping[str, socket.socket] = field(factory=dict)

    _output: list[bytes] = field(factory=list, init=False)
    _errors: list[bytes] = field(factory=list, init=False)
    _process: Any = field(default=None, init=False)
    # Negative: the signal that ended it.
    _status: int | None = field(default=None, init=False)
    _awaited: list[Deferred[int]] = field(factory=list, init=False)

    def start(self) -> None:
        """Write the configuration, and start."""
        file = self.directory.resolve() / "mica.yaml"
        if self.configuration:
            file.write_text(yaml.safe_dump(self.configuration), encoding="utf-8")
        ours = {"PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1"}
        environment = {**os.environ, **ours}
        for name in ("STATE_DIRECTORY", "OPENAI_API_KEY"):
            environment.pop(name, None)
        twistd = [*_twistd(), "-n", "micamessenger", "--config", str(file)]
        command = [*self.starter, *twistd]
        files: dict[int, int | str] = {0: "w", 1: "r", 2: "r"}
        if self.sockets:
            names = ":".join(self.sockets)
            command = [sys.executable, "-c", _HANDED_OVER, names, *command]
            numbers = [held.fileno() for held in self.sockets.values()]
            files.update(enumerate(numbers, 3))
        self._process = reactor.spawnProcess(
            self,
            command[0],
            command,
            env=environment,
            path=str(self.directory),
            childFDs=files,
        )

    async def ready(self, seconds: float = 20.0) -> None:
        """
        Wait until it answers HTTP.

        :raises AssertionError: with its output, where it exits first or does
            not answer in time.
        """
        client = Client(reactor)
        deadline = reactor.seconds() + seconds
        while reactor.seconds() < deadline:
            if self._status is not None:
                raise AssertionError(f"exited with {self._status}:\n{self.output}")
            try:
                url = f"http://127.0.0.1:{self.port}/"
                await client.get(url).addTimeout(_ATTEMPT, reactor)
            except _NOT_YET:
                await deferLater(reactor, _POLL)
            else:
                return
        raise AssertionError(f"not ready in {seconds} s:\n{self.output}")

    @property
    def output(self) -> str:
        """What it wrote so far."""
        return b"".join(self._output).decode("utf-8", "replace")

    @property
    def errors(self) -> str:
        """What of it went to standard error."""
        return b"".join(self._errors).decode("utf-8", "replace")

    @property
    def database(self) -> Path:
        """Its store."""
        return self.directory / "mica.db"

    @property
    def pid(self) -> int:
        """Its process ID, while it runs."""
        return int(self._process.pid)

    @property
    def exited(self) -> Deferred[int]:
        """
        Fires when it has exited, with its status, or less than 0: the signal.
        """
        if self._status is not None:
            return succeed(self._status)
        self._awaited.append(Deferred())
        return self._awaited[-1]

    def kill(self) -> None:
        """Let it die at once, if it hasn't."""
        self.signal("KILL")

    def terminate(self) -> None:
        """Ask it to stop, if it hasn't."""
        self.signal("TERM")

    def signal(self, name: str) -> None:
        """Send it a signal, such as ``INT``, if it hasn't died."""
        with suppress(ProcessExitedAlready):
            self._process.signalProcess(name)

    async def shown(self) -> list[tuple[str, str]]:
        """
        Read what it shows to whoever looks, if it lives: the pages for the
        operator, and its command line.
        """
        if self._process is None or self._status is not None:
            return []
        found = []
        with suppress(OSError):
            line = Path(f"/proc/{self.pid}/cmdline").read_bytes()
            found.append(("the list of processes", line.decode("utf-8", "replace")))
        admin = str(self.configuration.get("admin", {}).get("listen", ""))
        port = re.match(r"tcp:(\d+)", admin)
        if port is None:
            return found
        for page in ("metrics", "readyz", "healthz"):
            url = f"http://127.0.0.1:{port[1]}/{page}"
            with suppress(*_NOT_YET):
                answer = await treq.get(url, timeout=_ATTEMPT, persistent=False)
                found.append((f"/{page}", await answer.text()))
        return found

    async def stop(self) -> None:
        """
        Kill it, and wait until it is gone; for a test's clean-up.
        """
        if self._process is not None:
            self.kill()
            await self.exited

    def outReceived(self, data: bytes) -> None:
        self._output.append(data)

    def errReceived(self, data: bytes) -> None:
        self._output.append(data)
        self._errors.append(data)

    def processEnded(self, reason: Failure) -> None:
        ended: Any = reason.value
        self._status = -ended.signal if ended.signal else ended.exitCode
        awaited, self._awaited = self._awaited, []
        for exited in awaited:
            exited.callback(self._status)


async def eventually(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """
    Look until something is so that nobody tells of.

    :raises AssertionError: where it is not so in time.
    """
    deadline = reactor.seconds() + seconds
    while not condition():
        if reactor.seconds() > deadline:
            raise AssertionError(f"not so in {seconds} s")
        await deferLater(reactor, _POLL)


class DaemonCase(TestCase):
    """
    A Page of the stand-ins, and a daemon that serves it.

    After each test the oracle is asked about what is left; and the daemon's log,
    its pages for the operator, what commands printed, and the command lines of
    processes are searched for secrets and for what people wrote and were told.

    :ivar seed: of all that the stand-ins leave to chance.
    :ivar judged: whether there is a store for the oracle to look at.
    :ivar texts: whether the log may hold what people write.
    """

    timeout = 90
    seed = 0
    judged = True
    texts = False

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.daemons: list[Daemon] = []
        # Where something was shown, and what: to be searched in the end.
        self.places: list[tuple[str, str]] = []
        self.stand_ins = StandIns(reactor, self.seed)
        self.stand_ins.start()
        self.addCleanup(self.stand_ins.stop)
        self.addCleanup(self._look_back)
        self.port = free_port()
        self.page = self.stand_ins.open_page(callback(self.port))

    def daemon(self, starter: Sequence[str] = (), **changes: Any) -> Daemon:
        """
        Make a daemon, and don't start it.

        :param changes: as for :func:`configuration`.
        """
        wanted = configuration(self.stand_ins, self.page, self.port, **changes)
        daemon = Daemon(self.directory, self.port, wanted, starter)
        self.daemons.append(daemon)
        return daemon

    async def serve(self, starter: Sequence[str] = (), **changes: Any) -> Daemon:
        """
        Start a daemon, and wait until it is ready.
        """
        daemon = self.daemon(starter, **changes)
        daemon.start()
        await daemon.ready()
        return daemon

    def write(self, psid: str, text: str, **more: object) -> str:
        """
        Let a person write to the Page.

        :return: the message's mid.
        """
        return self.stand_ins.meta.message(self.page.id, psid, text, **more)

    async def said(self, psid: str, count: int = 1, seconds: float = 20.0) -> list[str]:
        """
        Wait until so many messages have reached a person.
        """
        await self.stand_ins.until(
            lambda: len(self.stand_ins.said(psid)) >= count, seconds
        )
        return self.stand_ins.said(psid)

    def kept(self, query: str, *values: object) -> list[oracle.Row]:
        """
        Look into the store.
        """
        return oracle.rows(self.directory / "mica.db", query, *values)

    async def settled(self, seconds: float = 20.0) -> None:
        """
        Wait until the daemon has nothing left to do.
        """
        database = self.directory / "mica.db"
        await eventually(lambda: not oracle.unfinished(database), seconds)

    async def _look_back(self) -> None:
        for daemon in self.daemons:
            self.places += await daemon.shown()
            await daemon.stop()
        # Space that nobody needs any more.
        for ballast in self.directory.rglob("*.ballast"):
            ballast.unlink()
        for daemon in self.daemons:
            self.assertNotIn("Traceback", daemon.output)
            self.assertNotRegex(daemon.output, _FOR_PROGRAMMERS)
            self.places.append(("the log", daemon.output))
        self.assertEqual(shown(self.secrets(), self.places), [])
        if self.judged:
            found = oracle.complaints(
                self.stand_ins.journal, self.directory / "mica.db"
            )
            self.assertEqual(found, [])

    def secrets(self) -> set[str]:
        """
        List what must be shown nowhere.
        """
        journal = self.stand_ins.journal
        wrote = {text.text for text in journal.of(Wrote)}
        said = {text.text for text in journal.of(Applied)}
        pages = self.stand_ins.meta.pages.values()
        keys = {LLM_KEY.removeprefix("Bearer "), VERIFY_TOKEN}
        keys |= {page.token for page in pages} | {page.app.secret for page in pages}
        return keys | (set() if self.texts else {it for it in wrote | said if it})
