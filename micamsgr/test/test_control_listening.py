"""
Tests for :mod:`micamsgr.control.listening` and what is spoken there.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.control.listening import ControlSocket
from micamsgr.control.protocol import (
    LONGEST_ANSWER,
    LONGEST_REQUEST,
    Malformed,
    Request,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
    socket_path,
    socket_paths,
)
from micamsgr.errors import Declined, StoreUnavailable


class ProtocolTests(SynchronousTestCase):
    """
    Tests for :mod:`micamsgr.control.protocol`.
    """

    def test_round_trip(self) -> None:
        """
        What one end says the other understands, whatever it holds.
        """
        request = Request("send", {"text": "a\nb\u2028\ud800 🙂"}, "1.0")
        line = encode_request(request)
        self.assertEqual(line.count(b"\n"), 1)
        self.assertEqual(decode_request(line), request)
        self.assertEqual(
            decode_answer(encode_answer("1.0", result={"a": 1})), ("1.0", {"a": 1}, "")
        )
        self.assertEqual(
            decode_answer(encode_answer("1.0", error="no")), ("1.0", None, "no")
        )

    def test_malformed(self) -> None:
        """
        What is something else is told apart, and nothing else is raised.
        """
        for line in (
            b"",
            b"\xff",
            b"[]",
            b"{}",
            b"[" * 60_000,
            b'{"protocol": 1}',
            b'{"protocol": 1, "command": 1, "arguments": {}}',
            b'{"protocol": 1, "command": "x", "arguments": []}',
        ):
            self.assertRaises(Malformed, decode_request, line)
            self.assertRaises(Malformed, decode_answer, line)

    def test_versions(self) -> None:
        """
        Where the two ends are of different versions, both are named.
        """
        said = b'{"protocol": 2, "program": "9.9", "result": {}}'
        for decode in (decode_request, decode_answer):
            error = self.assertRaises(Malformed, decode, said)
            self.assertRegex(str(error), r"versions differ: .*9\.9.* protocol 2.* 1")

    def test_bounds(self) -> None:
        """
        A request that is too long is not sent, and for an answer that is, it
        is said what to do.
        """
        request = Request("x", {"text": "x" * LONGEST_REQUEST})
        self.assertRaises(Malformed, encode_request, request)
        line = encode_answer("1.0", result={"text": "x" * LONGEST_ANSWER})
        self.assertIn("ask for less", decode_answer(line)[2])

    def test_path(self) -> None:
        """
        The socket is in the service manager's directory, or else beside the
        store; a command also looks where a service has it.
        """
        store = "/var/lib/mica/mica.db"
        run, beside = Path("/run/mica/control.sock"), Path(f"{store}.control")
        self.assertEqual(socket_path(store, "/run/mica:/run/other"), run)
        self.assertEqual(socket_path(store, None), beside)
        self.assertEqual(socket_path(store, ""), beside)
        self.assertEqual(socket_paths(store, None), [beside, run])
        self.assertEqual(socket_paths(store, "/run/mica"), [run])
        other = Path("/srv/mica.db.control")
        self.assertEqual(socket_paths("/srv/mica.db", None), [other])


class Transport(StringTransport):
    """
    A connection in memory, that can be cut off.
    """

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()


class SocketCase(SynchronousTestCase):
    """
    The daemon's end, on a reactor in memory.
    """

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.path = Path(self.mktemp()).absolute()
        self.user = os.geteuid()
        self.waiting: list[Deferred[Mapping[str, Any]]] = []
        self.commands: list[str] = []
        self.service = ControlSocket(
            self.reactor, self.path, "1.0", self.work, peer=lambda _: self.user
        )

    async def work(
        self, command: str, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        self.commands.append(command)
        self.waiting.append(Deferred())
        return await self.waiting[-1]

    def start(self) -> None:
        self.service.startService()

    def connect(self) -> tuple[Any, Transport]:
        """
        Come in, as a command does.
        """
        _, factory, *_ = self.reactor.unixServers[-1]
        protocol, transport = factory.buildProtocol(None), Transport()
        protocol.makeConnection(transport)
        return protocol, transport

    def said(self, transport: Transport) -> Any:
        """
        Read the one answer.
        """
        (line,) = transport.value().splitlines()
        self.assertTrue(transport.disconnecting)
        return json.loads(line)

    def ask(self, command: str = "status") -> tuple[Any, Transport]:
        protocol, transport = self.connect()
        protocol.dataReceived(encode_request(Request(command, {})))
        return protocol, transport


class SocketTests(SocketCase):
    """
    Tests for connections.
    """

    def test_mode(self) -> None:
        """
        Nobody else may so much as connect.
        """
        self.start()
        ((path, _, _, mode, _),) = self.reactor.unixServers
        self.assertEqual((path, mode), (str(self.path), 0o600))

    def test_answer(self) -> None:
        """
        A command is answered once, with one line, and that is the end of it;
        several wait for one another as little as may be.
        """
        self.start()
        (_, first), (_, second) = self.ask("one"), self.ask("two")
        self.waiting[1].callback({"n": 2})
        self.assertEqual(self.said(second)["result"], {"n": 2})
        self.assertEqual(first.value(), b"")
        self.waiting[0].callback({"n": 1})
        self.assertEqual(self.said(first)["result"], {"n": 1})

    def test_slowly(self) -> None:
        """
        A request may come in pieces; what comes behind it is not looked at.
        """
        self.start()
        protocol, transport = self.connect()
        line = encode_request(Request("status", {}))
        for index in range(len(line)):
            protocol.dataReceived(line[index : index + 1])
        protocol.dataReceived(line * 2)
        self.waiting[0].callback({})
        self.said(transport)
        self.assertEqual(self.commands, ["status"])

    def test_others(self) -> None:
        """
        Another user is told so, and nothing is done; root may.
        """
        self.start()
        self.user = os.geteuid() + 1
        protocol, transport = self.connect()
        self.assertIn("only the daemon's user", self.said(transport)["error"])
        protocol.dataReceived(encode_request(Request("status", {})))
        self.assertEqual(self.commands, [])
        self.user = 0
        self.ask()
        self.assertEqual(self.commands, ["status"])

    def test_many(self) -> None:
        """
        So many at once are turned away, until others have left.
        """
        self.start()
        there = [self.ask() for _ in range(16)]
        _, transport = self.ask()
        self.assertIn("try again", self.said(transport)["error"])
        self.assertEqual(len(self.commands), 16)
        done = Failure(ConnectionDone())
        for protocol, _ in there:
            protocol.connectionLost(done)
        self.ask()
        self.assertEqual(len(self.commands), 17)

    def test_too_long(self) -> None:
        """
        A request without an end is not kept.
        """
        self.start()
        protocol, transport = self.connect()
        protocol.dataReceived(b"x" * LONGEST_REQUEST)
        self.assertIn("too long", self.said(transport)["error"])

    def test_silent(self) -> None:
        """
        Who says nothing is cut off, and so is who takes no answer.
        """
        self.start()
        _, silent = self.connect()
        _, deaf = self.ask()
        self.waiting[0].callback({})
        self.reactor.advance(4.9)
        self.assertFalse(silent.aborted)
        self.reactor.advance(0.1)
        self.assertTrue(silent.aborted)
        self.assertFalse(deaf.aborted)
        self.reactor.advance(5.0)
        self.assertTrue(deaf.aborted)

    def test_endless(self) -> None:
        """
        What takes too long is given up, and it is said that it may be done.
        """
        self.start()
        _, transport = self.ask()
        self.reactor.advance(30.0)
        self.assertIn("may still be", self.said(transport)["error"])

    def test_refused(self) -> None:
        """
        Why nothing was done is told; of a defect only that there is one, and
        the log has it.
        """
        self.start()
        for error in (Declined("so"), StoreUnavailable("so")):
            _, transport = self.ask()
            self.waiting[-1].errback(error)
            self.assertEqual(self.said(transport)["error"], "so")
        _, transport = self.ask()
        self.waiting[-1].errback(ZeroDivisionError("secret"))
        self.assertNotIn("secret", transport.value().decode())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_left(self) -> None:
        """
        Who leaves is waited for no more.
        """
        self.start()
        protocol, transport = self.ask()
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(self.waiting[0].called)
        self.assertEqual(transport.value(), b"")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """
        A stop cuts everybody off, and leaves nothing behind.
        """
        self.start()
        transports = [self.ask()[1], self.connect()[1]]
        self.successResultOf(self.service.stopService())
        self.assertTrue(all(it.aborted for it in transports))


class PathTests(SocketCase):
    """
    Tests for what may be at the path already.
    """

    def listen(self) -> socket.socket:
        serving = socket.socket(socket.AF_UNIX)
        here = Path.cwd()
        os.chdir(self.path.parent)
        serving.bind(self.path.name)
        os.chdir(here)
        serving.listen()
        return serving

    def trouble(self) -> str:
        """
        Start, and read what the log complains of.
        """
        with capturedLogs() as events:
            self.start()
        return " ".join(str(event["why"]) for event in events if "why" in event)

    def test_stale(self) -> None:
        """
        A socket that nobody serves is replaced.
        """
        self.listen().close()
        self.assertTrue(self.path.is_socket())
        self.assertEqual(self.trouble(), "")
        self.assertFalse(self.path.exists())
        self.assertEqual(len(self.reactor.unixServers), 1)

    def test_served(self) -> None:
        """
        Another daemon's is left alone; this one starts all the same.
        """
        with closing(self.listen()):
            self.assertIn("another daemon", self.trouble())
            self.assertTrue(self.path.is_socket())
            self.assertEqual(self.reactor.unixServers, [])
        self.successResultOf(self.service.stopService())

    def test_something_else(self) -> None:
        """
        So is what is no socket.
        """
        self.path.write_text("mine")
        self.assertIn("something else", self.trouble())
        self.assertEqual(self.path.read_text(), "mine")

    def test_no_directory(self) -> None:
        """
        Where the directory is missing the daemon starts all the same.
        """
        self.service.path = self.path / "none" / ("x" * 120)
        self.assertIn("No such file", self.trouble())

    def test_long(self) -> None:
        """
        A path that is too long for the system is used all the same.
        """
        directory = self.path.with_name("d" * 120)
        directory.mkdir()
        self.service.path = directory / "mica.db.control"
        self.assertEqual(self.trouble(), "")
        ((path, *_),) = self.reactor.unixServers
        self.assertLess(len(path), 100)
        self.assertTrue(Path(path).parent.samefile(directory))
        self.successResultOf(self.service.stopService())
        self.assertFalse(Path(path).parent.exists())
