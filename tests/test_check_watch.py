"""
``micamessenger check --watch``: a message is written to the Page, and the
command tells what becomes of it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from micamsgr.sandbox.ailments import Ailment, afflict
from micamsgr.sandbox.language_model import Fault as ModelFault
from tests.check_case import CheckCase
from tests.daemon import eventually, reactor

ALICE, WORDS = "6284913775102846", "What about my lost parcel?"

_ROOT = Path(__file__).resolve().parent.parent
_COMMAND = "import sys; from micamsgr.cli import main; sys.exit(main())"


@define(eq=False)
class Watching(ProcessProtocol):
    """
    The command, as it runs.
    """

    ended: Deferred[int] = field(factory=Deferred, init=False)
    _output: list[bytes] = field(factory=list, init=False)
    errors: bytes = field(default=b"", init=False)

    def outReceived(self, data: bytes) -> None:
        self._output.append(data)

    def errReceived(self, data: bytes) -> None:
        self.errors += data

    def processEnded(self, reason: Failure) -> None:
        ended: Any = reason.value
        self.ended.callback(-ended.signal if ended.signal else ended.exitCode)

    @property
    def output(self) -> str:
        """What it printed so far."""
        return b"".join(self._output).decode()

    @property
    def told(self) -> list[dict[str, Any]]:
        """What it printed so far, where that is JSON, but for the findings."""
        lines = [json.loads(line) for line in self.output.splitlines()]
        return [line for line in lines if "stage" in line]

    @property
    def stages(self) -> list[str]:
        """The stages that it told of so far."""
        return [line["stage"] for line in self.told]

    def interrupt(self) -> None:
        """Do as Ctrl-C does."""
        process: Any = self.transport
        process.signalProcess("INT")


class WatchTests(CheckCase):
    """
    Tests for the command as a process.
    """

    timeout = 120
    judged = False

    async def watch(self, *more: str, **changes: Any) -> Watching:
        """
        Start the command, and wait until it says that one can write.
        """
        file = self.write_configuration(**changes)
        watching = Watching()
        process = reactor.spawnProcess(
            watching,
            sys.executable,
            [
                *(sys.executable, "-c", _COMMAND),
                *("check", "--config", str(file), "--watch", *more),
            ],
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            path=str(self.directory),
        )
        self.addCleanup(self.end, watching, process)
        await eventually(lambda: "write to the Page now" in watching.output, 40.0)
        return watching

    async def end(self, watching: Watching, process: Any) -> None:
        """
        See to it that nothing of it is left, and that nothing was complained.
        """
        if not watching.ended.called:
            process.signalProcess("KILL")
            await watching.ended
        self.assertEqual(watching.errors, b"")
        for secret in (ALICE, WORDS, self.page.token, self.page.app.secret):
            self.assertNotIn(secret, watching.output)
        for said in self.stand_ins.said(ALICE):
            self.assertNotIn(said, watching.output)

    async def test_answered(self) -> None:
        """
        Each stage of the way is told as it happens, with its time; the status
        is 0 once the answer has arrived.
        """
        await self.serve()
        watching = await self.watch()
        self.write(ALICE, WORDS)
        self.assertEqual(await watching.ended, 0)
        lines = watching.output.partition("write to the Page now")[2]
        place = 0
        for stage in ("webhook", "turn", "answer", "send", "receipt"):
            found = lines.find(f"ok       {stage} 1: ")
            self.assertGreater(found, place, lines)
            place = found
        self.assertRegex(
            lines, r"\n\d\d:\d\d:\d\d ok       receipt 1: .* \(\d+\.\d s\)\.\n"
        )
        self.assertIn("ok       end: the whole way works", lines)

    async def test_json(self) -> None:
        """
        With --json each line is an object; what people wrote before is not
        told of, and what Meta tells of reading is.
        """
        self.page.fields |= {"message_reads"}
        await self.serve()
        self.write(ALICE, "before")
        await self.said(ALICE)
        watching = await self.watch("--json", "--for", "1m")
        self.write(ALICE, WORDS)
        await eventually(lambda: "receipt" in watching.stages)
        self.stand_ins.meta.read(self.page.id, ALICE)
        self.assertEqual(await watching.ended, 0)
        way = ["webhook", "turn", "answer", "send", "receipt", "read"]
        stages = list(dict.fromkeys(watching.stages))
        self.assertEqual(stages, ["begin", *way, "end"])
        self.assertEqual({it.get("message") for it in watching.told}, {None, 1})
        first = json.loads(watching.output.splitlines()[0])
        self.assertEqual(first["status"], 0)
        self.assertEqual(watching.told[-1]["status"], 0)

    async def test_interrupted(self) -> None:
        """
        Ctrl-C ends it well, and nobody knows whether it works.
        """
        await self.serve()
        watching = await self.watch()
        watching.interrupt()
        self.assertEqual(await watching.ended, 1)
        self.assertIn("warning  end: interrupted", watching.output)

    async def test_nobody(self) -> None:
        """
        It waits for as long as it is told to, and no longer.
        """
        await self.serve()
        watching = await self.watch("--for", "1s")
        self.assertEqual(await watching.ended, 1)
        self.assertIn("Waiting for 1 s", watching.output)
        self.assertIn("nobody has written", watching.output)

    async def test_daemon(self) -> None:
        """
        Where the daemon doesn't run that is told, and it is waited for.
        """
        watching = await self.watch("--json")
        await eventually(lambda: "daemon" in watching.stages)
        await self.serve()
        self.write(ALICE, WORDS)
        self.assertEqual(await watching.ended, 0)
        self.assertEqual(watching.stages.count("daemon"), 2)
        self.assertIn("receipt", watching.stages)

    async def test_token(self) -> None:
        """
        Where Meta refuses to send, it is told that the answer is made and why
        it is not sent; at the end that is a failure.
        """
        await self.serve()
        watching = await self.watch("--json", "--for", "14s")
        afflict(Ailment.ENDED, self.page, self.stand_ins.meta, self.stand_ins.graph)
        self.write(ALICE, WORDS)
        self.assertEqual(await watching.ended, 2)
        (late,) = [it for it in watching.told if "nothing of the Page's" in it["said"]]
        self.assertEqual(late["stage"], "send")
        self.assertIn("code 190", late["said"])

    async def test_language_model(self) -> None:
        """
        Where the LLM fails that is told, without its words.
        """
        await self.serve()
        watching = await self.watch("--json")
        self.stand_ins.model.faults = lambda call, random: ModelFault(status=500)
        self.write(ALICE, WORDS)
        await eventually(lambda: "answer" in watching.stages)
        (told, *_) = [it for it in watching.told if it["stage"] == "answer"]
        self.assertEqual(told["verdict"], "warning")
        self.assertIn("LLM gave no answer", told["said"])
        watching.interrupt()
        self.assertEqual(await watching.ended, 1)

    async def test_not_allowed(self) -> None:
        """
        Whoever is not to be answered is not, and it is told why.
        """
        await self.serve(allow=["1"])
        watching = await self.watch("--json", allow=["1"])
        self.write(ALICE, WORDS)
        await eventually(lambda: len(watching.told) > 2)
        self.assertIn("not listed in allow", watching.told[-1]["said"])
