"""
Outbound calls over real sockets and real TLS, to servers that stall.
"""

from __future__ import annotations

import datetime
import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from attrs import define, frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    PrivateCertificate,
    trustRootFromCertificates,
)
from twisted.internet.tcp import Client
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.http_headers import Headers

from micamsgr.errors import OutcomeUnknown, RemoteError, Unavailable
from micamsgr.httpcall import Answer, HTTPCaller, outbound_client

reactor: Any = _reactor

OK = b"HTTP/1.1 200 OK\r\n"
ANSWER = OK + b"Content-Length: 2\r\n\r\nhi"


@frozen
class Authority:
    """
    Somebody who makes certificates.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls) -> Authority:
        """
        Make an authority that nobody else knows.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("an authority")
        may_sign = x509.BasicConstraints(ca=True, path_length=None)
        builder = _unsigned(name, name, key).add_extension(may_sign, critical=True)
        return cls(builder.sign(key, SHA256()), key)

    @property
    def trust_root(self) -> object:
        """
        What trusts this authority and no other.
        """
        pem = self.certificate.public_bytes(Encoding.PEM)
        return trustRootFromCertificates([Certificate.loadPEM(pem)])

    def server(self, *names: x509.GeneralName) -> CertificateOptions:
        """
        Make what a server needs to be known by *names*.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _unsigned(_name("a server"), self.certificate.subject, key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self.key, SHA256())
        )
        pem = certificate.public_bytes(Encoding.PEM) + key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        options: CertificateOptions = PrivateCertificate.loadPEM(pem).options()
        return options


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
    )


LOCAL = (x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1")))


class Wire(ProtocolWrapper):
    """
    The server's end of a socket, below TLS.

    A peer that has stalled neither speaks nor listens, not even to TLS's own
    messages, but its kernel tells it of the connection's end.

    :ivar lost: fires with why the connection ended.
    """

    stalled = False

    def __init__(self, factory: Any, above: Any) -> None:
        super().__init__(factory, above)
        self.lost: Deferred[BaseException | None] = Deferred()
        factory.wires.append(self)

    def write(self, data: bytes) -> None:
        if not self.stalled:
            super().write(data)

    def dataReceived(self, data: bytes) -> None:
        if not self.stalled:
            super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.lost.callback(reason.value)


class Deaf(Wire):
    """
    The server's end of a socket that has stalled from the start.
    """

    stalled = True


class Listening(WrappingFactory[Wire]):
    """
    A listening server.

    :ivar wires: the connections made to it, oldest first.
    """

    protocol = Wire
    noisy = False

    def __init__(self, above: Factory[Any]) -> None:
        super().__init__(above)
        self.wires: list[Wire] = []


class Speaker(Protocol):
    """
    Say the same to every request.

    :ivar requests: what has been received.
    """

    def __init__(self, say: bytes, then: Callable[[Wire], None]) -> None:
        self.say = say
        self.then = then
        self.requests = b""

    def dataReceived(self, data: bytes) -> None:
        self.requests += data
        if self.requests.endswith(b"\r\n\r\nhello"):
            transport: Any = self.transport
            transport.write(self.say)
            # TLS gathers what is written until the reactor's next turn.
            reactor.callLater(0, reactor.callLater, 0, self.then, transport.transport)


def stall(wire: Wire) -> None:
    """
    Say and hear nothing more.
    """
    wire.stalled = True


def go_on(wire: Wire) -> None:
    """
    Do nothing in particular.
    """


@define
class Server:
    """
    Where the servers of one test listen, and what their client trusts.
    """

    listening: Listening
    port: int


class OutboundTLSTests(TestCase):
    """
    Tests for :mod:`micamsgr.httpcall` over TLS.
    """

    timeout = 20

    def setUp(self) -> None:
        self.authority = Authority.make()
        client, self.pool = outbound_client(
            reactor, connections=2, trust_root=self.authority.trust_root
        )
        self.caller = HTTPCaller(reactor, client.request, largest=1000)
        self.addCleanup(self.pool.closeCachedConnections)

    def listen(
        self,
        say: bytes = ANSWER,
        then: Callable[[Wire], None] = go_on,
        options: CertificateOptions | None = None,
    ) -> Server:
        """
        Start a TLS server.
        """
        options = options or self.authority.server(*LOCAL)
        speaking: Factory[Any] = Factory.forProtocol(lambda: Speaker(say, then))
        listening = Listening(TLSMemoryBIOFactory(options, False, speaking))
        port = reactor.listenTCP(0, listening, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.addCleanup(lambda: gatherResults([w.lost for w in listening.wires]))
        self.addCleanup(self.pool.closeCachedConnections)
        return Server(listening, port.getHost().port)

    async def call(
        self, server: Server, host: str = "127.0.0.1", deadline: float = 5.0
    ) -> Answer:
        """
        Make a call.
        """
        return await self.caller.call(
            "POST",
            f"https://{host}:{server.port}/",
            headers=Headers(),
            body=b"hello",
            deadline=deadline,
        )

    async def fails(self, server: Server, kind: type[RemoteError]) -> Wire:
        """
        Make a call with a deadline of 0.3 seconds, which it misses.

        :return: the connection that it was made on, which the server has seen
            aborted within a second after the deadline.
        """
        begun = reactor.seconds()
        error = await self.assertFailure(
            Deferred.fromCoroutine(self.call(server, deadline=0.3)), kind
        )
        self.assertGreaterEqual(reactor.seconds() - begun, 0.29, error)
        (wire,) = server.listening.wires
        why = await wire.lost
        self.assertLess(reactor.seconds() - begun, 1.3)
        self.assertIsInstance(why, ConnectionLost)
        return wire

    async def test_answers(self) -> None:
        """
        Calls one after another, to a name, are answered over one connection.
        """
        server = self.listen()
        for _ in range(3):
            answer = await self.call(server, "localhost")
            self.assertEqual((answer.status, answer.body), (200, b"hi"))
        self.assertEqual(len(server.listening.wires), 1)

    async def test_stall_in_handshake(self) -> None:
        """
        Nothing was sent to a server that never finishes TLS's handshake.
        """
        server = self.listen()
        server.listening.protocol = Deaf
        await self.fails(server, Unavailable)

    async def test_stall_before_headers(self) -> None:
        """
        A server that takes the request and says nothing leaves a doubt.
        """
        await self.fails(self.listen(b"", stall), OutcomeUnknown)

    async def test_stall_in_headers(self) -> None:
        """
        A server that stops in its headers leaves a doubt.
        """
        await self.fails(self.listen(OK, stall), OutcomeUnknown)

    async def test_stall_after_headers(self) -> None:
        """
        A server that stops after its headers leaves a doubt.
        """
        head = OK + b"Content-Length: 2\r\n\r\n"
        await self.fails(self.listen(head, stall), OutcomeUnknown)

    async def test_stall_in_body(self) -> None:
        """
        A server that stops in its body leaves a doubt.
        """
        await self.fails(self.listen(ANSWER[:-1], stall), OutcomeUnknown)

    async def test_cancel(self) -> None:
        """
        A call that is canceled ends at once, and so does its connection.
        """
        stalled: Deferred[Wire] = Deferred()

        def then(wire: Wire) -> None:
            stall(wire)
            stalled.callback(wire)

        call = Deferred.fromCoroutine(self.call(self.listen(ANSWER[:-1], then)))
        wire = await stalled
        call.cancel()
        self.failureResultOf(call, OutcomeUnknown)
        self.assertIsInstance(await wire.lost, ConnectionLost)

    async def test_too_large(self) -> None:
        """
        The connection to a server that says too much ends, even if the server
        won't hear of it.
        """
        say = OK + b"Content-Length: 5000\r\n\r\n" + b"x" * 1001
        server = self.listen(say, stall)
        call = Deferred.fromCoroutine(self.call(server))
        await self.assertFailure(call, OutcomeUnknown)
        (wire,) = server.listening.wires
        self.assertIsInstance(await wire.lost, ConnectionLost)

    async def test_broken(self) -> None:
        """
        A server that breaks the connection after the request leaves a doubt.
        """
        server = self.listen(b"", lambda wire: wire.abortConnection())
        call = Deferred.fromCoroutine(self.call(server))
        await self.assertFailure(call, OutcomeUnknown)

    async def test_untrusted(self) -> None:
        """
        Nothing was sent to a server whose certificate nobody vouches for.
        """
        server = self.listen(options=Authority.make().server(*LOCAL))
        await self.refused(server, "certificate verify failed")

    async def test_wrong_name(self) -> None:
        """
        Nothing was sent to a server whose certificate names another.
        """
        elsewhere = self.authority.server(x509.DNSName("elsewhere.example"))
        await self.refused(
            self.listen(options=elsewhere), "the certificate is for other names"
        )

    async def refused(self, server: Server, why: str) -> None:
        """
        Make a call that fails while connecting, and says why.
        """
        call = Deferred.fromCoroutine(self.call(server, "localhost"))
        error: Any = await self.assertFailure(call, Unavailable)
        self.assertIn(why, error.detail)
        (wire,) = server.listening.wires
        await wire.lost

    async def test_not_tls(self) -> None:
        """
        Nothing was sent to a server that doesn't speak TLS.
        """
        greeting = Factory.forProtocol(Greeting)
        greeting.noisy = False
        port = reactor.listenTCP(0, greeting, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        server = Server(Listening(greeting), port.getHost().port)
        call = Deferred.fromCoroutine(self.call(server))
        await self.assertFailure(call, Unavailable)

    async def test_no_listener(self) -> None:
        """
        Nothing was sent where nobody listens.
        """
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            server = Server(Listening(Factory()), unused.getsockname()[1])
            call = Deferred.fromCoroutine(self.call(server))
            error: Any = await self.assertFailure(call, Unavailable)
        self.assertEqual(error.detail, "the connection was refused")

    async def test_socket(self) -> None:
        """
        What is written leaves at once, and the kernel gives up on a peer that
        acknowledges nothing for ten seconds.
        """
        await self.call(self.listen())
        (near,) = [each for each in reactor.getReaders() if isinstance(each, Client)]
        self.assertTrue(near.getTcpNoDelay())
        level, option = socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT
        self.assertEqual(near.getHandle().getsockopt(level, option), 10_000)


class Greeting(Protocol):
    """
    Speak first, as a mail server does.
    """

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"220 welcome\r\n")
