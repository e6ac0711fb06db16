"""
Meta asks the daemon to erase a person, and tells it that its app was removed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from twisted.internet.task import deferLater

from tests.daemon import eventually, reactor
from tests.test_reload import ReloadCase

ALICE, BOB = "6284913775102846", "7391046258813370"

# What Facebook, and nobody else, calls Alice.
APP_SCOPED = "10229876543210987"

URL = "https://bot.example.org"

# Seconds between two looks at a page; there is a limit on them.
_POLL = 0.1


class ComplianceTests(ReloadCase):
    """
    Tests for Meta's callbacks.
    """

    # The oracle would miss what is to be gone.
    judged = False

    def signed(self, **content: object) -> str:
        """
        Sign as Meta does.
        """
        document = {"algorithm": "HMAC-SHA256", "issued_at": 1795012345, **content}
        payload = base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=")
        secret = self.page.app.secret.encode()
        digest = hmac.new(secret, payload, hashlib.sha256).digest()
        seal = base64.urlsafe_b64encode(digest).rstrip(b"=")
        return (seal + b"." + payload).decode()

    async def call(self, what: str, **content: object) -> tuple[int, bytes]:
        """
        Call back about somebody.
        """
        url = f"http://127.0.0.1:{self.port}/v1/facebook/{what}/mica"
        return await self.stand_ins.client.form(
            url, signed_request=self.signed(**content)
        )

    async def ask(self, user: str) -> tuple[str, str]:
        """
        Ask to have somebody erased.

        :return: the code, and the path of its page.
        """
        status, answer = await self.call("deletion", user_id=user)
        self.assertEqual(status, 200, answer)
        document = json.loads(answer)
        url = document["url"]
        self.assertTrue(url.startswith(URL), url)
        return document["confirmation_code"], url.removeprefix(URL)

    async def look(self, path: str) -> str:
        """
        Read a page.
        """
        url = f"http://127.0.0.1:{self.port}{path}"
        status, page = await self.stand_ins.client.get(url)
        self.assertEqual(status, 200)
        return page.decode()

    async def erased(self, path: str) -> None:
        """
        Wait until a page says that all is erased.
        """
        while "Your messages are erased" not in await self.look(path):
            await deferLater(reactor, _POLL)

    async def gone(self, *texts: str) -> None:
        """
        Wait until no file of the store holds any of these.
        """

        def content() -> bytes:
            files = [f for f in self.directory.rglob("mica.db*") if f.is_file()]
            return b"\0".join(file.read_bytes() for file in files)

        await eventually(lambda: not any(it.encode() in content() for it in texts))
        self.assertTrue(BOB.encode() in content())

    async def test_code(self) -> None:
        """
        Who asks on Facebook gets a code; it is the same after the daemon was
        killed; written to the Page, it erases all that they said, and nobody
        else's.
        """
        daemon = await self.serve(public_url=URL)
        self.write(ALICE, "Alice's secret")
        self.write(BOB, "Bob's words")
        await self.said(ALICE)
        await self.said(BOB)
        code, path = await self.ask(APP_SCOPED)
        self.assertIn("one step is left", await self.look(path))
        daemon.kill()
        await daemon.exited
        daemon = await self.serve(public_url=URL)
        self.assertEqual(await self.ask(APP_SCOPED), (code, path))
        self.write(ALICE, code)
        await self.erased(path)
        await self.settled()
        await self.gone("Alice's secret", ALICE, APP_SCOPED)
        self.assertEqual(self.stand_ins.said(ALICE), ["You said: Alice's secret"])
        self.write(BOB, "are you still there?")
        await self.said(BOB, 2)
        self.assertNotIn(APP_SCOPED, daemon.output)
        self.assertNotIn(ALICE, daemon.output)

    async def test_same_id(self) -> None:
        """
        Where the ID is one by which the bot knows somebody, they are erased at
        once.
        """
        await self.serve(public_url=URL)
        self.write(ALICE, "Alice's secret")
        self.write(BOB, "Bob's words")
        await self.said(ALICE)
        await self.said(BOB)
        await self.settled()
        _, path = await self.ask(ALICE)
        await self.erased(path)
        await self.gone("Alice's secret", ALICE)

    async def test_reload(self) -> None:
        """
        Without ``public_url`` no request is taken; once it is in the file, and
        the daemon has read it again, it is; another secret holds at once, too.
        """
        daemon = await self.serve()
        status, answer = await self.call("deletion", user_id=APP_SCOPED)
        self.assertEqual((status, b"public_url" in answer), (503, True))
        self.rewrite(daemon, public_url=URL)
        await self.reload(daemon)
        code, path = await self.ask(APP_SCOPED)
        self.rewrite(daemon, public_url=URL, facebook={"secret": "5" * 32})
        await self.reload(daemon)
        status, _ = await self.call("deletion", user_id=APP_SCOPED)
        self.assertEqual(status, 403)
        self.assertIn(code, await self.look(path))

    async def test_removed(self) -> None:
        """
        That the app was removed from the Page is acknowledged, and an error in
        the log.
        """
        daemon = await self.serve()
        self.write(BOB, "Bob's words")
        await self.said(BOB)
        status, _ = await self.call("deauthorize", user_id="0", profile_id=self.page.id)
        self.assertEqual(status, 200)
        said = f"the app was removed from Page {self.page.id}"
        await eventually(lambda: said in daemon.output)
        await self.settled()
