"""
What a real daemon tells those who watch it.
"""

from __future__ import annotations

import errno
import json
import shutil
import socket
import subprocess
from http.client import HTTPConnection
from typing import Any
from unittest import SkipTest

from attrs import frozen
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import Asked, always, in_turn
from micamsgr.sandbox.meta import Habits
from tests.daemon import (
    DELIVERY,
    eventually,
    reactor,
)
from tests.disk import Disk
from tests.ports import free_port
from tests.test_disk import RETRIES
from tests.test_reload import ReloadCase

ALICE, *OTHERS = (str(6284913775102846 + n) for n in range(4))

PATHS = ("/healthz", "/readyz", "/metrics")

# What an LLM's server may say of itself, and must not get around.
_HOSTILE = b'{"error": {"message": "Hello, planted words sk-planted-key", "code": "x"}}'


@frozen
class Shown:
    """
    An answer.
    """

    status: int
    headers: dict[str, str]
    body: str


def _ask(port: int, path: str, method: str) -> Shown:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Shown(answer.status, headers, answer.read().decode())
    finally:
        connection.close()


class AdminCase(ReloadCase):
    """
    A daemon that somebody watches.
    """

    def setUp(self) -> None:
        super().setUp()
        self.admin = free_port()
        self.watched: dict[str, Any] = {
            "admin": {"listen": f"tcp:{self.admin}:interface=127.0.0.1"}
        }

    async def look(
        self, path: str, method: str = "GET", port: int | None = None
    ) -> Shown:
        """
        Ask for a page.
        """
        shown: Shown = await deferToThread(_ask, port or self.admin, path, method)
        return shown

    async def failing(self) -> list[str]:
        """
        List the checks that fail, by name.
        """
        shown = await self.look("/readyz")
        told: dict[str, Any] = json.loads(shown.body)
        failing = [check["name"] for check in told["checks"] if not check["ok"]]
        self.assertEqual(shown.status, 503 if failing else 200)
        self.assertEqual(told["ready"], not failing)
        for check in told["checks"]:
            self.assertTrue(check["means"])
            self.assertTrue(check["todo"] or check["status"] == "ok", check)
        return failing

    async def fails(self, *names: str) -> None:
        """
        Wait until just these checks fail.
        """
        for _ in range(200):
            found = await self.failing()
            if found == [*names]:
                return
            await self.passed(0.1)
        raise AssertionError(f"{found} fail, not {names}")

    async def known(self) -> None:
        """
        Wait until everything is known.
        """
        for _ in range(200):
            if "unknown" not in (await self.look("/readyz")).body:
                return
            await self.passed(0.1)
        raise AssertionError("something stays unknown")

    async def passed(self, seconds: float) -> None:
        """
        Let a little time go by between two looks.
        """
        await deferLater(reactor, seconds)


