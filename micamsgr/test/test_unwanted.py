"""
Tests for :mod:`micamsgr.web.unwanted`, through the site and the webhooks.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from micamsgr.messenger.webhook_resource import Nothing
from micamsgr.web.unwanted import body_refusal, methods_at

from .test_compliance import DEAUTHORIZE, DELETION, STATUS, ComplianceCase
from .test_site import Peer
from .test_webhook import PATH, entry, message, notification, post

LENGTH = b"Content-Length: 100000\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
NOWHERE = (
    b"/",
    b"/v1",
    b"/nothing-here",
    b"/v1/facebook/webhook",
    b"/v1/facebook/webhook/",
    b"/v1/facebook/webhook/nobody",
    b"/v1/facebook/webhook/mica/more",
    b"/v1/facebook/deletion",
    b"/v1/facebook/deletion/nobody",
    b"/v1/facebook/deletion/mica/more",
    b"/v1/facebook/deauthorize/mica/",
    b"/x/v1/facebook/webhook/mica",
    b"http://bot.example/v1/facebook/webhook/mica",
    b"*",
    b"/x" * 7000,
)


class DecisionTests(SynchronousTestCase):
    """
    Tests for what is decided by a method alone.
    """

    def test_refusal(self) -> None:
        """
        A body is read where the method takes one, or where it can't be told.
        """
        methods = {b"GET": False, b"POST": True}
        for known, method, status in (
            (methods, b"POST", None),
            (methods, b"GET", 413),
            (methods, b"PUT", 405),
            (methods, b"post", 405),
            ({}, b"POST", 404),
            (None, b"POST", None),
        ):
            self.assertEqual(body_refusal(known, method), status)

    def test_unknown(self) -> None:
        """
        Of a resource that doesn't say what it is for, nothing is known.
        """
        root = Resource()
        root.putChild(b"x", Resource())
        for path in (b"/", b"/x", b"/x/y", b"/y"):
            self.assertIsNone(methods_at(root, path))

    def test_leaf(self) -> None:
        """
        Nothing is looked for below a leaf, as when a request is answered.
        """
        leaf = Nothing()
        leaf.isLeaf = True
        leaf.putChild(b"x", Resource())
        self.assertEqual(methods_at(leaf, b"/x"), {})


class HeadTests(ComplianceCase):
    """
    Tests for bodies that are refused before they come.
    """

    def refused(self, line: bytes, status: int) -> dict[str, str]:
        """
        A request that begins so is refused at its headers if it has a body, and
        nothing of that is held.

        :return: the headers of the answer.
        """
        for length in (LENGTH, CHUNKED, b"Expect: 100-continue\r\n" + LENGTH):
            peer = Peer(self.site)
            peer.send(line + b" HTTP/1.1\r\n" + length)
            head, _, body = peer.received().partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            self.assertEqual(int(first.split()[1]), status, (line[:99], length))
            self.assertTrue(first.startswith("HTTP/1.1 "))
            self.assertTrue(peer.closing)
            peer.send(b"186a0\r\n" if length == CHUNKED else b"", b"x" * 99_999)
            self.assertEqual(self.site.unverified.held, 0)
            self.assertEqual(peer.received(), b"")
            headers = dict(each.split(": ", 1) for each in lines)
            self.assertEqual(headers["Connection"], "close")
            self.assertIs("Allow" in headers, status == 405)
            self.assertEqual(headers["Content-Length"], str(len(body)))
            peer.go()
        return headers

    def test_nowhere(self) -> None:
        """
        A body for a path where there is nothing is answered 404 before it
        comes, for any method.
        """
        for path in NOWHERE:
            for method in (b"POST", b"PUT", b"GET"):
                self.refused(method + b" " + path, 404)

    def test_no_such_method(self) -> None:
        """
        A body with a method that isn't known there is answered 405, with those
        that are.
        """
        for path, allow in (
            (PATH, "GET, POST"),
            (PATH + b"?hub.mode=subscribe", "GET, POST"),
            (DELETION.encode(), "POST"),
            (DEAUTHORIZE.encode(), "POST"),
            (STATUS.encode() + b"x", "GET, HEAD"),
        ):
            for method in (b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"post"):
                headers = self.refused(method + b" " + path, 405)
                self.assertEqual(headers["Allow"], allow)

    def test_no_body(self) -> None:
        """
        A body with a method that takes none is answered 413 before it comes.
        """
        self.refused(b"GET " + PATH, 413)
        self.refused(b"GET " + STATUS.encode() + b"x", 413)
        self.refused(b"HEAD " + STATUS.encode() + b"x", 413)

    def test_too_large(self) -> None:
        """
        What is too large is answered 413, wherever it is for.
        """
        peer = Peer(self.site)
        peer.send(b"POST /nothing-here HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n")
        self.assertEqual(peer.statuses(), [413])

    def test_malformed(self) -> None:
        """
        What is malformed is answered so, and once, wherever it is for.
        """
        peer = Peer(self.site)
        peer.send(b"POST / HTTP/1.0\r\n" + CHUNKED)
        self.assertEqual(peer.statuses(), [400])

    def test_without(self) -> None:
        """
        Requests without a body are answered as ever, and the connection stays.
        """
        peer = Peer(self.site)
        for request, status in (
            (b"GET /nothing-here HTTP/1.1\r\n\r\n", 404),
            (b"POST /nothing-here HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 404),
            (b"PUT " + PATH + b" HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 405),
            (b"GET " + PATH + b" HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400),
        ):
            peer.send(request)
            self.assertEqual(peer.statuses(), [status])
            self.assertFalse(peer.closing)

    def test_wanted(self) -> None:
        """
        A delivery is taken however its path is written, also after another
        request of its connection that had no body.
        """
        body = notification(entry(message()))
        peer = Peer(self.site)
        for path in (PATH, PATH + b"?x=/y", PATH.replace(b"mica", b"m%69ca")):
            peer.send(b"GET /nothing-here HTTP/1.1\r\n\r\n")
            self.assertEqual(peer.statuses(), [404])
            peer.send(post(body, path=path))
            self.assertEqual(peer.statuses(), [200])
