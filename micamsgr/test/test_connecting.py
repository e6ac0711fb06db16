"""
Tests for :mod:`micamsgr.connecting`, by requests over memory.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.web.http_headers import Headers

from .test_httpcall import OK, URL, MemoryCase


class PauseTests(MemoryCase):
    """
    Tests for when a connection is read.
    """

    def request(self) -> Deferred[Any]:
        """
        Begin a request whose answer nobody has said yet how to read.
        """
        client: Any = self.outbound
        answering: Deferred[Any] = client.request(
            "GET",
            URL,
            headers=Headers(),
            data=None,
            allow_redirects=False,
            unbuffered=True,
            reactor=self.reactor,
        )
        return answering

    def test_not_for_a_moment(self) -> None:
        """
        Where somebody reads the body at once, the connection is never told to
        pause, which would be two system calls for each answer.
        """
        call = self.call()
        wire, pauses = self.accept(), list[bool]()
        self.patch(wire, "pauseProducing", lambda: pauses.append(True))
        wire.receive(OK + b"Content-Length: 2\r\n\r\nh")
        wire.receive(b"i")
        self.assertEqual(self.successResultOf(call).body, b"hi")
        self.assertEqual(pauses, [])

    def test_until_wanted(self) -> None:
        """
        Where nobody reads the body yet, no more is read, until somebody does.
        """
        answering = self.request()
        wire = self.accept()
        wire.receive(OK + b"Content-Length: 2\r\n\r\n")
        self.assertEqual(wire.producerState, "paused")
        self.successResultOf(answering).deliverBody(Protocol())
        self.assertEqual(wire.producerState, "producing")
