"""
Tests for :mod:`micamsgr.store.conversations`: an operator who takes part.
"""

from __future__ import annotations

from typing import Any

from micamsgr.conversation import parts as lifecycle
from micamsgr.conversation.events import BotName, Mid
from micamsgr.conversation.outcomes import InDoubt, NeverSent, Sent
from micamsgr.conversation.parts import Kind
from micamsgr.conversation.planner import Send, Wait, next_step
from micamsgr.conversation.policy import Delivery, Manners
from micamsgr.store import conversations
from micamsgr.store.conversations import FOREVER, Whose
from micamsgr.store.rows import utter
from micamsgr.test.test_store_queue import HOUR, QueueCase
from micamsgr.test.test_store_record import MINUTE, arriving, moment
from micamsgr.testing import ALICE, BOB, NOW, echo, said

ALICES = Whose(psid=ALICE)


class ConversationCase(QueueCase):
    """
    A conversation, and an operator.
    """

    def speak(self, *texts: str, after: int = 0) -> list[str]:
        """
        Say something, after which the bot is to be quiet for half an hour.
        """
        entropy = iter(range(after + 1, after + 99))
        _, parts = self.ask(
            lambda database: conversations.speak(
                database,
                ALICES,
                texts,
                moment(after),
                lambda bot: 1800.0,
                lambda count: next(entropy).to_bytes(count, "big"),
            )
        )
        return list(parts)

    def pause(self, until: int) -> None:
        self.ask(lambda database: conversations.pause(database, ALICES, until))

    def quiet_until(self) -> int:
        shown = self.ask(lambda database: conversations.show(database, ALICES, 10))
        return int(shown["quiet_until"])

    def next(self, after: int = 0) -> Any:
        return next_step(self.situation(), moment(after), Delivery(), Manners())


class SpeakTests(ConversationCase):
    """
    Tests for what an operator says.
    """

    def test_said(self) -> None:
        """
        It is sent part by part, in order; it is history, as a human's words,
        and the bot is quiet.
        """
        self.record(said())
        first, second = self.speak("One.", "Two.")
        self.assertEqual(self.next().part.id, first)
        self.settle(self.sending(), Sent(Mid("m_1")))
        self.assertEqual(self.next().part.id, second)
        self.settle(self.sending(), Sent(Mid("m_2")))
        self.assertEqual(self.waiting(), [])
        self.assertEqual(self.history(), [("person", "hi"), ("human", "One.\n\nTwo.")])
        self.assertEqual(self.quiet_until(), NOW + 30 * MINUTE)
        self.assertEqual(self.store.events(), [("ignored", "human")])
        self.record(said(at=NOW + MINUTE), after=MINUTE)
        self.assertEqual(self.store.events()[1], ("ignored", "human"))

    def sending(self) -> Any:
        """
        Take the step that is due: a part is being sent then.
        """
        step = self.next()
        assert isinstance(step, Send)
        intended = lifecycle.intend(step.part, moment())
        self.change(step.part, intended)
        return intended

    def test_taken_back(self) -> None:
        """
        What was said in vain keeps the bot quiet no longer, unless a human has
        answered meanwhile, though that was a little earlier; in either case it
        is no history, while the same words of a human are.
        """
        for human in (False, True):
            self.setUp()
            self.record(said())
            spoken, _ = self.ask(
                lambda database: conversations.speak(
                    database, ALICES, ["Me."], moment(8), lambda bot: 1800.0, bytes
                )
            )
            self.record(said("more", at=NOW + 9), after=9)
            if human:
                self.record(echo("Me.", at=NOW + 6000), after=9000)
            left = self.ask(lambda d, s=spoken: conversations.take_back(d, s))
            self.assertEqual(self.quiet_until() > 0, human)
            # What came later is the human's.
            self.assertEqual(left, ["e1"] if human else ["e1", "e2"])
            self.assertEqual(
                self.history(),
                [("person", "hi"), ("person", "more"), *[("human", "Me.")] * human],
            )

    def test_taken_back_while_quiet(self) -> None:
        """
        Where the bot was quiet before, what comes meanwhile was not left to
        whose words were in vain.
        """
        self.record(said())
        self.pause(NOW + HOUR)
        spoken, _ = self.ask(
            lambda database: conversations.speak(
                database, ALICES, ["Me."], moment(8), lambda bot: 1800.0, bytes
            )
        )
        self.record(said("more", at=NOW + 9), after=9)
        self.assertEqual(self.ask(lambda d: conversations.take_back(d, spoken)), [])
        self.assertEqual(self.quiet_until(), NOW + HOUR)

    def test_taken_back_answered(self) -> None:
        """
        What the bot was told to answer meanwhile is not left to anybody.
        """
        self.record(said())
        spoken, _ = self.ask(
            lambda database: conversations.speak(
                database, ALICES, ["Me."], moment(8), lambda bot: 1800.0, bytes
            )
        )
        self.ask(lambda database: conversations.resume(database, ALICES))
        self.retry("e1", 9)
        self.assertEqual(self.ask(lambda d: conversations.take_back(d, spoken)), [])

    def test_taken_back_erased(self) -> None:
        """
        What took the place of words that were erased meanwhile stays.
        """
        self.record(said())
        spoken, _ = self.ask(
            lambda database: conversations.speak(
                database, ALICES, ["Me."], moment(8), lambda bot: 1800.0, bytes
            )
        )
        database = self.store.database.connection
        database.execute("DELETE FROM utterance WHERE role = 'human'")
        self.record(said(psid=BOB, at=NOW + 9), after=9)
        self.ask(lambda d: utter(d, 2, "human", NOW, "to Bob"))
        self.ask(lambda d: conversations.take_back(d, spoken))
        self.assertEqual(self.history(), [("person", "hi"), ("human", "to Bob")])

    def test_behind_doubt(self) -> None:
        """
        It is said after an answer that is in doubt, once that is settled, and
        what was left of that answer is not said.
        """
        part = self.doubt("one", "two")
        (own,) = self.speak("Me.")
        self.assertIsInstance(self.next(), Wait)
        self.record(echo("one", metadata=f"mica:1:{part.id}:1", mid=Mid("m_1")))
        self.assertEqual(self.next().part.id, own)
        self.assertEqual(
            [(it.kind, it.state.value) for it in self.store.parts()],
            [
                (Kind.ANSWER, "sent"),
                (Kind.ANSWER, "expired"),
                (Kind.OPERATOR, "composed"),
            ],
        )

    def test_human(self) -> None:
        """
        A human who answers as well, and a second thing that is said, take
        nothing of it back.
        """
        self.record(said())
        self.speak("One.")
        self.record(echo(at=NOW + MINUTE), after=MINUTE)
        self.speak("Two.", after=2 * MINUTE)
        self.assertEqual(self.states(), ["composed", "composed"])
        self.assertEqual(self.next(2 * MINUTE).part.text, "One.")

    def test_in_doubt(self) -> None:
        """
        What is said next waits until it is known what became of it.
        """
        self.record(said())
        self.speak("One.", "Two.")
        self.settle(self.sending(), InDoubt("who knows"))
        self.assertIsInstance(self.next(), Wait)

    def test_refused(self) -> None:
        """
        If a part of it can't be said, what follows isn't.
        """
        self.record(said())
        self.speak("One.", "Two.")
        self.settle(self.sending(), NeverSent("551", "gone"))
        # What is drawn from it is drawn by the transaction that writes it.
        self.assertEqual(self.states()[0].partition(" ")[0], "refused")
        self.assertEqual(self.states()[1], "expired (sibling)")

    def test_window(self) -> None:
        """
        Nothing is said after Meta's window has closed, and the bot is not made
        quiet.
        """
        self.record(said())
        work = self.speaking(24 * HOUR)
        self.assertIn("window is closed", self.declined(work))

    def speaking(self, after: int) -> Any:
        return lambda database: conversations.speak(
            database, ALICES, ["x"], moment(after), lambda bot: 1.0, bytes
        )

    def test_nobody(self) -> None:
        """
        Nothing is said to somebody who is not known, or where it is not clear
        as which bot.
        """
        self.assertIn("nobody", self.declined(self.speaking(0)))
        self.record(said())
        arrival = arriving(said(), bot=BotName("other"))
        self.now(self.store.record([arrival], moment()))
        self.assertIn("--bot other", self.declined(self.speaking(0)))
        other = Whose(psid=ALICE, bot="other")
        found = self.ask(lambda database: conversations.find(database, other))
        self.assertEqual(found["bot"], "other")