class PageTests(AdminCase):
    """
    Tests for the pages.
    """

    async def test_well(self) -> None:
        """
        A daemon that is well says so, and shows what it counts; and that only
        where it was told to.
        """
        daemon = await self.serve(**self.watched)
        self.write(ALICE, "Hello")
        await self.said(ALICE)
        await self.settled()
        alive = await self.look("/healthz")
        self.assertEqual((alive.status, alive.body), (200, "ok\n"))
        await self.known()
        ready = await self.look("/readyz")
        self.assertEqual(ready.headers["content-type"], "application/json")
        checks = json.loads(ready.body)["checks"]
        self.assertEqual(
            [(check["name"], check["bot"], check["status"]) for check in checks],
            [
                ("serving", None, "ok"),
                ("store", None, "ok"),
                ("clock", None, "ok"),
                ("backlog", None, "ok"),
                ("token", "mica", "ok"),
                ("subscribed", "mica", "ok"),
                ("sending", "mica", "ok"),
                ("llm", "mica", "ok"),
            ],
        )
        metrics = await self.look("/metrics")
        self.assertTrue(metrics.headers["content-type"].startswith("text/plain; ver"))
        self.assertIn('mica_send_total{outcome="sent"} 1.0', metrics.body)
        self.assertIn('mica_check_ok{bot="mica",check="token"} 1.0', metrics.body)
        for path in PATHS:
            self.assertEqual((await self.look(path, port=self.port)).status, 404)
        self.assertNotIn("not on loopback", daemon.output)

    async def test_methods(self) -> None:
        """
        The pages can only be read, HEAD leaves the body out, and beside them
        there is nothing.
        """
        await self.serve(**self.watched)
        for path in PATHS:
            head = await self.look(path, "HEAD")
            self.assertEqual((head.status, head.body), (200, ""))
            self.assertGreater(int(head.headers["content-length"]), 0)
            for method in ("POST", "PUT", "DELETE", "OPTIONS"):
                refused = await self.look(path, method)
                self.assertEqual(refused.status, 405)
                self.assertEqual(refused.headers["allow"], "GET, HEAD")
        for path in ("/", "/metrics/", "/healthz/x", "/metric", "/v1/facebook"):
            self.assertEqual((await self.look(path)).status, 404)

    async def test_promtool(self) -> None:
        """
        Prometheus' own tool finds nothing to complain of in what is shown.
        """
        tool = shutil.which("promtool")
        if tool is None:
            raise SkipTest("needs promtool, of Debian's prometheus")
        await self.serve(**self.watched, delivery=DELIVERY)
        self.stand_ins.model.faults = in_turn("completion", llm.INTERNAL)
        self.write(ALICE, "Hello")
        await self.said(ALICE, seconds=40.0)
        await self.settled()
        shown = (await self.look("/metrics")).body
        checked = await deferToThread(
            subprocess.run,
            [tool, "check", "metrics"],
            input=shown,
            capture_output=True,
            text=True,
        )
        self.assertEqual(
            (checked.returncode, checked.stdout, checked.stderr), (0,) + ("",) * 2
        )

    async def test_everywhere(self) -> None:
        """
        An endpoint that others may reach is warned of, one by a UNIX socket is
        not, and both serve.
        """
        path = self.directory.resolve() / "admin.sock"
        far = f"tcp:{self.admin}"
        daemon = await self.serve(admin={"listen": [f"unix:{path}:mode=600", far]})
        warned = [line for line in daemon.output.splitlines() if "loopback" in line]
        self.assertEqual(len(warned), 1)
        self.assertIn(far, warned[0])
        self.assertEqual((await self.look("/healthz")).status, 200)

        def ask() -> bytes:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(20)
                client.connect(str(path))
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                return client.recv(4096)

        self.assertIn(b" 200 OK\r\n", await deferToThread(ask))

    async def test_planted(self) -> None:
        """
        Neither secrets, nor what people wrote, nor what an LLM's server said
        of itself is on any page, whatever has gone wrong.
        """
        await self.serve(**self.watched, delivery=DELIVERY)
        mids = {self.write(ALICE, "My password is swordfish")}
        await self.said(ALICE)
        self.stand_ins.model.faults = always(
            "completion", llm.Fault(status=500, body=_HOSTILE)
        )
        # What befalls one person is that one's trouble, and not the LLM's.
        for other in OTHERS:
            mids.add(self.write(other, "Is my password safe?"))
            mids.add(self.write(other, "And my credit card?"))
        await self.fails("llm")
        self.page.token, token = "EAAnext0token0of0this0page", self.page.token
        self.stand_ins.model.faults = lambda call, random: None
        await self.fails("token")
        shown = [(await self.look(path)).body for path in PATHS]
        self.page.token = token
        for text in shown:
            for secret in {*self.secrets(), token, self.page.id, ALICE, *OTHERS}:
                self.assertNotIn(secret, text)
            for words in ("planted", "sk-", "swordfish", *mids):
                self.assertNotIn(words, text)


