"""
Tests for :mod:`micamsgr.messenger.graph`, with the real client over memory.
"""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers
from zope.interface.verify import verifyObject

from micamsgr.conversation.events import BotName, Conversation, Mid, PageId, Psid
from micamsgr.conversation.interfaces import IMessenger, Presence
from micamsgr.conversation.outcomes import InDoubt, NeverSent, NotSent, Outcome, Sent
from micamsgr.conversation.pacing import Pressure
from micamsgr.errors import Unavailable
from micamsgr.httpcall import Answer, HTTPCaller, outbound_client
from micamsgr.messenger.graph import (
    GraphMessenger,
    appsecret_proof,
)
from micamsgr.messenger.graph_answers import read_page
from micamsgr.testing import ALICE, PAGE

from .test_httpcall import Wire

T = TypeVar("T")

SECRET = "3f1d9c0b7a6e4825b1c0d9e8f7a6b5c4"
TOKEN = "EAAexamplepagetoken0123456789"
# As computed with another program: docs/messenger-platform.md, section 4.7.
PROOF = "3399e9d1"
WITH_ALICE = Conversation(BotName("mica"), PAGE, ALICE)
DATE = "Sun, 22 Nov 2026 15:50:17 GMT"


def answer(status: int, document: object) -> Answer:
    """
    Make an answer of the Graph API.
    """
    return Answer(status, Headers(), json.dumps(document).encode("ascii"))


class GraphCase(SynchronousTestCase):
    """
    A messenger whose connections are made by the test.

    :ivar dates: what it was told of Meta's clock.
    """

    mark_seen = True

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        client, _ = outbound_client(self.reactor, connections=3)
        self.dates: list[str | None] = []
        self.messenger = GraphMessenger(
            HTTPCaller(self.reactor, client.request).call,
            "http://graph.example/v25.0",
            TOKEN,
            SECRET,
            15.0,
            self.dates.append,
            self.mark_seen,
        )
        self.said: list[str] = []
        hear: Any = self.hear
        globalLogPublisher.addObserver(hear)
        self.addCleanup(globalLogPublisher.removeObserver, hear)

    def hear(self, event: LogEvent) -> None:
        """
        Note what is logged.
        """
        self.said.append(formatEvent(event))

    def begin(self, waiting: Coroutine[Any, Any, T]) -> Deferred[T]:
        """
        Begin something.
        """
        return Deferred.fromCoroutine(waiting)

    def accept(self) -> Wire:
        """
        Let the connection that was asked for come about.
        """
        host, port, factory, _, _ = self.reactor.tcpClients.pop(0)
        return Wire(factory.buildProtocol(IPv4Address("TCP", host, port)))

    def request(self, wire: Wire) -> tuple[str, str, dict[str, str], bytes]:
        """
        Read what was sent.

        :return: method, target, headers by names in lower case, and body.
        """
        head, _, body = wire.value().partition(b"\r\n\r\n")
        line, *headers = head.decode("ascii").split("\r\n")
        method, target, _ = line.split(" ")
        fields = dict(header.split(": ", 1) for header in headers)
        return method, target, {name.lower(): fields[name] for name in fields}, body

    def respond(self, wire: Wire, document: object, status: int = 200) -> None:
        """
        Answer what was sent.
        """
        body = json.dumps(document).encode("ascii")
        head = f"HTTP/1.1 {status} X\r\nDate: {DATE}\r\nContent-Length: {len(body)}"
        wire.receive(head.encode("ascii") + b"\r\n\r\n" + body)


