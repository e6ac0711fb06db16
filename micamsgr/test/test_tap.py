"""
Tests for :mod:`micamsgr.tap`: how the parts come together, start and stop.
"""

from __future__ import annotations

import queue
import sqlite3
import sys
import threading
import time
from contextlib import closing
from functools import partial
from io import StringIO
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

from twisted.application.service import (
    Application,
    IService,
    IServiceCollection,
    MultiService,
)
from twisted.internet import reactor as twisted_reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.clock import Clocks
from micamsgr.composition import build
from micamsgr.config import load_config
from micamsgr.services import Listener
from micamsgr.store.forgetting import Forgetting
from micamsgr.store.service import StoreService
from micamsgr.store.sweeping import Sweeping
from micamsgr.systemd import Notifying
from micamsgr.tap import Daemon, Options, makeService
from micamsgr.watching import Watching

from .test_site import Peer
from .test_webhook import entry, message, notification, post

SECRETS = {
    "verify": "secret-verify-token",
    "token": "secret-page-access-token",
    "secret": "3f1d9c0b7a6e4825b1c0d9e8f7a6b5c4",
    "authorization": "Bearer secret-llm-token",
    "fallback": "secret-fallback-key",
}
CONFIG = """
bot_name: mica
llm_config:
  server: http://llm.example:8091
  headers:
    Authorization: {authorization}
  fallbacks:
    - server: http://fallback.example
      api_key: {fallback}
facebook:
  verify_token: {verify}
  page_access_token: {token}
  secret: {secret}
  graph_url: http://graph.example:8092
store: sqlite:mica.db
listen: [tcp:8080:interface=127.0.0.1, tcp:8081:interface=127.0.0.1]
"""


class Reactor(MemoryReactorClock):
    """
    A reactor in memory, to which threads can hand over.

    :ivar refuses: the ports on which nobody can listen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refuses: set[int] = set()
        self._calls: queue.Queue[Any] = queue.Queue()

    def callFromThread(self, call: Any, *arguments: Any) -> None:  # noqa: N802
        self._calls.put((call, arguments))

    def listenTCP(  # noqa: N802
        self, port: int, *arguments: Any, **more: Any
    ) -> Any:
        if port in self.refuses:
            raise CannotListenError("", port, OSError(98, "Address already in use"))
        return super().listenTCP(port, *arguments, **more)

    def turn(self) -> None:
        """
        Wait for a thread, and do what it hands over.
        """
        call, arguments = self._calls.get(timeout=10.0)
        call(*arguments)


class DaemonCase(SynchronousTestCase):
    """
    A daemon on a reactor in memory, and a store in a file.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.errors = StringIO()
        self.patch(sys, "__stderr__", self.errors)
        self.reactor = Reactor()

    def write(self, more: str = "", **changes: str) -> Path:
        """
        Write a configuration file.

        :param changes: of its secrets.
        """
        path = self.directory / "mica.yaml"
        path.write_text(CONFIG.format(**SECRETS | changes) + more)
        return path

    def build(self, more: str = "") -> Daemon:
        """
        Build a daemon.
        """
        config = load_config(self.write(more), {})
        daemon = Daemon(None)
        for service in build(self.reactor, config, Clocks("first boot")):
            service.setServiceParent(daemon)
        return daemon

    def start(self, more: str = "") -> Daemon:
        """
        Start a daemon, and stop it after the test.
        """
        daemon = self.build(more)
        daemon.startService()
        self.addCleanup(self.stop, daemon)
        return daemon

    def stop(self, daemon: Daemon) -> None:
        """
        Stop a daemon, and wait for as long as it waits for others.
        """
        if daemon.running:
            stopping: Deferred[None] = daemon.stopService()
            self.reactor.advance(10.0)
            while not stopping.called:
                self.turn()

    def turn(self) -> None:
        """
        Let the store do something.
        """
        self.reactor.advance(0.0)
        self.reactor.turn()

    def complaint(self) -> str:
        """
        Give the one line on standard error.
        """
        (line,) = self.errors.getvalue().splitlines()
        return line


