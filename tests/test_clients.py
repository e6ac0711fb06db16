"""
Clients that are slow, many, or confused, over real sockets: what becomes of
them, and that nobody else suffers.
"""

from __future__ import annotations

import json
import resource
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

from micamsgr.sandbox.meta import signature
from tests.daemon import VERIFY_TOKEN, Daemon, DaemonCase, eventually
from tests.launch import starter
from tests.ports import free_port
from tests.test_tls import Authority

reactor: Any = _reactor

ROOT = Path(__file__).resolve().parent.parent
BOB = "6284913775102847"
HOOK = b"/v1/facebook/webhook/mica"
HEAD = b"POST %b HTTP/1.1\r\nHost: localhost\r\n" % HOOK
GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % HOOK


def sockets(pid: int) -> int:
    """
    Count the sockets that a process has open.
    """
    found = 0
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found += str(path.readlink()).startswith("socket:")
        except OSError:
            # Closed in the meantime.
            continue
    return found


def own_address() -> str | None:
    """
    Find an address of this machine that isn't loopback.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        host = str(probe.getsockname()[0])
        return None if host.startswith("127.") else host


def read(connected: socket.socket) -> bytes:
    """
    Read until the far end has said all.
    """
    return b"".join(iter(lambda: connected.recv(65536), b""))


class ClientCase(DaemonCase):
    """
    A daemon with a port for HTTP and one for TLS.
    """

    def setUp(self) -> None:
        super().setUp()
        self.tls_port = free_port()
        self.open: list[socket.socket] = []
        self.addCleanup(self.hang_up)

    async def serve_both(self, first: Sequence[str] = (), **changes: Any) -> Daemon:
        """
        Start the daemon.
        """
        certificate, key = self.directory / "pair.pem", self.directory / "pair.key"
        key.touch(0o600)
        for path, content in zip((certificate, key), Authority().issue(), strict=True):
            path.write_bytes(content)
        return await self.serve(
            first,
            tls={
                "listen": f"tcp:{self.tls_port}:interface=127.0.0.1",
                "certificate": str(certificate.absolute()),
                "private_key": str(key.absolute()),
            },
            **changes,
        )

    def connect(self, host: str = "127.0.0.1", *, tls: bool = False) -> socket.socket:
        """
        Connect, until the end of the test.
        """
        port = self.tls_port if tls else self.port
        plain = socket.create_connection((host, port), 20)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            plain = context.wrap_socket(plain)
        self.open.append(plain)
        return plain

    def hang_up(self) -> None:
        """
        Close all connections.
        """
        while self.open:
            self.open.pop().close()

    def asked(self, host: str = "127.0.0.1") -> bool:
        """
        Say whether a question over a new connection is answered.
        """
        connected = self.connect(host)
        try:
            connected.sendall(GET)
            return connected.recv(12) == b"HTTP/1.1 400"
        except ConnectionError:
            return False

    async def still_there(self, text: str = "Still there, are you?") -> None:
        """
        Check that a person is answered.
        """
        self.write(BOB, text)
        said = await self.said(BOB, len(self.stand_ins.said(BOB)) + 1)
        self.assertEqual(said[-1], f"You said: {text}")


class SlowTests(ClientCase):
    """
    Tests for clients that hold connections.
    """

    async def test_slow(self) -> None:
        """
        Clients of every kind of slowness, over plain HTTP and TLS, are cut off
        within ten seconds of their deadlines and leave nothing behind; people
        are answered meanwhile.
        """
        daemon = await self.serve_both()
        await self.still_there("Before")
        before = sockets(daemon.pid)
        each = 6
        holding = Deferred.fromCoroutine(
            self.hold("--each", str(each), "--seconds", "50")
        )
        await eventually(lambda: sockets(daemon.pid) > before + 5 * each)
        for number in range(5):
            await self.still_there(f"Meanwhile, {number}")
        kinds = await holding
        self.assertEqual(len(kinds), 11)
        for found in kinds:
            self.assertEqual(found["cut"], each, found)
        await eventually(lambda: sockets(daemon.pid) <= before + 5)
        await self.still_there("After")
        self.assertLess(daemon.output.count("\n"), 100)

    async def test_noticed(self) -> None:
        """
        A build without deadlines cuts off none of them.
        """
        await self.serve_both(first=starter(sys.executable, broken=["no_deadlines"]))
        kinds = await self.hold("--each", "1", "--seconds", "16")
        # What is slow in its handshake has a deadline of 5 s, those who read not 30.
        self.assertEqual([found["cut"] for found in kinds], [0] * 11)

    async def hold(self, *how: str) -> list[dict[str, Any]]:
        """
        Let clients be slow, and say what becomes of them.

        :param how: the words of ``bench/holders.py``.
        """
        ports = [str(self.port), str(self.tls_port)]
        output, errors, status = await getProcessOutputAndValue(
            sys.executable,
            ["-m", "bench.holders", *ports, "--token", VERIFY_TOKEN, *how],
            env={"PYTHONPATH": str(ROOT)},
        )
        self.assertEqual(status, 0, errors)
        found: list[dict[str, Any]] = json.loads(output.splitlines()[-1])
        return found


class ManyTests(ClientCase):
    """
    Tests for clients of which there are too many.
    """

    async def test_connections(self) -> None:
        """
        Beyond the limit of all, a client is turned away at once; those who are
        there go on, and who goes makes room. The log has a line for it, not
        one for each.
        """
        daemon = await self.serve_both(clients={"connections": 8})
        await eventually(lambda: self.turned_away(16) == 8)
        first = self.open[0]
        first.sendall(GET)
        self.assertEqual(first.recv(12), b"HTTP/1.1 400")
        for _ in range(100):
            self.assertFalse(self.asked())
        self.hang_up()
        await eventually(self.asked)
        await self.still_there()
        self.assertEqual(daemon.output.count("turned away"), 1)

    async def test_per_address(self) -> None:
        """
        Beyond the limit for one address a client is turned away, while others
        are answered; loopback and trusted proxies may have more.
        """
        host = own_address()
        if host is None:
            raise SkipTest("needs an address beside loopback")
        limits: dict[str, Any] = {"per_address": 3}
        listen = {"listen": f"tcp:{self.port}"}
        daemon = await self.serve(clients=limits, **listen)
        self.assertEqual([self.asked(host) for _ in range(5)], [True] * 3 + [False] * 2)
        self.assertEqual([self.asked() for _ in range(5)], [True] * 5)
        await self.still_there()
        self.assertIn("clients.per_address", daemon.output)
        self.hang_up()
        daemon.terminate()
        await daemon.exited
        await self.serve(clients=limits | {"trusted_proxies": [host]}, **listen)
        self.assertEqual([self.asked(host) for _ in range(5)], [True] * 5)

    async def test_no_files(self) -> None:
        """
        Where the system gives no connection, for too many files are open, the
        daemon neither wears itself out nor fills the log, and takes connections
        again as soon as there are files.
        """
        daemon = await self.serve_both()
        await self.still_there("Before")
        files = len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))
        _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        few = max(files + 4, 16)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (few, hard))
        for _ in range(few):
            self.connect()
        await eventually(lambda: "no connection can be taken" in daemon.output)
        used, begun = self.cpu(daemon), time.monotonic()
        await eventually(lambda: time.monotonic() - begun > 2.0)
        # A loop would take all of the time.
        self.assertLess(self.cpu(daemon) - used, 1.0)
        self.assertLess(daemon.output.count("\n"), 100)
        self.hang_up()
        await eventually(self.asked)
        await self.still_there("After")

    def turned_away(self, count: int) -> int:
        """
        Connect so many times.

        :return: how many connections were closed at once.
        """
        self.hang_up()
        for _ in range(count):
            self.connect().settimeout(0.3)
        closed = 0
        for connected in self.open:
            try:
                closed += connected.recv(1) == b""
            except ConnectionError:
                closed += 1
            except TimeoutError:
                connected.settimeout(20)
        return closed

    def cpu(self, daemon: Daemon) -> float:
        """
        Count the seconds of processor time that a daemon took so far.
        """
        stat = Path(f"/proc/{daemon.pid}/stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / 100


class ConfusedTests(ClientCase):
    """
    Tests for clients that don't keep to the protocol, or to its limits.
    """

    def exchange(self, *pieces: bytes, tls: bool = False) -> bytes:
        """
        Send pieces, whatever is answered, and then read all.
        """
        connected = self.connect(tls=tls)
        for piece in pieces:
            connected.sendall(piece)
        return read(connected)

    async def test_refused(self) -> None:
        """
        A client whose body is too large reads so, though it sent more than it
        should before it looked; also over TLS, and where the length is not
        told before.
        """
        await self.serve_both()
        piece = b"x" * (1 << 20)
        chunk = b"%x\r\n%b\r\n" % (len(piece), piece)
        for tls in (False, True):
            declared = HEAD + b"Content-Length: 100000000\r\n\r\n"
            chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
            for pieces in ((declared, piece), (chunked, *[chunk] * 4)):
                answer = await deferToThread(self.exchange, *pieces, tls=tls)
                head, _, body = answer.partition(b"\r\n\r\n")
                self.assertTrue(head.startswith(b"HTTP/1.1 413 "), head)
                self.assertEqual(body, b"content too large\n")
        await self.still_there()

    async def test_second_request(self) -> None:
        """
        A request that hides behind one of which the length is told twice is not
        looked at.
        """
        await self.serve_both()
        for tls in (False, True):
            for twice in (
                b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
                b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
                b"Content-Length: 4\r\nContent-Length: 0\r\n",
                b"Content-Length: 4\r\nTransfer-Encoding: identity\r\n",
            ):
                hidden = HEAD + twice + b"\r\n0\r\n\r\n" + GET
                answer = await deferToThread(self.exchange, hidden, tls=tls)
                self.assertEqual(answer.count(b"HTTP/1.1 "), 1)
                self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer)
                self.assertNotIn(b"Server", answer)
        await self.still_there()

    async def test_pipelined(self) -> None:
        """
        Deliveries that come without waiting for answers are answered in their
        order.
        """
        await self.serve_both()
        requests, wanted = [], []
        for number in range(30):
            body = b'{"object":"page","entry":[%b]}' % (b"7" if number % 3 else b"")
            good = signature(self.page.app.secret, body).encode()
            bad = number % 5 == 0
            requests.append(
                HEAD + b"X-Hub-Signature-256: %b\r\n" % (b"sha256=0" if bad else good)
            )
            requests[-1] += b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
            wanted.append(b"403" if bad else b"200")
        requests.append(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        for tls in (False, True):
            answer = await deferToThread(self.exchange, b"".join(requests), tls=tls)
            statuses = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
            self.assertEqual(statuses, [*wanted, b"400"])

    async def test_million_items(self) -> None:
        """
        A signed notification of a million empty items is refused, and people
        are answered.
        """
        await self.serve_both()
        items = b",".join([b"{}"] * 1_000_000)
        body = b'{"object":"page","entry":[{"id":"1","messaging":[%b]}]}' % items
        signed = signature(self.page.app.secret, body).encode()
        head = HEAD + b"X-Hub-Signature-256: %b\r\nConnection: close\r\n" % signed
        whole = head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        answer = await deferToThread(self.exchange, whole)
        self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer[:200])
        await self.still_there()
