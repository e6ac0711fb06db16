"""
An operator's commands: a real daemon, and the command as a process.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.utils import getProcessOutputAndValue

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import (
    DROPPED_BEFORE,
    Asked,
    always,
    in_turn,
    nothing,
    rejection,
)
from tests.daemon import DELIVERY, DaemonCase, eventually

reactor: Any = _reactor

ALICE, BOB = "6284913775102846", "6284913775102847"

_ROOT = Path(__file__).resolve().parent.parent
_COMMAND = "import sys; from micamsgr.cli import main; sys.exit(main())"


class ControlCase(DaemonCase):
    """
    A daemon, and the commands to it.
    """

    async def command(
        self, *words: str, environ: dict[str, str] | None = None, text: str = ""
    ) -> tuple[int, str, str]:
        """
        Run ``micamessenger``.

        :return: the exit status, and what it printed and complained.
        """
        environment = {**os.environ, "PYTHONPATH": str(_ROOT), **(environ or {})}
        for name in ("STATE_DIRECTORY", "OPENAI_API_KEY"):
            environment.pop(name, None)
        config = str((self.directory / "mica.yaml").resolve())
        out, errors, status = await getProcessOutputAndValue(
            sys.executable,
            ["-c", _COMMAND, *words, "--config", config],
            env=environment,
            stdinBytes=text.encode(),
        )
        return status, out.decode(), errors.decode()

    async def done(self, *words: str, text: str = "") -> str:
        """
        Run one that must succeed.
        """
        status, out, errors = await self.command(*words, text=text)
        self.assertEqual((status, errors), (0, ""))
        return out

    async def document(self, *words: str) -> dict[str, Any]:
        """
        Run one that must succeed, for programs.
        """
        found = json.loads(await self.done(*words, "--json"))
        assert isinstance(found, dict)
        return found

    async def declined(self, *words: str) -> str:
        """
        Run one that must not succeed.
        """
        status, out, errors = await self.command(*words)
        self.assertEqual((status, out), (1, ""))
        self.assertNotIn("Traceback", errors)
        return errors


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
        That nothing is sent, and why, is told.
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
        self.assertIn("nothing is sent", await self.done("status"))

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


class TalkTests(ControlCase):
    """
    Tests for an operator who takes part.
    """

    async def test_send(self) -> None:
        """
        What an operator says reaches the person, long or short, and the bot is
        quiet then; until it is woken.
        """
        await self.serve()
        self.write(ALICE, "Hello")
        await self.said(ALICE)
        await self.settled()
        asked = len(self.stand_ins.journal.of(Asked))
        out = await self.done("send", ALICE, "-", text="I am human.\n")
        self.assertRegex(out, r"\Asent \(part [0-9A-Z]{26}\)\n\Z")
        self.assertEqual(self.stand_ins.said(ALICE)[1:], ["I am human."])
        self.write(ALICE, "Oh, good")
        await eventually(
            lambda: self.kept("SELECT 1 FROM event WHERE reason = 'human'")
        )
        shown = await self.document("conversation", "show", ALICE)
        self.assertTrue(shown["paused"])
        self.assertEqual(
            [(it["role"], it["text"]) for it in shown["history"]],
            [
                ("person", "Hello"),
                ("bot", "You said: Hello"),
                ("human", "I am human."),
                ("person", "Oh, good"),
            ],
        )
        self.assertEqual(len(self.stand_ins.journal.of(Asked)), asked)
        self.assertIn("awake", await self.done("conversation", "resume", ALICE))
        self.write(ALICE, "And now?")
        await self.said(ALICE, 3)
        long = " ".join(f"word {n}." for n in range(400))
        said = await self.document("send", ALICE, long)
        self.assertEqual([it["state"] for it in said["parts"]], ["sent"] * 2)
        self.assertEqual(" ".join(self.stand_ins.said(ALICE)[3:]), long)
        await self.settled()

    async def test_send_declined(self) -> None:
        """
        Nothing is said to somebody who is not known, nor more than fits.
        """
        await self.serve()
        self.write(ALICE, "Hello")
        await self.said(ALICE)
        self.assertIn("nobody", await self.declined("send", BOB, "Hello"))
        self.assertIn("longer", await self.declined("send", ALICE, "x " * 15_000))
        self.assertIn("nothing to say", await self.declined("send", ALICE, " "))
        self.assertIn("nobody", await self.declined("send", ALICE, "x", "--bot", "y"))
        for words in (["send", ALICE], ["send", "a b", "x"], ["nonsense"]):
            self.assertEqual((await self.command(*words))[0], 2)
        await self.settled()
        self.assertEqual(len(self.stand_ins.said(ALICE)), 1)

    async def test_send_later(self) -> None:
        """
        What can't be sent now is kept, and sent as soon as may be, in order;
        also after a kill, and once.
        """
        first = await self.serve(delivery=DELIVERY)
        self.write(ALICE, "Hello")
        await self.said(ALICE)
        await self.settled()
        self.stand_ins.graph.faults = always("message", rejection(190))
        for text in ("One", "Two"):
            self.assertIn("is kept", await self.done("send", ALICE, text))
        first.kill()
        await first.exited
        self.stand_ins.graph.faults = nothing
        await self.serve(delivery=DELIVERY)
        await self.said(ALICE, 3)
        self.assertEqual(self.stand_ins.said(ALICE)[1:], ["One", "Two"])
        await self.settled()

    async def test_pause(self) -> None:
        """
        A conversation that is paused gets no answer, also what is being made;
        one that is resumed gets them again, and others have them throughout.
        """
        await self.serve()
        self.stand_ins.model.faults = in_turn("completion", llm.HANGING)
        self.write(ALICE, "A question without end")
        await self.stand_ins.until(lambda: bool(self.stand_ins.journal.of(Asked)))
        out = await self.done("conversation", "pause", ALICE)
        self.assertIn("quiet until `micamessenger conversation resume`", out)
        self.write(ALICE, "Are you there?")
        self.write(BOB, "Hello")
        await self.said(BOB)
        await self.settled()
        self.assertEqual(self.stand_ins.said(ALICE), [])
        self.assertIn("quiet", await self.done("conversation", "show", ALICE))
        out = await self.done("conversation", "pause", ALICE, "--for", "2h")
        self.assertRegex(out, r"quiet until \d{4}-")
        await self.done("conversation", "resume", ALICE)
        self.write(ALICE, "Now?")
        self.assertEqual(await self.said(ALICE), ["You said: Now?"])
        await self.settled()


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
        self.assertIn("nothing has changed", nothing_new)
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


class StoreTests(ControlCase):
    """
    Tests for the store's copies, and what is kept of a person.
    """

    async def test_export(self) -> None:
        """
        All that is kept of a person is written, and nothing of others; whether
        the daemon runs or not.
        """
        daemon = await self.serve()
        for psid in (ALICE, BOB):
            self.write(psid, f"Hello from {psid}")
            await self.said(psid)
        await self.settled()
        running = await self.done("export", ALICE)
        (found,) = json.loads(running)["conversations"]
        self.assertEqual(
            [it["text"] for it in found["utterances"]],
            [f"Hello from {ALICE}", f"You said: Hello from {ALICE}"],
        )
        self.assertNotIn(BOB, running)
        self.assertEqual(len(found["parts"]), 1)
        daemon.terminate()
        await daemon.exited
        file = self.directory / "alice.json"
        await self.done("export", ALICE, "--output", str(file))
        self.assertEqual(json.loads(file.read_text()), json.loads(running))
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        self.assertIn(
            "there already", await self.declined("export", ALICE, "--output", str(file))
        )
        self.assertIn("nothing is kept", await self.declined("export", "1"))

    async def test_copies(self) -> None:
        """
        A copy that is made while people write is whole, and only its owner can
        read it; it is put back only while the daemon is stopped, and what was
        there is kept.
        """
        daemon = await self.serve()
        self.write(ALICE, "Before the copy")
        await self.said(ALICE)
        await self.settled()
        copy = str(self.directory / "copy.db")
        self.assertIn("whole", await self.done("backup", copy))
        self.assertEqual(stat.S_IMODE(os.stat(copy).st_mode), 0o600)
        self.assertIn("there already", await self.declined("backup", copy))
        self.write(BOB, "After the copy")
        await self.said(BOB)
        await self.settled()
        self.assertIn("another daemon", await self.declined("restore", copy))
        daemon.terminate()
        await daemon.exited
        document = await self.document("restore", copy)
        with closing(sqlite3.connect(document["aside"])) as aside:
            people = aside.execute("SELECT psid FROM conversation").fetchall()
        self.assertEqual(people, [(ALICE,), (BOB,)])
        self.assertEqual(self.kept("SELECT psid FROM conversation"), [{"psid": ALICE}])
        self.assertEqual(stat.S_IMODE(daemon.database.stat().st_mode), 0o600)
        self.judged = False
        # What is shown as sent since is of the store that is aside.
        await self.serve()
        self.write(ALICE, "After the restore")
        await self.said(ALICE, 2)
        await self.settled()

    async def test_migrate(self) -> None:
        """
        A store is brought up to date without a start, or it is said what would
        be done; while the daemon runs it is refused.
        """
        daemon = await self.serve()
        self.assertIn("another daemon", await self.declined("migrate"))
        daemon.terminate()
        await daemon.exited
        with closing(sqlite3.connect(daemon.database)) as database:
            database.execute("DROP INDEX event_spoken")
            database.execute("PRAGMA user_version = 3")
        said = await self.document("migrate", "--dry-run")
        self.assertEqual((said["before"], said["done"]), (3, False))
        self.assertIn(
            "would go from version 3", await self.done("migrate", "--dry-run")
        )
        self.assertIn("has gone from version 3", await self.done("migrate"))
        self.assertIn("up to date", await self.done("migrate"))