class OptionsTests(DaemonCase):
    """
    Tests for the command line.
    """

    def options(self, path: Path, **parent: Any) -> Any:
        """
        Parse the command line that names a configuration file.
        """
        options: Any = Options()
        options.parent = parent
        options.parseOptions(["--config", str(path)])
        return options

    def test_config(self) -> None:
        """
        The configuration is read from the file that is named.
        """
        options = self.options(self.write(), nodaemon=True)
        self.assertEqual(options.config.bots[0].name, "mica")
        self.assertEqual(self.errors.getvalue(), "")

    def test_no_pid_file(self) -> None:
        """
        No pid file is written, whichever is asked for.
        """
        options = self.options(self.write(), nodaemon=True, pidfile="twistd.pid")
        self.assertEqual(options.parent["pidfile"], "")

    def test_background(self) -> None:
        """
        Without -n, one line says what to do, and the status is 1.
        """
        leaving = self.assertRaises(
            SystemExit, self.options, self.write(), nodaemon=False
        )
        self.assertEqual(leaving.code, 1)
        self.assertIn("only `twistd -n micamessenger`", self.complaint())

    def test_faults(self) -> None:
        """
        Each fault of the configuration is a line on standard error, with its
        place and without any secret, and the status is 1.
        """
        path = self.write("nonsense: 1\nlog: {level: loud}\n", verify="")
        leaving = self.assertRaises(SystemExit, self.options, path, nodaemon=True)
        self.assertEqual(leaving.code, 1)
        lines = self.errors.getvalue().splitlines()
        self.assertEqual(len(lines), 3, lines)
        for line in lines:
            self.assertTrue(line.startswith(str(path)), line)
        for secret in SECRETS.values():
            self.assertNotIn(secret, self.errors.getvalue())

    def test_no_file(self) -> None:
        """
        A file that isn't there is one line.
        """
        path = self.directory / "none.yaml"
        leaving = self.assertRaises(SystemExit, self.options, path, nodaemon=True)
        self.assertEqual(leaving.code, 1)
        self.assertIn("No such file", self.complaint())


class MakeServiceTests(DaemonCase):
    """
    Tests for what twistd is given.
    """

    def setUp(self) -> None:
        super().setUp()
        reactor: Any = twisted_reactor
        self.patch(reactor, "seconds", reactor.seconds)

    def make(self, **parent: Any) -> Any:
        """
        Make the service as twistd does.
        """
        options: Any = Options()
        options.parent = {"nodaemon": True} | parent
        options.parseOptions(["-c", str(self.write())])
        return makeService(options)

    def test_nothing_opened(self) -> None:
        """
        Making the service opens no file, no port and no thread.
        """
        reactor: Any = twisted_reactor
        before = (reactor.getReaders(), reactor.getDelayedCalls())
        threads = threading.active_count()
        self.assertTrue(IService.providedBy(self.make()))
        after = (reactor.getReaders(), reactor.getDelayedCalls())
        self.assertEqual(after, before)
        self.assertEqual(threading.active_count(), threads)
        self.assertEqual([p.name for p in self.directory.iterdir()], ["mica.yaml"])

    def test_monotonic(self) -> None:
        """
        Timers are counted on the clock that nobody sets.
        """
        self.make()
        reactor: Any = twisted_reactor
        self.assertIs(reactor.seconds, time.monotonic)

    def test_log(self) -> None:
        """
        The log is ours, unless twistd was told where to log.
        """
        application: Any = Application("micamessenger")
        self.make().setServiceParent(application)
        self.assertIsNot(ILogObserver(application, None), None)
        self.assertEqual(len(list(IServiceCollection(application))), 1)
        for elsewhere in ("logfile", "syslog", "logger"):
            application = Application("micamessenger")
            self.make(**{elsewhere: "x"}).setServiceParent(application)
            self.assertIs(ILogObserver(application, None), None, elsewhere)


