"""
Tests for what :mod:`micamsgr.messenger.notifications` can't read: the requests
that it refuses, and the items that it keeps as they came.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Other, Said, Unreadable
from micamsgr.errors import RejectedRequest
from micamsgr.messenger.bounded_json import MAX_DEPTH, MAX_DIGITS, MAX_VALUES
from micamsgr.messenger.notifications import (
    MAX_ITEMS,
    MAX_RAW,
    check_signature,
    parse_notification,
)
from micamsgr.test.test_notifications import (
    ALICE,
    NOW,
    PAGE,
    item,
    notification,
    parse,
    text,
)

VECTORS = Path(__file__).parent / "payloads/events/signature-vectors.json"


class CheckSignatureTests(SynchronousTestCase):
    """
    Tests for :func:`check_signature`.
    """

    def setUp(self) -> None:
        self.vectors = json.loads(VECTORS.read_text("utf-8"))["webhook"]
        vector = self.vectors[0]
        self.secret = vector["app_secret"].encode("ascii")
        self.body = vector["body_utf8"].encode("utf-8")
        self.header = vector["x_hub_signature_256"]

    def assertRejected(self, header: str | bytes | None, reason: str) -> None:
        """
        Check that a header is refused for the body.
        """
        with self.assertRaises(RejectedRequest) as caught:
            check_signature(self.secret, self.body, header)
        self.assertEqual(caught.exception.status, 403)
        self.assertEqual(caught.exception.reason, reason)

    def test_known_answers(self) -> None:
        """
        A body signed with the app secret is accepted, whether the header
        comes as text or as bytes.
        """
        self.assertEqual(len(self.vectors), 3)
        for vector in self.vectors:
            body = vector["body_utf8"].encode("utf-8")
            header = vector["x_hub_signature_256"]
            check_signature(vector["app_secret"].encode("ascii"), body, header)
            check_signature(self.secret, body, header.encode("ascii"))

    def test_each_digit(self) -> None:
        """
        A signature that is wrong in any one digit is refused.
        """
        for i in range(len("sha256="), len(self.header)):
            flipped = "0" if self.header[i] != "0" else "1"
            near = self.header[:i] + flipped + self.header[i + 1 :]
            self.assertRejected(near, "signature does not match")

    def test_written_again(self) -> None:
        """
        The signature of a body does not hold for the same data written in
        another way.
        """
        escaped, written_again = self.vectors[1:]
        self.body = written_again["body_utf8"].encode("utf-8")
        self.assertRejected(escaped["x_hub_signature_256"], "signature does not match")

    def test_other_secret(self) -> None:
        """
        What another app's secret signed is refused.
        """
        self.secret = b"0" * 32
        self.assertRejected(self.header, "signature does not match")

    def test_nothing_like_one(self) -> None:
        """
        A header that is missing, cut, too long, in capitals or of another
        kind counts as no signature.
        """
        capitals = "sha256=" + self.header[len("sha256=") :].upper()
        sha1 = self.vectors[0]["x_hub_signature"]
        near = [self.header[:-1], self.header + "0", self.header + "\n", capitals, sha1]
        digits = self.header[len("sha256=") :]
        for header in [None, "", b"", "sha256=", digits, "sha1=" + digits, *near]:
            self.assertRejected(header, "no SHA-256 signature")

    def test_not_ascii(self) -> None:
        """
        A header of any characters or bytes is refused like any other.
        """
        odd = self.header[:-1]
        for header in (odd + "\u00e9", odd + "\ud800", odd.encode("ascii") + b"\xff"):
            self.assertRejected(header, "no SHA-256 signature")


class LimitsTests(SynchronousTestCase):
    """
    Tests for which bodies :func:`parse_notification` refuses.
    """

    def assertRefused(self, body: bytes) -> None:
        """
        Check that a body is answered 400.
        """
        with self.assertRaises(RejectedRequest) as caught:
            parse_notification(body, NOW)
        self.assertEqual(caught.exception.status, 400)

    def test_not_json(self) -> None:
        """
        A body that is not JSON in UTF-8 is refused, and the reason quotes
        none of it.
        """
        whole = notification(text("secret"))
        twice = whole.decode("ascii").encode("utf-16")
        raw_surrogate = whole.replace(b"secret", b"\xed\xa0\x80")
        for body in (b"", whole[:-1], whole + b"x", twice, raw_surrogate, b"\xff"):
            self.assertRefused(body)
        with self.assertRaises(RejectedRequest) as caught:
            parse_notification(whole[:-1], NOW)
        self.assertNotIn("secret", caught.exception.reason)

    def test_no_entries(self) -> None:
        """
        JSON that is no object with a list of entries is refused.
        """
        entries = (b"null", b"{}", b'"x"', b"7")
        bodies = [b'{"object":"page","entry":%b}' % each for each in entries]
        for body in [b"[]", b"null", b'"entry"', b"7", b'{"object":"page"}', *bodies]:
            self.assertRefused(body)

    def test_too_many_items(self) -> None:
        """
        A notification of five thousand items, entries included, is read; one
        more is refused, however they are spread and whatever they are.
        """
        self.assertGreaterEqual(MAX_ITEMS, 5 * 1000)
        room = MAX_ITEMS - 1
        shapes: tuple[Callable[[int], list[object]], ...] = (
            lambda n: [{"id": PAGE, "messaging": [{}] * n}],
            lambda n: [{"id": PAGE, "changes": [7] * n}],
            lambda n: [{"id": PAGE, "messaging": [{}] * (n - 9), "standby": [0] * 9}],
            lambda n: [{"messaging": {}}] * (n + 1),
            lambda n: [0] * (n + 1),
            lambda n: [{"id": PAGE, "messaging": [0] * (n - 1)}, {"id": PAGE}],
        )
        for make in shapes:
            body = json.dumps({"object": "page", "entry": make(room)})
            self.assertGreaterEqual(len(parse_notification(body.encode(), NOW)), 1)
            body = json.dumps({"object": "page", "entry": make(room + 1)})
            self.assertRefused(body.encode())

    def test_too_many_values(self) -> None:
        """
        JSON of a hundred thousand values is read; of many more it is refused,
        whatever they are.
        """
        for value in (b"1", b"[]", b"{}", b'""', b'{"a":1}', b'"\\""', b'"\\\\"'):
            pieces = value.count(b"[") + value.count(b"{") + 1
            for count, refused in ((MAX_VALUES - 100, False), (MAX_VALUES, True)):
                values = b",".join([value] * (count // pieces))
                body = notification(item(telepathy="?")).replace(
                    b'"?"', b"[%b]" % values
                )
                if refused:
                    self.assertRefused(body)
                else:
                    (event,) = parse_notification(body, NOW)
                    self.assertIsInstance(event, Other)

    def test_commas(self) -> None:
        """
        What people write may have as many commas and brackets as they like,
        behind whatever quotes.
        """
        for piece in (",", "[", "{", '",[', "\\,", '\\",', '\\\\",{'):
            written = piece * MAX_VALUES
            body = notification(text(written))
            (event,) = parse_notification(body, NOW)
            assert isinstance(event, Said)
            self.assertEqual(event.text, written)

    def test_not_numbers(self) -> None:
        """
        NaN and Infinity, which are not JSON, are refused; a number too large
        for a float is one.
        """
        body = notification(item(read={"watermark": "X"}))
        for number in (b"NaN", b"Infinity", b"-Infinity"):
            self.assertRefused(body.replace(b'"X"', number))
        (event,) = parse_notification(body.replace(b'"X"', b"1e999"), NOW)
        assert isinstance(event, Other)
        self.assertEqual(event.kind, "read")

    def test_digits(self) -> None:
        """
        A whole number may have so many digits and no more; a text may have
        any number of them.
        """
        longest = "7" * MAX_DIGITS
        for sign in ("", "-"):
            body = notification(text(longest + "7"), time="X")
            most = body.replace(b'"X"', f"{sign}{longest}".encode("ascii"))
            self.assertEqual(len(parse_notification(most, NOW)), 1)
            more = body.replace(b'"X"', f"{sign}{longest}7".encode("ascii"))
            self.assertRefused(more)
            self.assertRefused(body.replace(b'"X"', b"7" * 5000))

    def test_depth(self) -> None:
        """
        JSON may be nested so deeply and no deeper.
        """
        # The notification, its entries, the entry, its items, the item.
        inside = MAX_DEPTH - 5
        body = notification(item(future="X"))
        for opening, inner, closing in ((b"[", b"", b"]"), (b'{"x":', b"7", b"}")):
            nested = opening * inside + inner + closing * inside
            self.assertEqual(
                len(parse_notification(body.replace(b'"X"', nested), 1)), 1
            )
            self.assertRefused(body.replace(b'"X"', opening + nested + closing))
        for depth in (900, 200_000):
            self.assertRefused(b"[" * depth + b"]" * depth)
            self.assertRefused(b"[" * depth)

    def test_wide(self) -> None:
        """
        Many things side by side, and brackets in a text, are not deep.
        """
        items = [text("[" * 100 + "{" * 100)] * 1000
        self.assertEqual(len(parse(*items)), 1000)
        self.assertRefused(json.dumps("[" * 100).encode("ascii"))


class OddTests(SynchronousTestCase):
    """
    Tests for items that are of no known shape.
    """

    def test_neighbors(self) -> None:
        """
        An odd item is kept as it came, and what stands around it is read.
        """
        odd: list[object]
        odd = [None, 7, "x", [], {"message": []}, {"postback": 7}, {"message": {}}]
        for each in odd:
            before, unreadable, after = parse(text("a"), each, text("b"))
            self.assertIsInstance(before, Said)
            self.assertIsInstance(after, Said)
            assert isinstance(unreadable, Unreadable)
            self.assertEqual(json.loads(unreadable.raw), each)
            self.assertEqual(unreadable.page, PAGE)

    def test_odd_entries(self) -> None:
        """
        An entry without a Page, without lists, or with something else in
        their place, is kept beside those that are whole.
        """
        whole = {"id": PAGE, "messaging": [text()]}
        odd: list[object]
        odd = [None, 7, [], {}, {"id": PAGE}, {"messaging": [text()]}]
        no_lists = [{"id": PAGE, "standby": 7}, {"id": PAGE, "messaging": {}}]
        for each in [*odd, *no_lists]:
            document = {"object": "page", "entry": [each, whole]}
            body = json.dumps(document).encode("ascii")
            unreadable, said = parse_notification(body, NOW)
            self.assertIsInstance(unreadable, Unreadable)
            self.assertIsInstance(said, Said)

    def test_raw_is_bounded(self) -> None:
        """
        Only so much is kept of an item that could not be read.
        """
        (event,) = parse("x" * MAX_RAW)
        assert isinstance(event, Unreadable)
        self.assertEqual(event.raw, b'"' + b"x" * (MAX_RAW - 1))

    def test_unheard_of(self) -> None:
        """
        An event of a kind that is new to us is counted, and not unreadable.
        """
        (event,) = parse(item(future={"x": 1}, message=None))
        assert isinstance(event, Other)
        self.assertEqual((event.kind, event.psid), ("unknown", ALICE))
