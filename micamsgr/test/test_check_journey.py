"""
Tests for what is told of a message that comes, in
:mod:`micamsgr.check.journey`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.check.findings import Verdict
from micamsgr.check.journey import Line, Story, go_on, wants_states
from micamsgr.check.journey_words import DEAD, IGNORED, BotState
from micamsgr.store.following import MessageSight, PartSight, Sight

EMPTY = Sight(runs=True, last=7)
CAME = MessageSight(
    id=8, conversation=3, bot="mica", late=0.8, state="new", reason=None
)
ASKED = evolve(CAME, state="in_turn", turn=5, turn_state="generating")
PART = PartSight(
    id="p1", kind="answer", state="composed", reason=None, attempt=0, echoed=False
)
MADE = evolve(ASKED, state="done", turn_state="composed", parts=(PART,))


def with_part(*parts: PartSight, **changes: Any) -> MessageSight:
    """Make a message that was answered."""
    return evolve(MADE, parts=parts, **changes)


SENDING = evolve(PART, state="sending", attempt=1)
SENT = evolve(SENDING, state="sent")
ECHOED = evolve(SENT, echoed=True)


class JourneyCase(SynchronousTestCase):
    """
    A story, and a clock that a test sets.
    """

    def setUp(self) -> None:
        self.story = Story(began=0.0)
        self.now = 0.0

    def see(
        self,
        *messages: MessageSight,
        after: float = 1.0,
        states: Mapping[str, BotState] | None = None,
        **more: Any,
    ) -> list[Line]:
        """
        Look again, some seconds later.
        """
        self.now += after
        last = max((it.id for it in messages), default=7)
        sight = evolve(EMPTY, messages=messages, **{"last": last, **more})
        self.story, lines = go_on(self.story, sight, self.now, states)
        return lines

    def stages(self, *messages: MessageSight, **more: Any) -> list[tuple[str, str]]:
        """
        Look again, and tell stages and verdicts.
        """
        lines = self.see(*messages, **more)
        return [(line.stage, line.verdict.value) for line in lines]


class WayTests(JourneyCase):
    """
    Tests for a message that is answered.
    """

    def test_well(self) -> None:
        """
        Each stage is told once, when it comes, with how long it took; once the
        answer has arrived and was read there is nothing more to wait for.
        """
        self.assertEqual(self.see(), [])
        (line,) = self.see(CAME)
        self.assertEqual((line.stage, line.message, line.id), ("webhook", 1, "e8"))
        self.assertEqual((line.seconds, line.todo), (0.8, ""))
        self.assertEqual(self.see(CAME), [])
        (line,) = self.see(ASKED, after=0.5)
        self.assertEqual((line.stage, line.seconds), ("turn", 1.5))
        self.assertEqual(self.stages(MADE, after=3.0), [("answer", "ok")])
        self.assertEqual(self.stages(with_part(SENDING)), [("send", "ok")])
        self.assertEqual(self.stages(with_part(SENT)), [("send", "ok")])
        self.assertEqual(self.stages(with_part(ECHOED)), [("receipt", "ok")])
        self.assertFalse(self.story.over)
        seen = with_part(ECHOED, delivered=True)
        self.assertEqual(self.stages(seen), [("delivery", "ok")])
        self.assertEqual(self.stages(evolve(seen, read=True)), [("read", "ok")])
        self.assertTrue(self.story.over)
        self.assertEqual(self.story.status(), 0)

    def test_at_once(self) -> None:
        """
        What happens between two looks is told in its order; where Meta does
        not tell of delivery or reading, that is not waited for long.
        """
        lines = self.see(with_part(ECHOED))
        stages = ["webhook", "turn", "answer", "send", "receipt"]
        self.assertEqual([line.stage for line in lines], stages)
        self.assertFalse(self.story.over)
        self.assertEqual(self.story.status(), 0)
        self.see(with_part(ECHOED), after=5.0)
        self.assertTrue(self.story.over)

    def test_parts(self) -> None:
        """
        Of an answer in several messages each is told, and all must arrive.
        """
        second = evolve(PART, id="p2")
        self.see(with_part(ECHOED, second))
        self.assertEqual(self.see(with_part(ECHOED, second)), [])
        both = with_part(ECHOED, evolve(second, state="sent", attempt=1))
        self.assertEqual(self.stages(both), [("send", "ok")])
        (line,) = self.see(with_part(ECHOED, evolve(ECHOED, id="p2")))
        self.assertEqual(line.stage, "receipt")

    def test_receipts(self) -> None:
        """
        That it reached the person's device proves it as well as an echo.
        """
        self.see(with_part(SENT, delivered=True))
        self.assertEqual(self.story.status(), 0)

    def test_no_receipt(self) -> None:
        """
        Where Meta took it and never says that it arrived, nobody can tell.
        """
        self.see(with_part(SENT))
        self.assertEqual(self.story.status(), 1)
        (line,) = self.see(with_part(SENT), after=20.0)
        self.assertEqual((line.stage, line.verdict), ("receipt", Verdict.WARNING))
        self.assertIn("message_echoes", line.todo)
        self.assertTrue(self.story.over)
        self.assertEqual(self.story.status(), 1)

    def test_doubt(self) -> None:
        """
        That a message is in doubt is told, and that the thread has shown it.
        """
        unknown = evolve(SENDING, state="unknown")
        self.see(MADE)
        (line,) = self.see(with_part(unknown))
        self.assertEqual((line.stage, line.verdict), ("send", Verdict.WARNING))
        self.assertIn("45 s", line.todo)
        lines = self.see(with_part(SENT), after=40.0)
        self.assertEqual([it.stage for it in lines], ["send", "receipt"])
        self.assertEqual(self.story.status(), 0)

    def test_doubt_resent(self) -> None:
        """
        What was sent again after a doubt is not proven by that doubt.
        """
        self.see(with_part(evolve(SENDING, state="unknown")))
        self.see(with_part(evolve(SENT, attempt=2)))
        self.assertEqual(self.story.status(), 1)

    def test_again(self) -> None:
        """
        That the LLM failed, and that a send did, is told each time.
        """
        self.see(ASKED)
        parked = evolve(ASKED, turn_state="ready", tries=1)
        self.assertEqual(self.stages(parked), [("answer", "warning")])
        self.assertEqual(self.stages(parked), [])
        twice = evolve(parked, tries=2)
        self.assertEqual(self.stages(twice), [("answer", "warning")])
        put_off = evolve(PART, attempt=1)
        expected = [("answer", "ok"), ("send", "warning")]
        self.assertEqual(self.stages(with_part(put_off)), expected)
        self.assertEqual(self.stages(with_part(evolve(SENT, attempt=2)))[0][1], "ok")

    def test_apology(self) -> None:
        """
        An apology is no answer.
        """
        sorry = evolve(ECHOED, id="p0", kind="apology")
        lines = self.see(evolve(ASKED, parts=(sorry,)))
        self.assertEqual(
            lines[-1].said, "meanwhile something else was sent: the apology"
        )
        self.assertEqual(self.story.status(), 2)

    def test_several(self) -> None:
        """
        Messages of several people are told apart, and the first answer that
        arrives is enough; what one writes besides is not told of.
        """
        more = evolve(CAME, id=9)
        other = evolve(with_part(ECHOED), id=10, conversation=4)
        lines = self.see(CAME, more, other)
        self.assertEqual({line.message for line in lines}, {1, 2})
        self.see(CAME, more, other, after=5.0)
        self.assertTrue(self.story.over)
        self.assertEqual(self.story.status(), 0)


class EndTests(JourneyCase):
    """
    Tests for a message that is not answered.
    """

    def test_ignored(self) -> None:
        """
        Why it is not answered is told, with what to do; and as another one may
        be, it is still waited for.
        """
        for reason, words in IGNORED.items():
            self.setUp()
            lines = self.see(evolve(CAME, state="ignored", reason=reason))
            self.assertEqual(lines[-1].said, words.said)
            self.assertTrue(lines[-1].todo)
            self.assertFalse(self.story.over)
            self.assertEqual(self.story.status(), 2 if reason == "other page" else 1)
        again = evolve(with_part(ECHOED), id=9)
        first = evolve(CAME, state="ignored", reason="human")
        self.setUp()
        self.see(first)
        self.assertEqual(self.stages(first, again)[-1], ("receipt", "ok"))
        self.assertEqual(self.story.status(), 0)

    def test_dead(self) -> None:
        """
        Why there is no answer is told, but not in words that are not ours:
        they may hold what was said.
        """
        for reason in DEAD:
            self.setUp()
            lines = self.see(evolve(ASKED, state="dead", reason=reason))
            self.assertEqual(lines[-1].said, DEAD[reason].said)
            self.assertEqual(lines[-1].verdict, Verdict.FAILED)
            self.assertTrue(self.story.over)
            self.assertEqual(self.story.status(), 2)
        for state in ("dead", "ignored"):
            self.setUp()
            lines = self.see(
                evolve(ASKED, state=state, reason="can't say 'I love you'")
            )
            self.assertNotIn("love", repr(lines))
            self.assertIn("queue show e8", lines[-1].todo)

    def test_refused(self) -> None:
        """
        A message that Meta refuses is told with the reason.
        """
        for state, reason in (
            ("refused", "person"),
            ("refused", "thread"),
            ("expired", "window"),
            ("dead", "unresolved"),
            ("refused", "in other words"),
        ):
            self.setUp()
            ended = evolve(SENDING, state=state, reason=reason)
            behind = evolve(PART, id="p2", state="expired", reason="sibling")
            lines = self.see(with_part(ended, behind))
            self.assertEqual(lines[-1].stage, "send")
            self.assertEqual(lines[-1].verdict, Verdict.FAILED)
            known = DEAD.get(reason)
            self.assertIn(
                known.said if known else "not one that is known", lines[-1].said
            )
            self.assertNotIn("other words", repr(lines))
            self.assertIn("queue show p1", lines[-1].todo)
            self.assertTrue(self.story.over)
            self.assertEqual(self.story.status(), 2)

    def test_failed_and_waiting(self) -> None:
        """
        Where one person's message failed and another's is on its way, that one
        is waited for.
        """
        failed = evolve(ASKED, state="dead", reason="patience")
        other = evolve(ASKED, id=9, conversation=4)
        self.see(failed, other)
        self.assertFalse(self.story.over)
        self.see(failed, evolve(with_part(ECHOED), id=9, conversation=4))
        self.assertEqual(self.story.status(), 0)

    def test_lost(self) -> None:
        """
        A message that is erased meanwhile is no longer waited for.
        """
        self.see(ASKED)
        (line,) = self.see(last=8)
        self.assertIn("no longer in the store", line.said)
        self.assertEqual(self.see(last=8), [])

    def test_not_in_time(self) -> None:
        """
        A message that is not answered by the end is a failure; not so if
        whoever waits has given up.
        """
        self.see(ASKED)
        self.assertEqual(self.story.status(), 2)
        self.assertEqual(self.story.status(interrupted=True), 1)


class LateTests(JourneyCase):
    """
    Tests for what does not come within a sensible time.
    """

    def test_no_message(self) -> None:
        """
        After a minute without any message it is told what to look at; so, in
        other words, where other things come.
        """
        self.assertEqual(self.see(after=59.0), [])
        (line,) = self.see()
        self.assertEqual((line.stage, line.seconds), ("webhook", 60.0))
        self.assertIn("app_subscription", line.todo)
        self.assertEqual(self.see(after=100.0), [])
        self.assertEqual(self.story.status(), 1)
        self.setUp()
        (line,) = self.see(after=61.0, others=3)
        self.assertIn("Meta delivers", line.said)

    def test_read_back(self) -> None:
        """
        A message that was found in the thread shows that Meta does not deliver.
        """
        (line,) = self.see(read_back=1)
        self.assertIn("Meta has not delivered it", line.said)
        self.assertEqual(self.see(read_back=2), [])

    def test_each(self) -> None:
        """
        Each stage that does not come is told once, in its time.
        """
        for message, seconds, stage, word in (
            (CAME, 10.0, "turn", "not taken up"),
            (ASKED, 20.0, "answer", "has not answered"),
            (evolve(ASKED, turn_state="ready"), 20.0, "answer", "not asked yet"),
            (evolve(ASKED, tries=1), 60.0, "answer", "has not answered"),
            (MADE, 10.0, "send", "not sent yet"),
            (with_part(SENDING), 20.0, "send", "Meta has not answered"),
            (with_part(evolve(SENDING, state="unknown")), 60.0, "send", "not known"),
        ):
            self.setUp()
            self.see(message)
            self.assertEqual(self.see(message, after=seconds - 0.1), [], stage)
            (line,) = self.see(message, after=0.2)
            self.assertEqual((line.stage, line.verdict), (stage, Verdict.WARNING))
            self.assertIn(word, line.said)
            self.assertTrue(line.todo)
            self.assertEqual(self.see(message, after=100.0), [])

    def test_why(self) -> None:
        """
        If the daemon says why nothing is sent, or that the LLM is left alone,
        that is told; it is asked only where that may help.
        """
        states = {"mica": BotState(stopped="code 190", alone=("llm.example",))}
        for message, seconds, word in (
            (MADE, 10.0, "code 190"),
            (ASKED, 20.0, "llm.example"),
        ):
            self.setUp()
            self.see(message)
            sight = evolve(EMPTY, messages=(message,))
            self.assertFalse(wants_states(self.story, sight, self.now))
            self.assertTrue(wants_states(self.story, sight, self.now + seconds))
            (line,) = self.see(message, after=seconds, states=states)
            self.assertIn(word, line.said)
            self.assertFalse(wants_states(self.story, sight, self.now))

    def test_daemon(self) -> None:
        """
        Where no daemon runs that is told at once, and when one runs again; no
        message is missed meanwhile.
        """
        (line,) = self.see(runs=False)
        self.assertEqual((line.stage, line.verdict), ("daemon", Verdict.FAILED))
        self.assertEqual(self.see(runs=False, after=100.0), [])
        self.assertEqual(self.story.status(), 2)
        self.assertEqual(self.stages(CAME)[0], ("daemon", "ok"))
        self.assertEqual(self.stages(CAME, runs=False), [("daemon", "failed")])

    def test_unreadable(self) -> None:
        """
        A store that can't be read for a while ends the waiting; for a moment
        it may not be, as while it is made.
        """
        self.assertEqual(self.see(problem="locked", last=None), [])
        self.assertEqual(self.see(), [])
        self.assertEqual(self.see(problem="no right", last=None, after=9.0), [])
        (line,) = self.see(problem="no right", last=None, after=5.0)
        self.assertEqual((line.stage, line.verdict), ("store", Verdict.FAILED))
        self.assertTrue(self.story.over)
        self.assertEqual(self.story.status(), 2)