class StartTests(DaemonCase):
    """
    Tests for starting and stopping.
    """

    def refused(self, daemon: Daemon) -> str:
        """
        A start fails with one line and the status 1.

        :return: the line.
        """
        leaving = self.assertRaises(SystemExit, daemon.startService)
        self.assertEqual(leaving.code, 1)
        self.addCleanup(self.stop, daemon)
        return self.complaint()

    def test_built(self) -> None:
        """
        What is built opens nothing before it starts.
        """
        self.build()
        self.assertEqual(self.reactor.tcpServers, [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual([p.name for p in self.directory.iterdir()], ["mica.yaml"])

    def test_order(self) -> None:
        """
        The store opens first of all, and ports open last of all.
        """
        services = list(self.build())
        kinds = [type(service) for service in services]
        self.assertEqual(kinds[1], StoreService)
        self.assertEqual([type(it) for it in services[-2]], [Listener, Listener])
        self.assertEqual(kinds[-1], Notifying)
        self.assertLess(kinds.index(StoreService), kinds.index(Sweeping))
        self.assertIn(Forgetting, kinds)

    def test_delivery(self) -> None:
        """
        What is delivered is in the file before it is answered, and then the
        LLM is asked.
        """
        daemon = self.start()
        peer = Peer(self.reactor.tcpServers[0][1])
        peer.send(post(notification(entry(message()))))
        while not (answered := peer.statuses()):
            self.turn()
            # Until the store has said which Page it was.
            self.reactor.advance(0.02)
        self.assertEqual(answered, [200])
        with closing(sqlite3.connect(self.directory / "mica.db")) as database:
            events = database.execute("SELECT state FROM event").fetchall()
        self.assertEqual(len(events), 1)
        (watching,) = (each for each in daemon if isinstance(each, Watching))
        sample = watching.metrics.registry.get_sample_value
        self.assertEqual(sample("mica_webhook_requests_total", {"code": "200"}), 1)
        self.assertGreater(sample("mica_store_batch_rows_count") or 0, 0)
        while 8091 not in [client[1] for client in self.reactor.tcpClients]:
            self.turn()
        peer.go()

    def test_no_store(self) -> None:
        """
        A store that can't be opened is one line, and no port opens.
        """
        (self.directory / "mica.db").mkdir()
        self.assertIn("can't use the store", self.refused(self.build()))
        self.assertEqual(self.reactor.tcpServers, [])

    def test_second_daemon(self) -> None:
        """
        A store that another daemon uses is one line.
        """
        self.start()
        self.assertIn("another daemon", self.refused(self.build()))

    def test_port_taken(self) -> None:
        """
        A port that is taken is one line with the file, the line and the key
        that name it.
        """
        self.reactor.refuses.add(8081)
        line = self.refused(self.build())
        self.assertIn("mica.yaml:16: listen: can't listen on tcp:8081", line)

    def test_no_certificate(self) -> None:
        """
        What is wrong with the certificate's files is a line for each.
        """
        more = "tls: {certificate: none.pem, private_key: none.key}\n"
        daemon = self.build(more)
        leaving = self.assertRaises(SystemExit, daemon.startService)
        self.assertEqual(leaving.code, 1)
        first, second = self.errors.getvalue().splitlines()
        self.assertRegex(first, "^tls.certificate: .*none.pem: No such file")
        self.assertRegex(second, "^tls.private_key: .*none.key: No such file")

    def test_stop(self) -> None:
        """
        A stop leaves no timer behind, though a question to the Graph API is
        under way.
        """
        daemon = self.start()
        while not self.reactor.tcpClients:
            self.turn()
        self.stop(daemon)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_private(self) -> None:
        """
        No secret of the configuration is in the repr of anything that is
        built.
        """
        seen: dict[int, object] = {}
        waiting: list[Any] = [self.build()]
        while waiting:
            thing = waiting.pop()
            if id(thing) in seen:
                continue
            seen[id(thing)] = thing
            if isinstance(thing, dict):
                waiting += thing.values()
            elif isinstance(thing, list | tuple):
                waiting += thing
            elif isinstance(thing, partial):
                waiting += [thing.func, thing.args, thing.keywords]
            elif isinstance(thing, MethodType):
                waiting.append(thing.__self__)
            elif isinstance(thing, FunctionType):
                waiting += [cell.cell_contents for cell in thing.__closure__ or ()]
            elif type(thing).__module__.startswith("micamsgr") or isinstance(
                thing, MultiService
            ):
                slots = getattr(thing, "__slots__", ())
                waiting += [getattr(thing, name, None) for name in slots]
                waiting.append(getattr(thing, "__dict__", None))
                shown = repr(thing)
                for secret in SECRETS.values():
                    self.assertNotIn(secret, shown, type(thing))
        kinds = {type(thing).__name__ for thing in seen.values()}
        expected = {"GraphMessenger", "PageFinder", "Dispatcher", "Steps", "Channel"}
        self.assertLessEqual(expected | {"Endpoint", "Secret", "Webhook"}, kinds)
