"""
Sockets that systemd holds while the daemon comes and goes: nobody who writes
to the Page notices.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import threading
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from itertools import cycle
from typing import Any

import yaml
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from micamsgr.sandbox.journal import Posted
from tests import oracle
from tests.daemon import (
    VERIFY_TOKEN,
    Daemon,
    DaemonCase,
    eventually,
    reactor,
)
from tests.ports import free_port
from tests.test_tls import Authority

ALICE = "6284913775102846"
PEOPLE = [f"62849137750{number:05}" for number in range(20)]

# MICA_RESTARTS=50 is what docs/reliability.md tells of.
_RESTARTS = int(os.environ.get("MICA_RESTARTS", "3"))

# Seconds between two messages, and between two requests of a client.
_PAUSE = 0.05

# Seconds that a client waits; a start takes its time on a busy machine.
_PATIENCE = 30.0

_PATH = (
    "/v1/facebook/webhook/mica?hub.mode=subscribe"
    f"&hub.verify_token={VERIFY_TOKEN}&hub.challenge=1158201444"
)

PLAIN = "systemd:domain=INET:name=http"
SECURE = "systemd:domain=INET:name=https"


class SocketCase(DaemonCase):
    """
    A daemon that has its sockets from elsewhere.

    :ivar tls_port: where it speaks TLS.
    """

    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority()
        self.trust = ssl.create_default_context(cadata=self.authority.pem.decode())
        self.tls_port = free_port()

    def listening(self, **more: Any) -> dict[str, Any]:
        """
        Make the keys of a configuration that names the sockets.
        """
        names = ("certificate", "private_key")
        paths = [self.directory / f"{name}.pem" for name in names]
        for path, content in zip(paths, self.authority.issue(), strict=True):
            path.write_bytes(content)
            path.chmod(0o600)
        files = {
            name: str(path.resolve()) for name, path in zip(names, paths, strict=True)
        }
        return {"listen": PLAIN, "tls": {"listen": SECURE, **files}, **more}

    def held(self, port: int, family: int = socket.AF_INET) -> socket.socket:
        """
        Listen, as systemd does, until the test ends.
        """
        listening = socket.socket(family)
        self.addCleanup(listening.close)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("::" if family == socket.AF_INET6 else "127.0.0.1", port))
        listening.listen(1024)
        return listening

    def connection(self, secure: bool) -> HTTPConnection:
        """
        Make a client's connection, over TLS or without.
        """
        if secure:
            return HTTPSConnection(
                "localhost", self.tls_port, timeout=_PATIENCE, context=self.trust
            )
        return HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)

    def ask(self, secure: bool) -> bytes:
        """
        Verify the webhook over a new connection.
        """
        with closing(self.connection(secure)) as connection:
            connection.request("GET", _PATH)
            return connection.getresponse().read()

    async def assert_answers(self) -> None:
        """
        Check that it answers at both sockets.
        """
        for secure in (False, True):
            self.assertEqual(await deferToThread(self.ask, secure), b"1158201444")

    async def assert_works(self, *words: str) -> None:
        """
        Check that a message that somebody writes is answered.
        """
        before = len(self.stand_ins.said(ALICE))
        self.write(ALICE, " ".join(words))
        said = await self.said(ALICE, before + 1, 40.0)
        self.assertEqual(said[-1], f"You said: {' '.join(words)}")


class ActivationTests(SocketCase):
    """
    Tests for sockets that are handed over.
    """

    async def test_activated(self) -> None:
        """
        Started by systemd's own tool, as somebody first connects, it answers
        at both of its sockets, whoever it was.
        """
        daemon = self.daemon(
            (
                *("systemd-socket-activate", "--fdname=http:https"),
                *(f"--listen=127.0.0.1:{port}" for port in (self.port, self.tls_port)),
                *("-E", "PYTHONPATH", "-E", "PYTHONUNBUFFERED"),
            ),
            **self.listening(),
        )
        daemon.start()
        await eventually(lambda: _listening(daemon))
        self.assertNotIn("micamsgr", daemon.output)
        await self.assert_answers()
        await self.assert_works("Hello?")
        self.assertIn("bot mica: webhook at", daemon.output)

    if shutil.which("systemd-socket-activate") is None:
        test_activated.skip = "needs systemd-socket-activate"  # type: ignore[attr-defined]

    async def test_both_families(self) -> None:
        """
        A socket of IPv6 that takes IPv4, too, as systemd makes it of a port
        alone, is served whatever domain the configuration says.
        """
        daemon = self.daemon(**self.listening())
        daemon.sockets = {
            "https": self.held(self.tls_port, socket.AF_INET6),
            "http": self.held(self.port, socket.AF_INET6),
        }
        daemon.start()
        await daemon.ready()
        await self.assert_answers()
        await self.assert_works("Hello?")

    async def test_reload(self) -> None:
        """
        A socket that the configuration no longer names is let go; as soon as
        it names it again it is served again, and those are answered who came
        meanwhile.
        """
        names = self.listening()
        daemon = self.daemon(**names)
        daemon.sockets = {
            "http": self.held(self.port),
            "https": self.held(self.tls_port),
        }
        daemon.start()
        await daemon.ready()
        both = daemon.configuration
        without = {key: value for key, value in both.items() if key != "tls"}
        for _ in range(2):
            await self.reload(daemon, without)
            waiting = deferToThread(self.ask, True)
            await deferLater(reactor, 0.3)
            self.assertFalse(waiting.called)
            await self.reload(daemon, both)
            self.assertEqual(await waiting, b"1158201444")
        await self.assert_answers()
        await self.assert_works("Still there?")

    async def reload(self, daemon: Daemon, wanted: dict[str, Any]) -> None:
        """
        Put another configuration in force.
        """
        text = "a configuration is put in force"
        before = daemon.output.count(text)
        (self.directory / "mica.yaml").write_text(yaml.safe_dump(wanted))
        daemon.signal("HUP")
        await eventually(lambda: daemon.output.count(text) > before)


class RestartTests(SocketCase):
    """
    Tests for a daemon that is started anew under load.
    """

    timeout = 120 + 20 * _RESTARTS

    def requests(self, secure: bool, kept: bool, ended: threading.Event) -> list[str]:
        """
        Verify the webhook again and again, until all is *ended*.

        :param kept: whether over one connection, as long as the daemon keeps
            it.

        :return: what went wrong, and at last how much didn't.
        """
        outcomes: list[str] = []
        good = 0
        connection = self.connection(secure)
        while not ended.wait(_PAUSE):
            try:
                connection.request("GET", _PATH)
                answer = connection.getresponse()
                status, body = answer.status, answer.read()
            except (OSError, HTTPException) as error:
                outcomes.append(repr(error))
                connection.close()
                continue
            if (status, body) == (200, b"1158201444"):
                good += 1
            else:
                outcomes.append(f"{status}: {body!r}")
            if not kept:
                connection.close()
        connection.close()
        return [*outcomes, f"{good > 0}"]

    async def write_on(self, counts: dict[str, int], ended: threading.Event) -> None:
        """
        Let one person after the other write, until all is *ended*.
        """
        for person in cycle(PEOPLE):
            if ended.is_set():
                return
            counts[person] += 1
            self.write(person, f"Message {counts[person]}")
            await deferLater(reactor, _PAUSE)

    async def test_restarts(self) -> None:
        """
        While people write and clients ask, over new connections and kept ones,
        with TLS and without, the daemon is stopped and started again: nobody is
        refused, no request fails, and each message is answered once.
        """
        sockets = {"http": self.held(self.port), "https": self.held(self.tls_port)}
        daemon = self.daemon(
            **self.listening(delivery={"rate": 0}, log={"level": "warn"})
        )
        daemon.sockets = sockets
        daemon.start()
        await daemon.ready()
        ended = threading.Event()
        self.addCleanup(ended.set)
        asking = [
            deferToThread(self.requests, secure, kept, ended)
            for secure in (False, True)
            for kept in (False, True)
        ]
        counts = dict.fromkeys(PEOPLE, 0)
        writing = Deferred.fromCoroutine(self.write_on(counts, ended))
        for _ in range(_RESTARTS):
            await deferLater(reactor, 0.5)
            daemon.terminate()
            self.assertIn(await daemon.exited, (0, -15), daemon.output)
            daemon = self.daemon()
            daemon.configuration = self.daemons[0].configuration
            daemon.sockets = sockets
            daemon.start()
            await daemon.ready(_PATIENCE)
        await deferLater(reactor, 0.5)
        ended.set()
        await writing
        outcomes = await gatherResults(asking)
        self.assertEqual(outcomes, [["True"]] * len(asking))
        await self.settled(60.0)
        found = oracle.complaints(
            self.stand_ins.journal, self.directory / "mica.db", settled=True
        )
        self.assertEqual(found, [])
        kept = self.kept(
            "SELECT state, count(*) AS n FROM event WHERE kind = 'message' GROUP BY 1"
        )
        self.assertEqual(kept, [{"state": "done", "n": sum(counts.values())}])
        posted = self.stand_ins.journal.of(Posted)
        self.assertEqual({post.status for post in posted}, {200})
        self.assertEqual({post.attempt for post in posted}, {1})


def _listening(daemon: Daemon) -> bool:
    return "Listening on" in daemon.output
