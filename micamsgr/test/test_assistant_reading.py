"""
Tests for LLMs whose answers don't end: read over Twisted's own client, in
memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from twisted.internet.defer import Deferred

from micamsgr.assistant.chat_completions import ChatCompletions, Endpoint
from micamsgr.conversation.assistant import Reply, Role, Utterance
from micamsgr.errors import Unavailable
from micamsgr.httpcall import HTTPCaller
from micamsgr.test.test_answers import completion
from micamsgr.test.test_httpcall import OK, MemoryCase, Wire


class ReadingTests(MemoryCase):
    """
    Tests for what a bot waits for and keeps of an answer.
    """

    def setUp(self) -> None:
        super().setUp()
        self.caller = HTTPCaller(self.reactor, self.caller._request)
        self.assistant = ChatCompletions(
            self.caller.call,
            [Endpoint(url="http://llm.example/v1/chat/completions", model="m")],
            lambda said: [{"role": "user", "content": one.text} for one in said],
            self.reactor.seconds,
            lambda: 0.0,
        )

    def ask(self) -> tuple[Deferred[Reply], Wire]:
        """
        Ask, as far as the question has arrived.
        """
        said = [Utterance(Role.PERSON, "how are you?" * 100)]
        return Deferred.fromCoroutine(self.assistant.reply(said, 1)), self.accept()

    def assert_cut_off(self, asked: Deferred[Reply], wire: Wire) -> None:
        """
        The connection is closed, the turn may be asked for again, and what was
        asked counts as spent.
        """
        error = self.failureResultOf(asked, Unavailable).value
        self.assertTrue(wire.ended)
        self.assertGreater(error.tokens, 300)

    def drip(self, head: bytes, bytes_: Callable[[int], bytes]) -> None:
        """
        Let an answer come byte by byte, one in a second.
        """
        asked, wire = self.ask()
        wire.receive(head)
        for second in range(59):
            wire.receive(bytes_(second))
            self.reactor.advance(1.0)
        self.assertNoResult(asked)
        self.reactor.advance(1.0)
        self.assert_cut_off(asked, wire)

    def test_dripping_body(self) -> None:
        """
        An answer that comes byte by byte is waited for until the deadline of
        the whole.
        """
        body = json.dumps(completion()).encode()
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        self.drip(OK + length, lambda second: body[second : second + 1])

    def test_dripping_chunks(self) -> None:
        """
        So is one that keeps the connection alive with white space.
        """
        chunked = b"Transfer-Encoding: chunked\r\n\r\n"
        self.drip(OK + chunked, lambda _: b"1\r\n\n\r\n")

    def test_dripping_headers(self) -> None:
        """
        So is one whose headers come byte by byte.
        """
        self.drip(OK + b"X: ", lambda _: b"x")

    def test_endless_body(self) -> None:
        """
        Of an answer that does not end, a mebibyte is read.
        """
        asked, wire = self.ask()
        wire.receive(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(16):
            self.assertNoResult(asked)
            wire.receive(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        wire.receive(b"1\r\nx\r\n")
        self.assert_cut_off(asked, wire)

    def test_endless_headers(self) -> None:
        """
        Of headers that do not end, 64 KiB are read.
        """
        asked, wire = self.ask()
        wire.receive(OK)
        for _ in range(64):
            self.assertNoResult(asked)
            wire.receive(b"X: " + b"x" * 1019 + b"\r\n")
        self.assert_cut_off(asked, wire)
