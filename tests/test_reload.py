"""
Another configuration is put in force while people write: a real daemon, a real
signal.
"""

from __future__ import annotations

from typing import Any

import yaml
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectionRefusedError

from micamsgr.sandbox.journal import Asked, Posted, always
from micamsgr.sandbox.language_model import Fault
from tests.daemon import (
    Daemon,
    DaemonCase,
    callback,
    configuration,
    eventually,
)
from tests.ports import free_port

ALICE, BOB = "6284913775102846", "6284913775102847"
SLOW = Fault(delay=2.0)

_RELOADS = 200
_FORCE = "a configuration is put in force"
_STAYS = "the configuration in force stays"


class ReloadCase(DaemonCase):
    """
    A daemon whose configuration file can be changed.
    """

    def rewrite(self, daemon: Daemon, text: str | None = None, **changes: Any) -> None:
        """
        Change the file, and say nothing.

        :param text: all of it; or else what is to change.
        """
        wanted = configuration(self.stand_ins, self.page, self.port, **changes)
        content = yaml.safe_dump(wanted) if text is None else text
        (self.directory / "mica.yaml").write_text(content)

    async def reload(self, daemon: Daemon, result: str = _FORCE) -> None:
        """
        Send SIGHUP, and wait until the log says what came of it.
        """
        before = daemon.output.count(result)
        daemon.signal("HUP")
        await eventually(lambda: daemon.output.count(result) > before)

    async def status(self, port: int, bot: str = "mica") -> int:
        """
        Look what is at a bot's webhook.
        """
        return (await self.stand_ins.client.get(callback(port, bot)))[0]


class BotTests(ReloadCase):
    """
    Tests for what bots are told anew.
    """

    async def test_instructions(self) -> None:
        """
        Other instructions hold from the next message on, and a turn that is
        under way is finished by the old ones.
        """
        daemon = await self.serve(assistant={"instructions": "Be brief."})
        self.stand_ins.model.faults = always("completion", SLOW)
        self.write(ALICE, "Hello?")
        await self.stand_ins.until(lambda: bool(self.stand_ins.journal.of(Asked)), 20)
        self.rewrite(daemon, assistant={"instructions": "Be verbose."})
        await self.reload(daemon)
        self.assertIn("bots changed: mica", daemon.output)
        self.assertEqual(await self.said(ALICE), ["You said: Hello?"])
        self.write(ALICE, "And now?")
        await self.said(ALICE, 2)
        told = [asked.messages[0][1] for asked in self.stand_ins.journal.of(Asked)]
        self.assertEqual(told, ["Be brief.", "Be verbose."])
        await self.settled()

    async def test_token(self) -> None:
        """
        After the Page's token has expired, and another one is in the file, what
        waited is said at once.
        """
        daemon = await self.serve()
        token, self.page.token = self.page.token, "EAAnext0token0of0this0page"
        self.write(ALICE, "Are you there?")
        await eventually(lambda: "nothing is sent for bot mica" in daemon.output)
        self.rewrite(daemon)
        await self.reload(daemon)
        self.assertEqual(
            await self.said(ALICE, seconds=8.0), ["You said: Are you there?"]
        )
        self.assertNotIn(token, daemon.output)
        await self.settled()

    async def test_added_and_removed(self) -> None:
        """
        A bot that is added is there at once; one that is taken away is not
        there any more, and finishes what it is at.
        """
        daemon = await self.serve()
        other = self.stand_ins.open_page(callback(self.port, "ink"), "108463527190843")
        ink = configuration(self.stand_ins, other, self.port, bot_name="ink")
        ink = {key: ink[key] for key in ("bot_name", "llm_config", "facebook")}
        self.assertEqual(await self.status(self.port, "ink"), 404)
        self.rewrite(daemon, bots=[ink])
        await self.reload(daemon)
        self.assertIn("bots added: ink", daemon.output)
        self.assertEqual(await self.status(self.port, "ink"), 400)
        self.stand_ins.model.faults = always("completion", SLOW)
        self.stand_ins.meta.message(other.id, BOB, "Hello, ink!")
        await self.stand_ins.until(lambda: bool(self.stand_ins.journal.of(Asked)), 20)
        self.rewrite(daemon)
        await self.reload(daemon)
        self.assertIn("bots removed: ink", daemon.output)
        self.assertEqual(await self.status(self.port, "ink"), 404)
        self.assertEqual(await self.said(BOB), ["You said: Hello, ink!"])
        self.assertEqual(await self.status(self.port), 400)
        await self.settled()


