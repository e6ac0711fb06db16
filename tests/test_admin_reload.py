"""
Where a real daemon listens for those who watch it, and how that changes.
"""

from __future__ import annotations

import socket

from twisted.internet.error import ConnectionRefusedError

from tests.daemon import Daemon, DaemonCase, configuration
from tests.ports import free_port
from tests.test_admin import PATHS, AdminCase


class AdminReloadTests(AdminCase):
    """
    Tests for what becomes of the pages where the configuration changes.
    """

    async def test_opened_and_closed(self) -> None:
        """
        A reload listens where the file says now, and no longer where it said
        before; and where the rest of the file can't be had, not at all.
        """
        daemon = await self.serve()
        self.rewrite(daemon, **self.watched, listen=["tcp:1:interface=192.0.2.1"])
        await self.reload(daemon, "the configuration in force stays")
        await self.gone()
        self.rewrite(daemon, **self.watched)
        await self.reload(daemon)
        self.assertIn(f"listening on: tcp:{self.admin}", daemon.output)
        self.assertEqual((await self.look("/healthz")).status, 200)
        further = free_port()
        taken = {"listen": ["tcp:1:interface=192.0.2.1"]}
        own = [f"tcp:{port}:interface=127.0.0.1" for port in (self.port, further)]
        self.rewrite(daemon, admin=taken, listen=own)
        await self.reload(daemon, "the configuration in force stays")
        self.assertEqual((await self.look("/healthz")).status, 200)
        await self.gone(further)
        self.rewrite(daemon)
        await self.reload(daemon)
        self.assertIn(f"no longer listening on: tcp:{self.admin}", daemon.output)
        await self.gone()

    async def gone(self, port: int | None = None) -> None:
        """
        See that nobody listens.
        """
        url = f"http://127.0.0.1:{port or self.admin}/healthz"
        await self.assertFailure(self.stand_ins.client.get(url), ConnectionRefusedError)

    async def test_bots(self) -> None:
        """
        A bot that is taken away is not told of any more, and nor is its LLM.
        """
        other = self.stand_ins.open_page("", "108463527190843")
        ink = configuration(self.stand_ins, other, self.port, bot_name="ink")
        ink = {key: ink[key] for key in ("bot_name", "llm_config", "facebook")}
        ink["llm_config"] = {**ink["llm_config"], "model": "of-ink"}
        daemon = await self.serve(**self.watched, bots=[ink])
        await self.fails()
        self.assertIn("ink", (await self.look("/readyz")).body)
        self.assertIn('model="of-ink"', (await self.look("/metrics")).body)
        self.rewrite(daemon, **self.watched)
        await self.reload(daemon)
        for path in PATHS:
            self.assertNotIn("ink", (await self.look(path)).body)
        self.assertIn('bot="mica"', (await self.look("/metrics")).body)


class StartTests(DaemonCase):
    """
    Tests for a daemon that can't tell anything.
    """

    judged = False

    async def test_taken(self) -> None:
        """
        Where somebody else listens there, the daemon does not start, and names
        the line.
        """
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            endpoint = f"tcp:{port}:interface=127.0.0.1"
            daemon: Daemon = self.daemon(admin={"listen": endpoint})
            daemon.start()
            self.assertEqual(await daemon.exited, 1)
        self.assertIn("admin.listen: can't listen on", daemon.errors)
