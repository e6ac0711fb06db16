"""
The Graph API and the language model fail, in every way that they do: nobody is
told anything twice, and nobody is forgotten.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve

from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.journal import (
    DROPPED_BEFORE,
    HANGING,
    INTERNAL,
    Applied,
    Asked,
    EchoFault,
    Ending,
    Fault,
    LookedUp,
    Posted,
    Refused,
    Spoiled,
    always,
    in_turn,
    rejection,
)
from tests.daemon import DELIVERY, DaemonCase, eventually

ALICE, BOB, CAROL = (f"628491377510284{n}" for n in range(3))

LOST = always("message", EchoFault(lost=True))


class DoubtTests(DaemonCase):
    """
    Tests for messages of which nobody knows at first whether they were sent.
    """

    async def serve_fast(self) -> None:
        """
        Start a daemon that is soon over its doubts.
        """
        await self.serve(delivery=DELIVERY)

    async def once(self, attempt: int) -> None:
        """
        Wait until all is settled, and check that there is one answer, made by
        this attempt.
        """
        await self.said(ALICE)
        await self.settled()
        (said,) = self.stand_ins.journal.of(Applied)
        self.assertEqual((said.metadata or "").rpartition(":")[2], str(attempt))
        self.assertEqual(
            self.kept("SELECT state, attempt FROM part"),
            [{"state": "sent", "attempt": attempt}],
        )

    async def test_error_with_echo(self) -> None:
        """
        A message that the Graph API calls a failure, and delivers all the
        same, is not sent again: its echo tells of it.
        """
        await self.serve_fast()
        self.stand_ins.graph.faults = in_turn("message", INTERNAL)
        self.write(ALICE, "An error, and yet")
        await self.once(1)
        self.assertEqual(self.stand_ins.journal.of(LookedUp), [])

    async def test_error_with_bare_echo(self) -> None:
        """
        So does an echo that says neither what sent it nor which message it is
        of, and it is not taken for a human's words.
        """
        await self.serve_fast()
        self.stand_ins.graph.faults = in_turn("message", INTERNAL)
        bare = EchoFault(app_id=False, metadata=False, delay=0.5)
        self.stand_ins.graph.echoes = in_turn("message", bare)
        self.write(ALICE, "A bare echo")
        await self.once(1)
        self.assertEqual(self.stand_ins.journal.of(LookedUp), [])
        self.write(ALICE, "Are you still there?")
        await self.said(ALICE, 2)

    async def test_error_without_echo(self) -> None:
        """
        Where the echo is lost too, the message is found by a look-up, and not
        sent again.
        """
        await self.serve_fast()
        self.stand_ins.graph.faults = in_turn("message", INTERNAL)
        self.stand_ins.graph.echoes = LOST
        self.write(ALICE, "Neither echo nor answer")
        await self.once(1)
        (looked,) = self.stand_ins.journal.of(LookedUp)
        (said,) = self.stand_ins.journal.of(Applied)
        self.assertGreaterEqual(looked.at - said.at, 1.5)

    async def test_late(self) -> None:
        """
        A message that arrives only after we gave up on the call is found all
        the same, and not sent again.
        """
        await self.serve_fast()
        late = Fault(landing=1.4, ending=Ending.HANG)
        self.stand_ins.graph.faults = in_turn("message", late)
        self.stand_ins.graph.echoes = LOST
        self.write(ALICE, "Slow as a snail")
        await self.once(1)

    async def test_hanging(self) -> None:
        """
        A call that is never answered is given up, and keeps nobody else
        waiting.
        """
        await self.serve_fast()
        self.stand_ins.graph.faults = in_turn("message", HANGING)
        self.stand_ins.graph.echoes = in_turn("message", EchoFault(lost=True))
        self.write(ALICE, "No answer at all")
        await self.said(ALICE)
        self.write(BOB, "What about me?")
        await self.said(BOB)
        self.assertEqual(self.stand_ins.journal.of(LookedUp), [])
        await self.settled()
        self.assertEqual(len(self.stand_ins.said(ALICE)), 1)

    async def test_not_applied(self) -> None:
        """
        A message that never arrived is sent again, but only once two look-ups
        have agreed that it didn't.
        """
        await self.serve_fast()
        self.stand_ins.graph.faults = in_turn("message", DROPPED_BEFORE)
        self.stand_ins.graph.echoes = LOST
        self.write(ALICE, "Lost on the way")
        await self.once(2)
        first, second = self.stand_ins.journal.of(LookedUp)
        (said,) = self.stand_ins.journal.of(Applied)
        self.assertGreaterEqual(second.at - first.at, 1.0)
        self.assertLessEqual(second.at, said.at)

    async def test_order(self) -> None:
        """
        What a person writes during a doubt is answered after it.
        """
        await self.serve_fast()
        self.stand_ins.graph.faults = in_turn("message", DROPPED_BEFORE)
        self.write(ALICE, "Lost on the way")
        await self.stand_ins.until(lambda: len(self.stand_ins.journal.of(Asked)) == 1)
        self.write(ALICE, "Written later")
        self.assertEqual(
            await self.said(ALICE, 2),
            ["You said: Lost on the way", "You said: Written later"],
        )
        await self.settled()

    async def test_order_of_parts(self) -> None:
        """
        The parts of a long answer that are behind one in doubt wait for it.
        """
        await self.serve_fast()
        self.stand_ins.graph.faults = in_turn("message", DROPPED_BEFORE)
        answer = "\n\n".join(letter * 1500 for letter in "abc")
        self.stand_ins.model.reply = lambda messages: answer
        self.write(ALICE, "Tell me the alphabet")
        parts = await self.said(ALICE, 3)
        await self.settled()
        self.assertEqual("\n\n".join(parts), answer)


class TroubleTests(DaemonCase):
    """
    Tests for a Graph API that refuses a Page as such.
    """

    async def test_token(self) -> None:
        """
        While the token is refused, what people write is taken and kept; with
        a good token, everybody is answered.
        """
        good, self.page.token = self.page.token, "token-expired"
        daemon = await self.serve(facebook={"page_id": self.page.id})
        self.page.token = good
        self.write(ALICE, f"Hello, it is {ALICE}")
        # What she writes before that would be answered together with it.
        await self.stand_ins.until(lambda: bool(self.stand_ins.journal.of(Asked)))
        for person in (BOB, CAROL):
            self.write(person, f"Hello, it is {person}")
        await self.stand_ins.until(lambda: bool(self.stand_ins.journal.of(Refused)))
        self.write(ALICE, "Are you there?")
        await self.stand_ins.until(lambda: len(self.stand_ins.journal.of(Posted)) == 4)
        self.assertEqual({p.status for p in self.stand_ins.journal.of(Posted)}, {200})
        await eventually(lambda: "code 190" in daemon.output)
        daemon.terminate()
        await daemon.exited
        self.assertEqual(self.stand_ins.journal.of(Applied), [])
        await self.serve()
        await self.said(ALICE, 2)
        for person in (BOB, CAROL):
            self.assertEqual(
                await self.said(person), [f"You said: Hello, it is {person}"]
            )
        await self.settled()

    async def test_rate_limit(self) -> None:
        """
        At a rate limit, nobody is written to until it is over, and then
        everybody.
        """
        await self.serve()
        limited = evolve(rejection(613), headers=(("Retry-After", "3"),))
        self.stand_ins.graph.faults = in_turn("message", limited)
        self.write(ALICE, "Too much at once")
        await self.stand_ins.until(lambda: bool(self.stand_ins.journal.of(Spoiled)))
        self.write(BOB, "Me too, please")
        await self.said(ALICE)
        await self.said(BOB)
        (refused,) = self.stand_ins.journal.of(Spoiled)
        first, _ = self.stand_ins.journal.of(Applied)
        self.assertGreaterEqual(first.at - refused.at, 3.0)
        await self.settled()


class ModelTests(DaemonCase):
    """
    Tests for a language model that fails.
    """

    def configured(self, **more: Any) -> dict[str, Any]:
        """
        Shorten what the language model is allowed.
        """
        return {"llm_config": {"timeout": 1}, "assistant": more}

    async def test_error(self) -> None:
        """
        After an error the language model is asked again, and the person gets
        one answer.
        """
        await self.serve()
        self.stand_ins.model.faults = in_turn("completion", llm.INTERNAL, llm.INTERNAL)
        self.write(ALICE, "Third time lucky")
        self.assertEqual(await self.said(ALICE), ["You said: Third time lucky"])
        await self.settled()
        self.assertEqual(len(self.stand_ins.journal.of(Asked)), 3)

    async def test_hanging(self) -> None:
        """
        A call that hangs is given up in time, and keeps nobody else waiting.
        """
        await self.serve(**self.configured())
        self.stand_ins.model.faults = in_turn("completion", llm.HANGING)
        self.write(ALICE, "A hard question")
        await self.stand_ins.until(lambda: bool(self.stand_ins.journal.of(Asked)))
        self.write(BOB, "An easy question")
        await self.said(BOB)
        self.assertEqual(self.stand_ins.said(ALICE), [])
        self.assertEqual(await self.said(ALICE), ["You said: A hard question"])
        await self.settled()

    async def test_patience(self) -> None:
        """
        Where no answer is to be had for too long, the person is told so, once,
        and the next message is answered again.
        """
        text = "Sorry, not today."
        await self.serve(**self.configured(patience=2, fallback=text))
        self.stand_ins.model.faults = always("completion", llm.INTERNAL)
        self.write(ALICE, "Impossible to answer")
        self.assertEqual(await self.said(ALICE), [text])
        await self.settled()
        self.assertEqual(
            self.kept("SELECT state, reason FROM event WHERE text IS NOT NULL"),
            [{"state": "dead", "reason": "patience"}],
        )
        self.stand_ins.model.faults = in_turn("completion")
        self.write(ALICE, "Possible to answer")
        _, answer = await self.said(ALICE, 2)
        self.assertIn("Possible to answer", answer)
        await self.settled()
