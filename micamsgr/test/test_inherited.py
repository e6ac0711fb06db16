"""
Tests for :mod:`micamsgr.inherited`.
"""

from __future__ import annotations

import os
import socket

from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.inherited import NoListener, keep


class KeepTests(SynchronousTestCase):
    """
    Tests for :func:`keep`.
    """

    def endpoint(
        self, handed_over: socket.socket, family: int = socket.AF_INET
    ) -> AdoptedStreamServerEndpoint:
        """
        Make an endpoint of a socket that was handed over.
        """
        self.addCleanup(handed_over.close)
        handed_over.set_inheritable(True)
        return AdoptedStreamServerEndpoint(
            MemoryReactor(), handed_over.fileno(), family
        )

    def test_copy(self) -> None:
        """
        The endpoint has a copy, to close as it likes; the socket itself stays
        open, and no program that is started gets either.
        """
        listening = socket.create_server(("127.0.0.1", 0))
        endpoint = self.endpoint(listening)
        keep(endpoint)
        self.assertNotEqual(endpoint.fileno, listening.fileno())
        self.assertFalse(os.get_inheritable(endpoint.fileno))
        self.assertFalse(listening.get_inheritable())
        os.close(endpoint.fileno)
        socket.create_connection(listening.getsockname(), 5).close()

    def test_family(self) -> None:
        """
        It is of the family that the socket is of.
        """
        listening = socket.socket(socket.AF_UNIX)
        listening.bind("")
        listening.listen()
        endpoint = self.endpoint(listening)
        keep(endpoint)
        self.addCleanup(os.close, endpoint.fileno)
        self.assertEqual(endpoint.addressFamily, socket.AF_UNIX)

    def test_no_listener(self) -> None:
        """
        A socket on which nobody listens, or that takes datagrams, is refused,
        and nothing of it stays open.
        """
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            endpoint = self.endpoint(socket.socket(type=kind))
            free = os.dup(0)
            os.close(free)
            why = str(self.assertRaises(NoListener, keep, endpoint))
            self.assertIn("ListenStream=", why)
            self.assertRaises(OSError, os.fstat, free)
