"""
An operator's commands to a real daemon: how it is, what waits, reload.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import (
    DROPPED_BEFORE,
    Asked,
    always,
    in_turn,
    nothing,
    rejection,
)
from tests.commands import ALICE, BOB, ControlCase
from tests.daemon import DELIVERY, callback, configuration, eventually


class StatusTests(ControlCase):
    """
    Tests for what the daemon tells of itself.
    """

    async def test_status(self) -> None:
        """
        An operator sees the version, the bots with their Pages, what waits, and
        how large the store is; as a table, and for programs.
        """
        await self.serve()
        self.write(ALICE, "Hello")
        await self.said(ALICE)
        await self.settled()
        said = await self.document("status")
        (bot,) = said["bots"]
        self.assertEqual(
            (bot["name"], bot["page"], bot["sending"]), ("mica", self.page.id, "open")
        )
        self.assertGreater(bot["tokens_today"], 0)
        self.assertEqual(said["queue"]["oldest_unanswered"], None)
        self.assertGreater(said["store"]["free_bytes"], 0)
        self.assertGreater(said["uptime"], 0)
        text = await self.done("status")
        self.assertRegex(text, rf"(?m)^BOT +PAGE +SUB.*\nmica +{self.page.id} +")
        self.assertRegex(text, r"(?m)^version +\d+\.\d+")

    async def test_paused(self) -> None:
        """
        That nothing is sent, why, and what to do is told; and which parts wait
        for that, for how long.
        """
        await self.serve(delivery=DELIVERY)
        self.stand_ins.graph.faults = always("message", rejection(190))
        self.write(ALICE, "Hello")

        async def paused() -> dict[str, Any]:
            (bot,) = (await self.document("status"))["bots"]
            return dict(bot)

        bot = await paused()
        while bot["sending"] == "open":
            bot = await paused()
        self.assertIn("190", bot["why"])
        text = await self.done("status")
        self.assertIn("nothing is sent", text)
        self.assertRegex(text, r"(?m)^mica: .*; ", text)
        (part,) = (await self.document("queue", "list"))["parts"]
        self.assertIn("nothing is sent: ", part["waits"])
        self.assertGreater(part["next"], 0.0)
        self.assertRegex(await self.done("queue", "show", part["id"]), "code 190")
        refused = await self.declined("queue", "retry", part["turn"])
        self.assertIn("its answer is made", refused)

    async def test_not_running(self) -> None:
        """
        Where no daemon runs, the command says so and where it looked; also
        after one was killed, whose socket is left.
        """
        daemon = await self.serve()
        path = Path(f"{daemon.database.resolve()}.control")
        self.assertEqual(stat.S_IMODE(path.lstat().st_mode), 0o600)
        daemon.kill()
        await daemon.exited
        self.assertTrue(path.exists())
        for _ in range(2):
            why = await self.declined("status")
            self.assertIn("the daemon isn't running", why)
            self.assertIn(str(path), why)
            path.unlink(missing_ok=True)
        status, out, _ = await self.command("status", "--json")
        self.assertEqual(status, 1)
        self.assertIn("isn't running", json.loads(out)["error"])

    async def test_stale(self) -> None:
        """
        What a killed daemon leaves keeps no start from succeeding, and no
        command from reaching it; one that stops leaves nothing.
        """
        first = await self.serve()
        first.kill()
        await first.exited
        second = await self.serve()
        self.assertEqual((await self.document("status"))["pid"], second.pid)
        second.terminate()
        await second.exited
        self.assertFalse(Path(f"{second.database.resolve()}.control").exists())

    async def test_several(self) -> None:
        """
        A command that says nothing, one that says too much and one that speaks
        otherwise keep no other from being done.
        """
        daemon = await self.serve()
        path = f"{daemon.database.resolve()}.control"
        said = []
        with closing(socket.socket(socket.AF_UNIX)) as silent:
            directory = os.open(self.directory, os.O_PATH)
            name = f"/proc/self/fd/{directory}/{Path(path).name}"
            silent.connect(name)
            for line in (b"nonsense\n", b'{"protocol": 99}\n', b"x" * 70_000 + b"\n"):
                with closing(socket.socket(socket.AF_UNIX)) as other:
                    other.connect(name)
                    other.sendall(line)
                    await self.document("status")
                    said.append(json.loads(other.recv(4096))["error"])
            os.close(directory)
        self.assertIn("no JSON", said[0])
        self.assertIn("versions differ", said[1])
        self.assertIn("too long", said[2])


class QueueTests(ControlCase):
    """
    Tests for what waits, and what was given up.
    """

    async def test_dead(self) -> None:
        """
        A message that was given up is listed, and answered after all when it
        is tried again; one that is dropped is listed no more.
        """
        await self.serve(assistant={"fallback": "Later, please", "patience": 1})
        self.stand_ins.model.faults = always("completion", llm.INTERNAL)
        for psid in (ALICE, BOB):
            self.write(psid, f"Hello from {psid}")
            self.assertEqual(await self.said(psid), ["Later, please"])
        await self.settled()
        self.stand_ins.model.faults = nothing
        dead = (await self.document("queue", "list"))["dead"]
        self.assertEqual([it["psid"] for it in dead], [BOB, ALICE])
        text = await self.done("queue", "list")
        self.assertIn(ALICE, text)
        self.assertNotIn("Hello", text)
        bobs, alices = (it["id"] for it in dead)
        self.assertIn("dead", await self.done("queue", "show", alices))
        self.assertIn("it is answered", await self.done("queue", "retry", alices))
        await self.said(ALICE, 2)
        self.assertEqual(
            self.stand_ins.said(ALICE)[-1], f"You said: Hello from {ALICE}"
        )
        self.assertIn("dropped", await self.done("queue", "drop", bobs))
        await self.settled()
        self.assertEqual((await self.document("queue", "list"))["dead"], [])
        self.assertEqual(
            self.kept("SELECT state, reason FROM event WHERE kind = 'message'"),
            [
                {"state": "done", "reason": None},
                {"state": "dead", "reason": "operator"},
            ],
        )
        for id in (alices, "e999", "nonsense"):
            self.assertNotEqual(await self.declined("queue", "retry", id), "")
        # What was tried again is in the history once.
        words = self.kept("SELECT text FROM utterance WHERE role = 'person'")
        self.assertEqual(len(words), 2)

    async def test_generating(self) -> None:
        """
        A message whose answer is being made is dropped, and gets none.
        """
        await self.serve()
        self.stand_ins.model.faults = in_turn("completion", llm.HANGING)
        self.write(ALICE, "A question without end")
        await self.stand_ins.until(lambda: bool(self.stand_ins.journal.of(Asked)))
        (event,) = (await self.document("queue", "list"))["events"]
        self.assertIn("dropped", await self.done("queue", "drop", event["id"]))
        await self.settled()
        self.assertEqual(self.stand_ins.said(ALICE), [])

    async def test_paused(self) -> None:
        """
        Who has mended what Meta refused the Page for, and then has a part tried
        again, reads at once whether that helped.
        """
        await self.serve(delivery=DELIVERY)
        self.stand_ins.graph.faults = always("message", rejection(10))
        self.write(ALICE, "Hello")

        async def waits() -> list[dict[str, Any]]:
            parts = (await self.document("queue", "list"))["parts"]
            return [part for part in parts if (part["next"] or 0.0) > 30.0]

        while not (parts := await waits()):
            pass
        self.stand_ins.graph.faults = nothing
        (part,) = parts
        self.assertIn("at once", await self.done("queue", "retry", part["id"]))
        self.assertEqual(await self.said(ALICE, seconds=20.0), ["You said: Hello"])
        await self.settled()

    async def test_held(self) -> None:
        """
        A part that is held in doubt is sent again when an operator wants it,
        who is told what that risks.
        """
        await self.serve(delivery={**DELIVERY, "unresolved": "hold"})
        lost = in_turn("message", DROPPED_BEFORE)
        refused = always("conversations", rejection(10))
        self.stand_ins.graph.faults = lambda call, random: (
            lost(call, random) or refused(call, random)
        )
        self.write(ALICE, "Hello")
        await eventually(
            lambda: self.kept("SELECT 1 FROM part WHERE state = 'unknown'")
        )
        (part,) = (await self.document("queue", "list"))["parts"]
        status, out, errors = await self.command("queue", "retry", part["id"])
        while status:
            self.assertIn("may still be under way", errors)
            status, out, errors = await self.command("queue", "retry", part["id"])
        self.assertIn("twice", out)
        self.assertEqual(await self.said(ALICE), ["You said: Hello"])
        await self.settled()
        self.assertIn("for good", await self.declined("queue", "retry", part["id"]))


class ReloadTests(ControlCase):
    """
    Tests for another configuration.
    """

    async def test_reload(self) -> None:
        """
        A reload tells what changed, and what the commands serve follows it; one
        that is refused tells why, and changes nothing.
        """
        daemon = await self.serve()
        nothing_new = await self.done("reload")
        self.assertEqual(nothing_new, "nothing has changed\n")
        file = self.directory / "mica.yaml"
        other = self.stand_ins.open_page(callback(self.port, "ink"), "108463527190843")
        wanted = configuration(self.stand_ins, self.page, self.port)
        one = {name: wanted.pop(name) for name in ("bot_name", "facebook")}
        two = {
            "bot_name": "ink",
            "facebook": {
                **one["facebook"],
                "page_access_token": other.token,
                "secret": other.app.secret,
            },
        }
        model = {"llm_config": wanted.pop("llm_config")}
        bots = {**wanted, "bots": [one | model, two | model]}
        file.write_text(yaml.safe_dump(bots))
        self.assertEqual(
            (await self.document("reload"))["changes"], ["bots added: ink"]
        )
        names = [bot["name"] for bot in (await self.document("status"))["bots"]]
        self.assertEqual(names, ["mica", "ink"])
        file.write_text(yaml.safe_dump({**bots, "nonsense": 1}))
        why = await self.declined("reload")
        self.assertIn("the configuration in force stays", why)
        self.assertIn("nonsense: unknown key", why)
        # Whatever is wrong with the file, the daemon can be asked.
        self.assertEqual(len((await self.document("status"))["bots"]), 2)
        file.write_text(yaml.safe_dump(daemon.configuration))
        self.assertIn("bots removed: ink", await self.done("reload"))
        self.assertEqual(len((await self.document("status"))["bots"]), 1)

    async def test_runtime_directory(self) -> None:
        """
        The socket is where the service manager made a place for it.
        """
        runtime = self.directory.resolve() / "run"
        runtime.mkdir()
        starter = ("/usr/bin/env", f"RUNTIME_DIRECTORY={runtime}")
        daemon = await self.serve(starter)
        self.assertTrue((runtime / "control.sock").is_socket())
        self.assertFalse(Path(f"{daemon.database.resolve()}.control").exists())
        self.assertIn("isn't running", await self.declined("status"))
        status, _, _ = await self.command(
            "status", environ={"RUNTIME_DIRECTORY": str(runtime)}
        )
        self.assertEqual(status, 0)
