"""
Tests for :mod:`micamsgr.messenger.signed_request`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.errors import RejectedRequest
from micamsgr.messenger.signed_request import (
    LARGEST,
    LARGEST_FORM,
    SignedRequest,
    check_signed_request,
    form_field,
)
from micamsgr.test.properties import given, st

VECTORS = Path(__file__).parent / "payloads/events/signature-vectors.json"
SECRET = b"3f1d9c0b7a6e4825b1c0d9e8f7a6b5c4"
USER = "10229876543210987"
ISSUED = 1795012345


def encode(data: bytes) -> bytes:
    """
    Encode as Meta does.
    """
    return urlsafe_b64encode(data).rstrip(b"=")


def seal(payload: bytes, secret: bytes = SECRET) -> bytes:
    """
    Sign a payload that is encoded already.
    """
    return encode(hmac.new(secret, payload, hashlib.sha256).digest()) + b"." + payload


def signed(secret: bytes = SECRET, **changes: Any) -> bytes:
    """
    Make a signed request as Meta does; what is ``...`` is not there.
    """
    content: dict[str, object] = {
        "user_id": USER,
        "algorithm": "HMAC-SHA256",
        "issued_at": ISSUED,
        **changes,
    }
    present = {name: value for name, value in content.items() if value is not ...}
    return seal(encode(json.dumps(present).encode()), secret)


class SignedRequestTests(SynchronousTestCase):
    """
    Tests for what is authentic, and what it says.
    """

    def refused(self, text: bytes, secret: bytes = SECRET) -> int:
        """
        Give the status with which something is refused.
        """
        with self.assertRaises(RejectedRequest) as refusal:
            check_signed_request(secret, text)
        self.assertNotIn(USER, str(refusal.exception))
        status: int = refusal.exception.status
        return status

    def test_vector(self) -> None:
        """
        What others computed is authentic with their secret, and with no other.
        """
        vector = json.loads(VECTORS.read_text())["signed_request"]
        text, secret = vector["signed_request"].encode(), vector["app_secret"].encode()
        self.assertEqual(
            check_signed_request(secret, text),
            SignedRequest(user=USER, issued=str(ISSUED)),
        )
        self.assertEqual(self.refused(text, secret[::-1]), 403)

    def test_forged(self) -> None:
        """
        Whichever character of it is another, it is refused.
        """
        text = signed()
        for place, character in enumerate(text):
            other = b"B" if character == ord("A") else b"A"
            # In the last one are two bits that stand for nothing.
            if place == 42 and character in b"ABCD":
                other = b"Z"
            forged = text[:place] + other + text[place + 1 :]
            self.assertIn(self.refused(forged), (400, 403), place)

    def test_no_signature(self) -> None:
        """
        A signature that is missing, short, or of another kind is none.
        """
        signature, payload = signed().split(b".")
        sha1 = encode(hmac.new(SECRET, payload, hashlib.sha1).digest())
        decoded = hmac.new(SECRET, b"{}", hashlib.sha256).digest()
        for text, status in (
            (b"." + payload, 400),
            (payload, 400),
            (b"", 400),
            (b".", 400),
            (signature + b".", 400),
            (signature + b".." + payload, 400),
            (signature + b"." + payload + b".x", 400),
            (signature[:42] + b"." + payload, 403),
            (signature[:20] + b"." + payload, 403),
            (signature[:41] + b"." + payload, 400),
            (sha1 + b"." + payload, 403),
            (encode(decoded) + b"." + encode(b"{}"), 403),
            (b" " + signature + b"." + payload, 400),
            (signature + b".\xc3\xa4" + payload, 400),
        ):
            self.assertEqual(self.refused(text), status, text)

    def test_algorithm(self) -> None:
        """
        However its name is spelled, only one algorithm is believed in.
        """
        for name in ("HMAC-SHA256", "hmac-sha256", "Hmac-Sha256"):
            self.assertEqual(
                check_signed_request(SECRET, signed(algorithm=name)).user, USER
            )
        for other in ("none", "", "HMAC-SHA1", "HMAC-SHA256 ", None, ["HMAC-SHA256"]):
            self.assertEqual(self.refused(signed(algorithm=other)), 403, other)
        self.assertEqual(self.refused(signed(algorithm=...)), 403)

    def test_padded(self) -> None:
        """
        Padding is no fault, neither that of the signature nor that of what is
        signed.
        """
        for length in range(3):
            content = {"algorithm": "HMAC-SHA256", "user_id": USER, "x": "y" * length}
            payload = urlsafe_b64encode(json.dumps(content).encode())
            digest = hmac.new(SECRET, payload, hashlib.sha256).digest()
            text = urlsafe_b64encode(digest) + b"." + payload
            self.assertEqual(check_signed_request(SECRET, text).user, USER)

    def test_alphabet(self) -> None:
        """
        Only the alphabet for URLs is understood; nothing is passed over.
        """
        payload = b64encode(b'{"algorithm": "HMAC-SHA256", "x": "???>>>"}').rstrip(b"=")
        self.assertTrue(b"/" in payload or b"+" in payload)
        for odd in (payload, encode(b'{"algorithm": "HMAC-SHA256"}') + b"!"):
            self.assertEqual(self.refused(seal(odd)), 400)

    def test_spellings(self) -> None:
        """
        A number may be text, and text a number; what else is there is passed
        over.
        """
        spellings: tuple[tuple[dict[str, Any], SignedRequest], ...] = (
            ({"issued_at": str(ISSUED)}, SignedRequest(user=USER, issued=str(ISSUED))),
            (
                {"issued_at": float(ISSUED)},
                SignedRequest(user=USER, issued=str(ISSUED)),
            ),
            ({"issued_at": ...}, SignedRequest(user=USER)),
            ({"issued_at": None}, SignedRequest(user=USER)),
            ({"issued_at": "soon"}, SignedRequest(user=USER, issued="soon")),
            ({"user_id": int(USER)}, SignedRequest(user=USER, issued=str(ISSUED))),
            (
                {
                    "user": {"country": "fi", "locale": "fi_FI", "age": {"min": 21}},
                    "expires": 1,
                    "oauth_token": "EAAB1",
                },
                SignedRequest(user=USER, issued=str(ISSUED)),
            ),
            (
                {"user_id": "0", "profile_id": "108463527190842"},
                SignedRequest(page="108463527190842", issued=str(ISSUED)),
            ),
            (
                {"user_id": 0, "profile_id": 108463527190842},
                SignedRequest(page="108463527190842", issued=str(ISSUED)),
            ),
            ({"user_id": ...}, SignedRequest(issued=str(ISSUED))),
            ({"user_id": None}, SignedRequest(issued=str(ISSUED))),
            ({"user_id": ""}, SignedRequest(issued=str(ISSUED))),
        )
        for changes, expected in spellings:
            found = check_signed_request(SECRET, signed(**changes))
            self.assertEqual(found, expected)

    def test_odd(self) -> None:
        """
        What is authentic, but can't be understood, is refused.
        """
        for payload in (b"", b"[]", b'"text"', b"{", b"\xff", b"[" * 5000):
            self.assertEqual(self.refused(seal(encode(payload))), 400, payload)
        odd: tuple[dict[str, Any], ...] = (
            {"user_id": ["1"]},
            {"user_id": True},
            {"user_id": False},
            {"user_id": 1.5},
            {"user_id": "1" * 65},
            {"user_id": "a b"},
            {"user_id": "erased 1"},
            {"user_id": -1.0},
            {"profile_id": {}},
            {"issued_at": [ISSUED]},
            {"issued_at": True},
        )
        for changes in odd:
            self.assertEqual(self.refused(signed(**changes)), 400, changes)

    def test_size(self) -> None:
        """
        What is larger than anything of Meta's is refused, authentic or not.
        """
        self.assertEqual(self.refused(signed(x="x" * LARGEST)), 400)
        check_signed_request(SECRET, signed(x="x" * (LARGEST // 2)))

    @given(st.binary(max_size=200))
    def test_anything(self, text: bytes) -> None:
        """
        Whatever is sent, signed or not, is understood or refused.
        """
        for attempt in (text, seal(text), seal(encode(text))):
            try:
                check_signed_request(SECRET, attempt)
            except RejectedRequest as refusal:
                self.assertIn(refusal.status, (400, 403))


class FormTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.messenger.signed_request.form_field`.
    """

    def test_field(self) -> None:
        """
        The field is found, wherever it is, however it is escaped.
        """
        for body in (
            b"signed_request=a.b%3D",
            b"signed_request=a.b=",
            b"x=&y&signed_request=a.b%3d&signed_request_=c",
        ):
            self.assertEqual(form_field(body, b"signed_request"), b"a.b=")

    def test_none(self) -> None:
        """
        Where it isn't there, or twice, or among too many, or in too large a
        form, the form is refused.
        """
        for body, status in (
            (b"", 400),
            (b"signed_request=", 400),
            (b"signed_request", 400),
            (b"a.b", 400),
            (b'{"signed_request": "a.b"}', 400),
            (b"signed_request=a.b&signed_request=a.b", 400),
            (b"signed_request=a.b" + b"&x=y" * 1000, 400),
            (b"signed_request=" + b"x" * LARGEST_FORM, 413),
        ):
            with self.assertRaises(RejectedRequest) as refusal:
                form_field(body, b"signed_request")
            self.assertEqual(refusal.exception.status, status, body[:40])
