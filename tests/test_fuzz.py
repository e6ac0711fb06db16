"""
Bodies that nobody would send, posted to a real daemon; ``bench/fuzz.py`` posts
more of them.
"""

from __future__ import annotations

import sys

from twisted.internet.threads import deferToThread

from bench.fuzz import fuzz
from tests.daemon import DaemonCase
from tests.launch import starter

BOB = "6284913775102999"

SEED, BODIES = 1, 3000


class FuzzTests(DaemonCase):
    """
    Tests for mutated payloads.
    """

    # What is kept of them is nothing that people wrote.
    judged = False

    async def test_mutated(self) -> None:
        """
        Each body is answered as it should be, 200, 400 or 403; nothing makes
        the daemon stumble, and people are answered after it.
        """
        # Nobody of whom the bodies tell is to be answered.
        daemon = await self.serve(allow=[BOB])
        secret = self.page.app.secret.encode()
        statuses = await deferToThread(fuzz, self.port, secret, SEED, BODIES)
        self.assertEqual(sum(statuses.values()), BODIES)
        self.assertEqual(set(statuses), {200, 400, 403})
        self.write(BOB, "Still there, are you?")
        self.assertEqual(await self.said(BOB), ["You said: Still there, are you?"])
        self.assertNotIn("critical", daemon.output)

    async def test_noticed(self) -> None:
        """
        A build that trusts what is signed does not get by.
        """
        starter_ = starter(sys.executable, broken=["stumbling"])
        daemon = await self.serve(starter_, allow=[BOB])
        secret = self.page.app.secret.encode()
        posting = deferToThread(fuzz, self.port, secret, SEED, BODIES)
        with self.assertRaisesRegex(AssertionError, "503 instead of"):
            await posting
        await daemon.stop()
        # Which the other test would not have let pass either.
        self.assertIn("Traceback", daemon.output)
        self.daemons.clear()
