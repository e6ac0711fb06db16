"""
Properties of :mod:`micamsgr.messenger.notifications`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from attrs import asdict
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Said, Unreadable
from micamsgr.errors import RejectedRequest
from micamsgr.messenger.attachments import said
from micamsgr.messenger.notifications import (
    MAX_RAW,
    check_signature,
    parse_notification,
)
from micamsgr.test.properties import given, st
from micamsgr.test.test_notifications import NOW, PAGE, echo, item, text

EVENTS = Path(__file__).parent / "payloads" / "events"

NAMES = """
    id sender recipient timestamp message mid text attachments type payload title url
    sticker_id is_echo is_deleted postback read reaction image fallback template
    coordinates lat long product elements field object page messaging entry
    """
WORDS = st.sampled_from(NAMES.split())
# Lone surrogates and NUL are among the characters.
TEXTS = WORDS | st.text(st.characters(), max_size=20)
NUMBERS = st.integers(-(10**39), 10**39) | st.floats(allow_nan=False)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | NUMBERS.filter(lambda number: abs(number) < 1e300)
    | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4)
    ),
    max_leaves=12,
)


def envelope(*entries: object) -> bytes:
    """
    Make a notification of entries.
    """
    return json.dumps({"object": "page", "entry": entries}).encode("ascii")


def entry(*items: object) -> dict[str, Any]:
    """
    Make an entry of items.
    """
    return {"id": PAGE, "time": 7, "messaging": list(items)}


def samples() -> list[dict[str, Any]]:
    """
    List an entry for each thing that Meta documents.
    """
    documents = [json.loads(path.read_text("utf-8")) for path in EVENTS.glob("0*.json")]
    return [entry for document in documents for entry in document["entry"]]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """
    List the path to everything in a JSON value.
    """
    found = [path]
    if isinstance(value, dict | list):
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            found += places(value[key], (*path, key))
    return found


ODD_PLACES = [
    (sample, path) for sample in samples() for path in places(sample) if path != ()
]


class TotalityTests(SynchronousTestCase):
    """
    Tests for what holds whatever Meta sends.
    """

    def assertKept(self, body: bytes) -> None:
        """
        Check that an odd entry leaves those around it as they are, and that
        all that is known of it can be stored.
        """
        first, *odd, last = parse_notification(body, NOW)
        for event in (first, last):
            assert isinstance(event, Said)
            self.assertEqual(event.text, "hi")
        for event in odd:
            self.assertEqual(len(event.key), 16)
            self.assertTrue(0 < event.at < 32_503_680_000_000)
            for value in asdict(event).values():
                if isinstance(value, str):
                    value.encode("utf-8")
                    self.assertNotIn("\0", value)
            if isinstance(event, Said):
                self.assertTrue(event.text)
            if isinstance(event, Unreadable):
                self.assertLessEqual(len(event.raw), MAX_RAW)

    def assertReadOrRefused(self, body: bytes) -> None:
        """
        Check that a body is answered in one of two ways.
        """
        try:
            events = parse_notification(body, NOW)
        except RejectedRequest as refused:
            self.assertEqual(refused.status, 400)
        else:
            self.assertIsInstance(events, tuple)

    @given(st.binary())
    def test_any_bytes(self, body: bytes) -> None:
        """
        Any bytes are either refused with 400 or read.
        """
        self.assertReadOrRefused(body)

    @given(JSON)
    def test_any_json(self, value: object) -> None:
        """
        Any JSON is either refused with 400 or read.
        """
        self.assertReadOrRefused(json.dumps(value).encode("ascii"))

    @given(JSON)
    def test_any_entry(self, value: object) -> None:
        """
        Any JSON may stand in the place of an entry, or of an item.
        """
        good = entry(text())
        self.assertKept(envelope(good, value, good))
        self.assertKept(envelope(entry(text(), value, text())))

    @given(JSON)
    def test_any_value(self, value: Any) -> None:
        """
        Any JSON may stand in the place of a message, or of what is in one.
        """
        names = ("text", "mid", "attachments", "quick_reply", "sticker_id", "app_id")
        odd = [text(**{name: value}) for name in names]
        odd += [echo(**{name: value}) for name in (*names, "metadata")]
        odd += [item(**{name: value}) for name in ("message", "postback", "sender")]
        odd += [item(**{name: value}) for name in ("read", "reaction", "timestamp")]
        odd += [text(attachments=[value])]
        self.assertKept(envelope(entry(text(), *odd, text())))

    @given(st.sampled_from(ODD_PLACES), JSON)
    def test_any_place(
        self, place: tuple[dict[str, Any], tuple[Any, ...]], value: object
    ) -> None:
        """
        Any JSON may stand anywhere in what Meta documents.
        """
        sample, path = place
        changed = deepcopy(sample)
        inside: Any = changed
        for key in path[:-1]:
            inside = inside[key]
        inside[path[-1]] = value
        good = entry(text())
        self.assertKept(envelope(good, changed, good))

    @given(st.dictionaries(WORDS, JSON))
    def test_words(self, message: dict[str, object]) -> None:
        """
        There are words for any message.
        """
        self.assertTrue(said(message))


class RedeliveryTests(SynchronousTestCase):
    """
    Tests for what is known again.
    """

    @given(st.permutations(samples()), st.integers(1, 10**12))
    def test_keys(self, entries: list[dict[str, Any]], later: int) -> None:
        """
        Events have the same keys in whatever order, notification and form
        they come, and whenever that is.
        """
        first = parse_notification(envelope(*entries), NOW)
        for each in entries:
            again = json.dumps(
                {"entry": [each | {"time": later}], "object": "page"},
                sort_keys=True,
                indent=1,
                ensure_ascii=False,
            )
            for event in parse_notification(again.encode("utf-8"), NOW + later):
                self.assertIn(event.key, {known.key for known in first})


class SignatureTests(SynchronousTestCase):
    """
    Tests for what is taken for Meta's.
    """

    @given(st.binary(min_size=1), st.binary())
    def test_signed(self, secret: bytes, body: bytes) -> None:
        """
        Whatever is signed with the secret is accepted.
        """
        digest = hmac.new(secret, body, hashlib.sha256).hexdigest()
        check_signature(secret, body, f"sha256={digest}")

    @given(st.none() | st.binary() | st.text(st.characters()))
    def test_not_signed(self, header: str | bytes | None) -> None:
        """
        Whatever else the header holds, it is refused with 403.
        """
        with self.assertRaises(RejectedRequest) as caught:
            check_signature(b"secret", b"{}", header)
        self.assertEqual(caught.exception.status, 403)