class DaemonTests(ReloadCase):
    """
    Tests for what concerns the daemon itself.
    """

    async def test_listeners(self) -> None:
        """
        It listens where the file says now, and no longer where it said before;
        who is connected there is served on.
        """
        daemon = await self.serve()
        further = free_port()
        both = [f"tcp:{port}:interface=127.0.0.1" for port in (self.port, further)]
        self.rewrite(daemon, listen=both)
        await self.reload(daemon)
        self.assertEqual(await self.status(further), 400)
        self.assertEqual(await self.status(self.port), 400)
        self.rewrite(daemon, listen=both[:1])
        await self.reload(daemon)
        self.assertIn(f"no longer listening on: tcp:{further}", daemon.output)
        await self.assertFailure(
            Deferred.fromCoroutine(self.status(further)), ConnectionRefusedError
        )

    async def test_log_level(self) -> None:
        """
        The log says more, or less, from then on.
        """
        daemon = await self.serve(log={"level": "error"})
        self.write(ALICE, "Quietly")
        await self.said(ALICE)
        self.assertNotIn(" info ", daemon.output)
        self.rewrite(daemon, log={"level": "debug"})
        await self.reload(daemon)
        self.write(ALICE, "Loudly")
        await self.said(ALICE, 2)
        await eventually(lambda: " debug " in daemon.output)

    async def test_at_next_start(self) -> None:
        """
        What only a start reads is said, and the rest is in force.
        """
        daemon = await self.serve()
        self.rewrite(daemon, store="sqlite:other.db", log={"level": "debug"})
        await self.reload(daemon)
        told = "store is another than at the start"
        self.assertEqual(daemon.output.count(told), 1)
        self.rewrite(daemon, log={"level": "debug"})
        await self.reload(daemon)
        self.assertEqual(daemon.output.count(told), 1)
        self.assertFalse((self.directory / "other.db").exists())

    async def test_refused(self) -> None:
        """
        Of a file with a fault nothing is taken: the log names the line and the
        key, and everything goes on as it was.
        """
        daemon = await self.serve(assistant={"instructions": "Be brief."})
        taken = free_port()
        faults: dict[str, dict[str, Any]] = {
            "assistant.patience": {"assistant": {"patience": "soon"}},
            "can't listen on": {
                "listen": [f"tcp:{taken}", "tcp:1:interface=192.0.2.1"]
            },
            "It may be this daemon itself": {
                "listen": [f"tcp:{taken}", f"tcp:{self.port}:backlog=7"]
            },
            "tls.certificate": {
                "tls": {"certificate": "no.pem", "private_key": "no.key"}
            },
        }
        for fault, changes in faults.items():
            told = {"instructions": "Be verbose.", **changes.pop("assistant", {})}
            self.rewrite(daemon, assistant=told, **changes)
            await self.reload(daemon, _STAYS)
            self.assertIn(fault, daemon.output)
        self.rewrite(daemon, "bot_name: [")
        await self.reload(daemon, _STAYS)
        self.assertNotIn(_FORCE, daemon.output)
        self.write(ALICE, "Still there?")
        await self.said(ALICE)
        (asked,) = self.stand_ins.journal.of(Asked)
        self.assertEqual(asked.messages[0][1], "Be brief.")
        await self.assertFailure(
            Deferred.fromCoroutine(self.status(taken)), ConnectionRefusedError
        )
        await self.settled()

    async def test_many(self) -> None:
        """
        While people write, the configuration is put in force two hundred times,
        another one each time: no request fails, and each message is answered.
        """
        daemon = await self.serve(delivery={"rate": 0})
        people = [f"62849137750{number:05}" for number in range(20)]
        counts = dict.fromkeys(people, 0)
        for number in range(_RELOADS):
            person = people[number % len(people)]
            counts[person] += 1
            self.write(person, f"Message {counts[person]}")
            told = {"instructions": f"Be number {number}."}
            self.rewrite(daemon, delivery={"rate": 0}, assistant=told)
            await self.reload(daemon)
        await gatherResults(
            Deferred.fromCoroutine(self.said(person, count, 60.0))
            for person, count in counts.items()
        )
        await self.settled()
        statuses = {posted.status for posted in self.stand_ins.journal.of(Posted)}
        self.assertEqual(statuses, {200})
