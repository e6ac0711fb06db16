"""
Tests that whatever shows a secret is found out.
"""

from __future__ import annotations

import treq
from twisted.trial.unittest import SynchronousTestCase

from tests.daemon import VERIFY_TOKEN, DaemonCase, reactor
from tests.planted import shown
from tests.stand_ins import LLM_KEY

SECRET = "sk-planted+key/7 ü"


class SpellingTests(SynchronousTestCase):
    """
    Tests for what is searched.
    """

    def test_spelled(self) -> None:
        """
        A secret is found also as a part of a URL, of JSON or of a header.
        """
        for text in (
            f"key {SECRET}!",
            "?key=sk-planted%2Bkey%2F7%20%C3%BC&x",
            '{"key": "sk-planted+key/7 \\u00fc"}',
            "Basic c2stcGxhbnRlZCtrZXkvNyDDvA==",
        ):
            self.assertEqual(len(shown([SECRET], [("here", text)])), 1, text)
        self.assertEqual(shown([SECRET], [("here", "sk-planted+key")]), [])

    def test_short(self) -> None:
        """
        A short word is searched as it stands, unless the daemon has one of its
        own like it.
        """
        found = shown(["6 p.m.?", "now"], [("here", "now it is 6 p.m.?")])
        self.assertEqual(found, ["'6 p.m.?' in here"])


class HeadTests(DaemonCase):
    """
    Tests for what is asked without a body, as by ``curl -I``.
    """

    async def test_silent(self) -> None:
        """
        It is answered as GET is, and no URL gets into the log, which may hold
        the verification token.
        """
        daemon = await self.serve()
        query = f"hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge=1"
        for path in (f"/v1/facebook/webhook/mica?{query}", "/", "/nowhere"):
            url = f"http://127.0.0.1:{self.port}{path}"
            answer = await treq.head(url, timeout=10, reactor=reactor, persistent=False)
            self.assertEqual(await answer.content(), b"")
        self.assertNotIn("HEAD", daemon.output)
        self.assertNotIn(VERIFY_TOKEN, daemon.output)


class LeakTests(DaemonCase):
    """
    Tests for the search behind each end-to-end test.
    """

    async def test_found(self) -> None:
        """
        The page for the operator, the log, and the list of processes are
        searched, while the daemon lives.
        """
        daemon = await self.serve()
        names = [name for name, _ in await daemon.shown()]
        self.assertEqual(
            names, ["the list of processes", "/metrics", "/readyz", "/healthz"]
        )
        self.write("6284913775102846", "Between you and me")
        await self.said("6284913775102846")
        await self.settled()
        for secret in (LLM_KEY[7:], self.page.token, "Between you and me"):
            places = [("the log", f"{daemon.output} {secret}")]
            self.assertEqual(shown(self.secrets(), places), [f"{secret!r} in the log"])
