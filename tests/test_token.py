"""
A real daemon whose token is about to expire.
"""

from __future__ import annotations

import json
from typing import Any

from micamsgr.sandbox.ailments import Ailment, afflict
from tests.test_admin import AdminCase

ALICE = "6284913775102846"
DAY = 86400


class TokenTests(AdminCase):
    """
    Tests for what the daemon finds out about its token by itself.
    """

    async def token(self, word: str) -> dict[str, Any]:
        """
        Wait until ``/readyz`` tells of the token in such words.
        """
        for _ in range(200):
            told = json.loads((await self.look("/readyz")).body)
            (check,) = (it for it in told["checks"] if it["name"] == "token")
            if word in check["means"]:
                return dict(check)
            await self.passed(0.1)
        raise AssertionError(f"{word!r} is not in {check['means']!r}")

    def afflict(self, *ailments: Ailment) -> None:
        """
        Let something be wrong with the token.
        """
        for each in ailments:
            afflict(each, self.page, self.stand_ins.meta, self.stand_ins.graph)

    async def expires(self) -> list[str]:
        """
        Read when the metrics say that the token expires.
        """
        metrics = (await self.look("/metrics")).body.splitlines()
        name = "mica_token_expires_timestamp_seconds"
        return [line.split()[1] for line in metrics if line.startswith(name)]

    async def test_expiring(self) -> None:
        """
        It is warned of days before, once, while all is answered as ever; and
        no more as soon as a token is loaded that does not expire.
        """
        self.afflict(Ailment.EXPIRING)
        daemon = await self.serve(**self.watched)
        check = await self.token("expires in 3.0 days")
        self.assertEqual((check["status"], check["ok"]), ("warning", True))
        self.assertIn("facebook.page_access_token", check["todo"])
        self.assertEqual(await self.failing(), [])
        [at] = await self.expires()
        self.assertEqual(int(float(at)), self.page.grant.expires_at)
        self.write(ALICE, "Hello")
        await self.said(ALICE)
        self.rewrite(daemon, **self.watched, facebook={"mark_seen": False})
        await self.reload(daemon)
        await self.token("expires in 3.0 days")
        self.assertEqual(daemon.output.count("expires in 3.0 days"), 1)
        self.page.token, self.page.grant.expires_at = "another-token", 0
        self.rewrite(daemon, **self.watched)
        await self.reload(daemon)
        await self.token("the Graph API takes the token")
        self.assertEqual(await self.expires(), [])
        self.assertEqual(daemon.output.count("expires in 3.0 days"), 1)

    async def test_lacking(self) -> None:
        """
        What else is to be expected of it is told, too, also where the
        configuration names the app.
        """
        self.afflict(Ailment.DATA_ACCESS, Ailment.NO_METADATA)
        app = {"app_id": self.page.app.id}
        daemon = await self.serve(**self.watched, facebook=app)
        check = await self.token("lacks pages_manage_metadata")
        self.assertEqual(check["status"], "warning")
        self.assertIn("access to data has expired", check["means"])
        for said in ("lacks permissions: pages_manage_metadata", "has expired: log in"):
            self.assertEqual(daemon.output.count(said), 1)

    async def test_other_app(self) -> None:
        """
        A token that is another app's than the one that is configured fails
        that check, before anybody writes.
        """
        app = {"app_id": self.page.app.id, "secret": self.page.app.secret}
        self.afflict(Ailment.OTHER_APP)
        daemon = await self.serve(**self.watched, facebook=app)
        check = await self.token("another app's than facebook.app_id")
        self.assertEqual(check["status"], "failed")
        self.assertIn("is another app's", daemon.output)
