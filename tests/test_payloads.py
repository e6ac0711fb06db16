"""
Every payload that Meta documents, or that others captured, posted to a real
daemon.
"""

from __future__ import annotations

import json
from pathlib import Path

import micamsgr.test
from micamsgr.sandbox.meta import signature
from tests.daemon import DaemonCase, callback

PAYLOADS = Path(micamsgr.test.__file__).parent / "payloads"

# Nobody of whom the payloads tell.
BOB = "6284913775102999"


def is_envelope(body: bytes) -> bool:
    """
    Say whether a body is a notification, as far as its outermost shape goes.
    """
    try:
        document = json.loads(body)
    except ValueError:
        return False
    return isinstance(document, dict) and isinstance(document.get("entry"), list)


class PayloadTests(DaemonCase):
    """
    Tests for what the daemon answers to payloads that others wrote.
    """

    async def post(self, body: bytes) -> int:
        """
        Deliver exactly these bytes, signed.
        """
        signed = {"X-Hub-Signature-256": signature(self.page.app.secret, body)}
        return await self.stand_ins.client.post(callback(self.port), body, signed)

    async def still_there(self) -> None:
        """
        Check that the daemon still answers people.
        """
        self.write(BOB, "Still there, are you?")
        self.assertEqual(await self.said(BOB), ["You said: Still there, are you?"])

    async def test_as_they_are(self) -> None:
        """
        What is a notification is answered 200, and what isn't 400.
        """
        await self.serve()
        paths = sorted(path for path in PAYLOADS.rglob("*") if path.is_file())
        self.assertGreater(len(paths), 200)
        for path in paths:
            body = path.read_bytes()
            wanted = 200 if is_envelope(body) else 400
            self.assertEqual(await self.post(body), wanted, path.name)
        await self.still_there()

    async def test_items(self) -> None:
        """
        A single event, put into a notification, is answered 200.
        """
        await self.serve()
        paths = sorted(PAYLOADS.rglob("*__event-*.json"))
        self.assertGreater(len(paths), 40)
        for path in paths:
            entry = {"id": self.page.id, "messaging": [json.loads(path.read_bytes())]}
            body = json.dumps({"object": "page", "entry": [entry]}).encode("ascii")
            self.assertEqual(await self.post(body), 200, path.name)
        rows = self.kept("SELECT kind FROM event")
        self.assertGreater(len(rows), 40)
        self.assertNotIn({"kind": "unreadable"}, rows)
        await self.still_there()