class SendTests(GraphCase):
    """
    Tests for sending a message.
    """

    def send(self, text: str = "hello") -> Deferred[Outcome]:
        """
        Begin to send a text to Alice.
        """
        return self.begin(self.messenger.send(WITH_ALICE, text, "mica:1:p1:1"))

    def test_interface(self) -> None:
        """
        The Graph API is a way to the people who write to a Page.
        """
        verifyObject(IMessenger, self.messenger)

    def test_request(self) -> None:
        """
        What is sent is the documented request: the Page in the path, the
        proof in the query, the token in a header, and the rest in JSON.
        """
        self.send()
        method, target, headers, body = self.request(self.accept())
        url = urlsplit(target)
        self.assertEqual((method, url.path), ("POST", f"/v25.0/{PAGE}/messages"))
        self.assertEqual(
            parse_qs(url.query), {"appsecret_proof": [appsecret_proof(SECRET, TOKEN)]}
        )
        self.assertEqual(headers["authorization"], f"Bearer {TOKEN}")
        self.assertEqual(headers["content-type"], "application/json")
        self.assertEqual(headers["host"], "graph.example")
        self.assertEqual(
            json.loads(body),
            {
                "recipient": {"id": ALICE},
                "messaging_type": "RESPONSE",
                "message": {"text": "hello", "metadata": "mica:1:p1:1"},
            },
        )

    def test_proof(self) -> None:
        """
        The proof is the one that others compute.
        """
        proof = appsecret_proof(SECRET, TOKEN)
        self.assertTrue(proof.startswith(PROOF) and proof.endswith("5a1f"), proof)
        self.assertEqual(len(proof), 64)

    def test_any_text(self) -> None:
        """
        Any text arrives as it is, in a body that any parser of JSON reads.
        """
        for text in ("zażółć 🙂\n\t", '"\\', "\u2028\0\ud800"):
            self.send(text)
            *_, body = self.request(self.accept())
            self.assertTrue(body.isascii())
            self.assertEqual(json.loads(body)["message"]["text"], text)

    def test_odd_page(self) -> None:
        """
        Whatever a Page is called, it stays within its part of the URL.
        """
        page = PageId("../me?x=1#/ä")
        whom = Conversation(BotName("mica"), page, Psid("../x"))
        self.begin(self.messenger.send(whom, "hello", "m"))
        _, target, _, _ = self.request(self.accept())
        path = urlsplit(target).path
        self.assertEqual(path, "/v25.0/..%2Fme%3Fx%3D1%23%2F%C3%A4/messages")

    def test_sent(self) -> None:
        """
        A message that the Graph API took has its ID.
        """
        sending = self.send()
        self.respond(self.accept(), {"recipient_id": ALICE, "message_id": "m_1"})
        self.assertEqual(self.successResultOf(sending), Sent(Mid("m_1")))

    def test_refused(self) -> None:
        """
        What the error says becomes of the message.
        """
        sending = self.send()
        error = {"code": 10, "error_subcode": 2018278, "message": "Alice"}
        self.respond(self.accept(), {"error": error}, 400)
        outcome = self.successResultOf(sending)
        assert isinstance(outcome, NeverSent)
        self.assertEqual(outcome.reason, "window")

    def test_no_connection(self) -> None:
        """
        Without a connection, the message is surely not sent.
        """
        sending = self.send()
        factory: Any = self.reactor.tcpClients.pop(0)[2]
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        self.reactor.advance(5.0)
        outcome = self.successResultOf(sending)
        assert isinstance(outcome, NotSent)
        self.assertTrue(outcome.away)

    def test_cut_off(self) -> None:
        """
        If the connection breaks before there is a whole answer, the message
        is in doubt.
        """
        for piece in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"):
            sending = self.send()
            wire = self.accept()
            wire.receive(piece)
            wire.lose(ConnectionLost())
            self.assertIsInstance(self.successResultOf(sending), InDoubt)

    def test_too_late(self) -> None:
        """
        If there is no whole answer in time, the message is in doubt.
        """
        sending = self.send()
        wire = self.accept()
        self.reactor.advance(14.9)
        wire.receive(b"HTTP/1.1 200 OK\r\n")
        self.assertNoResult(sending)
        self.reactor.advance(0.1)
        self.assertIsInstance(self.successResultOf(sending), InDoubt)

    def test_redirected(self) -> None:
        """
        The token follows no redirect.
        """
        sending = self.send()
        self.accept().receive(
            b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
        self.assertIsInstance(self.successResultOf(sending), NotSent)
        self.assertEqual(self.reactor.tcpClients, [])

    def test_date(self) -> None:
        """
        The time on each answer is passed on, to correct our clock by; one
        that is missing or no text is no obstacle.
        """
        date = b"Date: " + DATE.encode() + b"\r\n"
        for header in (date, b"", b"Date: \xff\r\n"):
            self.answered(header, b'{"error": {}}')
        self.assertEqual(self.dates, [DATE, None, "\ufffd"])

    def test_date_of_others(self) -> None:
        """
        What is no answer of the Graph API, such as a gateway's page, says
        nothing of Meta's clock.
        """
        for body in (b"", b"<html>", b"[]", b"7"):
            self.answered(b"Date: " + DATE.encode() + b"\r\n", body)
        self.assertEqual(self.dates, [])

    def test_pressure(self) -> None:
        """
        What an answer tells of a limit is passed on.
        """
        told: list[Pressure] = []
        self.messenger.pressed = told.append
        self.answered(b'X-App-Usage: {"call_count": 96}\r\n', b'{"error": {}}')
        self.answered(b"Retry-After: 20\r\n", b"<html>")
        self.assertEqual(
            [(each.source, each.rest) for each in told],
            [("app", 60.0), ("server", 20.0)],
        )

    def answered(self, header: bytes, body: bytes) -> None:
        """
        Send something, which is answered with an error.
        """
        sending = self.send()
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        self.accept().receive(b"HTTP/1.1 500 X\r\n" + header + length + body)
        self.assertIsInstance(self.successResultOf(sending), InDoubt)
        self.reactor.advance(30.0)


class PresenceTests(GraphCase):
    """
    Tests for what people see of the bot beside its words.
    """

    def test_requests(self) -> None:
        """
        Each sign is its own request, with nothing else in it.
        """
        for presence, action in (
            (Presence.SEEN, "mark_seen"),
            (Presence.TYPING, "typing_on"),
        ):
            showing = self.begin(self.messenger.show(WITH_ALICE, presence))
            wire = self.accept()
            method, target, _, body = self.request(wire)
            self.assertEqual(method, "POST")
            self.assertTrue(target.startswith(f"/v25.0/{PAGE}/messages?"))
            self.assertEqual(
                json.loads(body),
                {"recipient": {"id": ALICE}, "sender_action": action},
            )
            self.respond(wire, {"recipient_id": ALICE})
            self.successResultOf(showing)
            self.reactor.advance(30.0)

    def test_failure(self) -> None:
        """
        A sign that fails, in whatever way, is no trouble.
        """
        for bytes_back in (b"", b"HTTP/1.1 400 X\r\nContent-Length: 0\r\n\r\n"):
            showing = self.begin(self.messenger.show(WITH_ALICE, Presence.TYPING))
            wire = self.accept()
            wire.receive(bytes_back)
            wire.lose(ConnectionLost())
            self.successResultOf(showing)


class UnseenTests(GraphCase):
    """
    Tests for an operator who doesn't want people to see that the bot reads.
    """

    mark_seen = False

    def test_unseen(self) -> None:
        """
        Then no seen mark is sent; that the bot writes is shown all the same.
        """
        self.successResultOf(self.messenger.show(WITH_ALICE, Presence.SEEN))
        self.assertEqual(self.reactor.tcpClients, [])
        self.begin(self.messenger.show(WITH_ALICE, Presence.TYPING))
        self.assertEqual(len(self.reactor.tcpClients), 1)


class PageTests(GraphCase):
    """
    Tests for asking whose token it is.
    """

    def test_request(self) -> None:
        """
        The token itself is asked whose it is.
        """
        asking = self.begin(self.messenger.page())
        wire = self.accept()
        _, target, headers, _ = self.request(wire)
        self.assertEqual(urlsplit(target).path, "/v25.0/me")
        self.assertIn("appsecret_proof=", target)
        self.assertEqual(headers["authorization"], f"Bearer {TOKEN}")
        self.respond(wire, {"id": PAGE, "name": "The Page"})
        self.assertEqual(self.successResultOf(asking), PAGE)

    def test_number(self) -> None:
        """
        An ID counts as written.
        """
        self.assertEqual(read_page(answer(200, {"id": int(PAGE)})), PAGE)

    def test_no_page(self) -> None:
        """
        What is no Page's ID is an error.
        """
        for value in (None, "", "x", True, -7, 7.0, "²", [PAGE]):
            with self.assertRaises(Unavailable):
                read_page(answer(200, {"id": value}))


class PrivateTests(GraphCase):
    """
    Tests for what nobody may see.
    """

    def test_private(self) -> None:
        """
        Neither the token nor the secret is in a URL, a log, an error or a
        repr, whatever goes wrong; nor is what is said.
        """
        seen = [repr(self.messenger)]
        for bytes_back in (
            b"",
            b"nonsense\r\n\r\n",
            b"HTTP/1.1 400 X\r\nContent-Length: 0\r\n\r\n",
            b'HTTP/1.1 400 X\r\nContent-Length: 23\r\n\r\n{"error": {"code": 190}}',
        ):
            for waiting in (
                self.messenger.send(WITH_ALICE, "what is said", "m"),
                self.messenger.show(WITH_ALICE, Presence.TYPING),
                self.messenger.page(),
            ):
                calling: Deferred[Any] = self.begin(waiting)
                wire = self.accept()
                seen.append(self.request(wire)[1])
                wire.receive(bytes_back)
                if not wire.ended:
                    wire.lose(ConnectionLost())
                calling.addErrback(lambda failure: failure.getTraceback())
                seen.append(repr(self.successResultOf(calling)))
        shown = "\n".join([*seen, *self.said])
        self.assertIn("appsecret_proof", shown)
        for secret in (TOKEN, SECRET, "what is said"):
            self.assertNotIn(secret, shown)
