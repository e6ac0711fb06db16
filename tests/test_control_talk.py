"""
An operator who takes part in conversations, of a real daemon.
"""

from __future__ import annotations

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import (
    Asked,
    always,
    in_turn,
    nothing,
    rejection,
)
from tests.commands import ALICE, BOB, ControlCase
from tests.daemon import DELIVERY, eventually


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
        self.assertRegex(
            out,
            r"\Asent \(part [0-9A-Z]{26}\)\nthe bot is quiet there until .+\n\Z",
        )
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

    async def test_send_in_vain(self) -> None:
        """
        What an operator says while the answer is being made does not wait for
        that; where it is refused it is no history, the operator is told which
        message nobody answers, and the bot answers that when told to.
        """
        await self.serve()
        self.stand_ins.model.faults = in_turn("completion", llm.HANGING)
        self.stand_ins.graph.faults = in_turn("message", rejection(551))
        self.write(ALICE, "Are you open?")
        await self.stand_ins.until(lambda: bool(self.stand_ins.journal.of(Asked)))
        status, out, errors = await self.command("send", ALICE, "We are.")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("not sent", errors)
        self.assertNotIn("quiet", errors)
        self.assertIn("unanswered: e1; `micamessenger queue retry e1`", errors)
        shown = await self.document("conversation", "show", ALICE)
        self.assertEqual([it["text"] for it in shown["history"]], ["Are you open?"])
        (part,) = shown["undelivered"]
        self.assertIn("dropped", await self.done("queue", "drop", part["id"]))
        self.assertEqual((await self.document("queue", "list"))["undelivered"], [])
        self.assertIn("it is answered", await self.done("queue", "retry", "e1"))
        self.assertEqual(await self.said(ALICE), ["You said: Are you open?"])
        await self.settled()

    async def test_pause(self) -> None:
        """
        A conversation that is paused gets no answer, also what is being made;
        one that is resumed gets them again, and others have them throughout.
        """
        await self.serve()
        self.stand_ins.model.faults = in_turn("completion", llm.Fault(delay=10.0))
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
        (answer,) = await self.said(ALICE)
        self.assertTrue(answer.endswith("Now?"))
        await self.settled()