class ReadinessTests(AdminCase):
    """
    Tests for what makes a daemon unready, and ready again.
    """

    async def test_token(self) -> None:
        """
        A token that the Graph API refuses makes it unready, until a good one is
        loaded; that it is alive does not depend on it.
        """
        daemon = await self.serve(**self.watched)
        await self.fails()
        self.page.token = "EAAnext0token0of0this0page"
        self.write(ALICE, "Are you there?")
        await self.fails("token")
        self.assertEqual((await self.look("/healthz")).status, 200)
        metrics = (await self.look("/metrics")).body
        self.assertIn('mica_sending_paused{bot="mica"} 1.0', metrics)
        self.assertIn('mica_check_ok{bot="mica",check="token"} 0.0', metrics)
        self.rewrite(daemon, **self.watched)
        await self.reload(daemon)
        await self.said(ALICE)
        await self.fails()
        await self.settled()

    async def test_bad_from_the_start(self) -> None:
        """
        That the token is bad is known before anybody writes.
        """
        token, self.page.token = self.page.token, "EAAnext0token0of0this0page"
        daemon = self.daemon(**self.watched, facebook={"page_access_token": token})
        daemon.start()
        await daemon.ready()
        await self.fails("token")

    async def test_subscription(self) -> None:
        """
        A Page that Meta does not tell of makes it unready, where it is not to
        mend that itself.
        """
        self.page.fields = set()
        await self.serve(**self.watched, subscriptions={"repair": False})
        await self.fails("subscribed")

    async def test_language_model(self) -> None:
        """
        An LLM that is left alone makes it unready, for as long as that lasts.
        """
        await self.serve(**self.watched)
        self.stand_ins.model.faults = always("completion", llm.BAD_KEY)
        self.write(ALICE, "Hello?")
        await self.fails("llm")
        self.stand_ins.model.faults = lambda call, random: None

    async def test_stopping(self) -> None:
        """
        While a stop lets what is in flight finish it is alive, and not ready.
        """
        daemon = await self.serve(**self.watched)
        self.stand_ins.model.faults = in_turn("completion", llm.Fault(delay=4.0))
        self.write(ALICE, "Just before the end")
        await self.stand_ins.until(lambda: bool(self.stand_ins.journal.of(Asked)))
        daemon.terminate()
        await eventually(lambda: "stopping: " in daemon.output)
        self.assertEqual((await self.look("/healthz")).status, 200)
        self.assertEqual(await self.failing(), ["serving"])
        self.assertEqual((await self.look("/metrics")).status, 200)
        await daemon.exited
        await self.serve()
        await self.said(ALICE)
        await self.settled()

    async def test_stuck_disk(self) -> None:
        """
        While the store's thread hangs in a write it is not alive, and says so
        within seconds, to however many ask; afterwards it is, without a
        restart.
        """
        disk = Disk(self.directory, self.directory / "mica.db")
        self.addCleanup(disk.close)
        await self.serve(disk.starter, **self.watched, delivery=DELIVERY)
        disk.slow(9.0)
        self.write(ALICE, "Slow")
        while (alive := await self.look("/healthz")).status == 200:
            await self.passed(0.1)
        self.assertEqual(alive.status, 503)
        self.assertIn("has not answered", alive.body)
        self.assertEqual(await self.failing(), ["store"])
        metrics = (await self.look("/metrics")).body
        self.assertIn('mica_check_ok{bot="",check="store"} 0.0', metrics)
        disk.slow(0.0)
        await self.said(ALICE, seconds=40.0)
        await self.fails()
        self.assertEqual((await self.look("/healthz")).status, 200)
        await self.settled()

    async def test_disk(self) -> None:
        """
        While nothing can be written it is not ready, though alive, and says
        so even where nobody writes any more; afterwards it is, without a
        restart.
        """
        self.stand_ins.meta.habits = Habits(retries=RETRIES)
        disk = Disk(self.directory, self.directory / "mica.db")
        self.addCleanup(disk.close)
        await self.serve(disk.starter, **self.watched, delivery=DELIVERY)
        for number, error in enumerate((errno.ENOSPC, errno.EROFS)):
            await self.fails()
            disk.break_down(error)
            self.write(ALICE, "Is this kept?")
            await self.fails("store")
            self.assertEqual((await self.look("/healthz")).status, 200)
            disk.break_down(0)
            await self.said(ALICE, number + 1, seconds=40.0)
        await self.fails()
        await self.settled()