class PauseTests(ConversationCase):
    """
    Tests for a bot that is to be quiet.
    """

    def test_pause(self) -> None:
        """
        What waits and what is about to be said is taken back; in no other
        conversation.
        """
        self.record(said())
        self.compose("one", "two")
        self.record(said(at=NOW + 1), said(psid=BOB))
        self.pause(NOW + HOUR)
        self.assertEqual(self.states(), ["sending", "expired (human)"])
        self.assertEqual(self.store.events()[1:], [("ignored", "human"), ("new", None)])

    def test_for_good(self) -> None:
        """
        A human who answers makes no pause shorter; an operator does.
        """
        self.record(said())
        self.pause(FOREVER)
        self.record(echo(at=NOW + MINUTE), after=MINUTE)
        self.assertEqual(self.quiet_until(), FOREVER)
        self.pause(NOW + HOUR)
        self.assertEqual(self.quiet_until(), NOW + HOUR)

    def test_resume(self) -> None:
        """
        Once awake, the bot answers what comes from then on.
        """
        self.record(said("before"))
        self.pause(FOREVER)
        self.ask(lambda database: conversations.resume(database, ALICES))
        self.assertEqual(self.quiet_until(), 0)
        self.record(said("after", at=NOW + MINUTE), after=MINUTE)
        self.assertEqual(self.store.events(), [("ignored", "human"), ("new", None)])

    def test_show(self) -> None:
        """
        The history is shown, as much as was asked for, and what is open.
        """
        self.record(said("one"))
        self.compose("hello", "again")
        self.record(said("two"))
        shown = self.ask(lambda database: conversations.show(database, ALICES, 1))
        self.assertEqual([it["text"] for it in shown["history"]], ["hello again"])
        self.assertEqual([it["text"] for it in shown["unanswered"]], ["two"])
        self.assertEqual([it["text"] for it in shown["unsent"]], ["hello", "again"])


class DeclinedTests(ConversationCase):
    """
    Tests for what an operator can't have.
    """

    def test_nobody(self) -> None:
        """
        Nobody is paused, woken or shown who is not known.
        """
        for work in (
            lambda d: conversations.pause(d, ALICES, 1),
            lambda d: conversations.resume(d, ALICES),
            lambda d: conversations.show(d, ALICES, 1),
        ):
            self.assertIn("nobody", self.declined(work))
