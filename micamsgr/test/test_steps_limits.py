"""
Tests for what becomes of people who use more than they may.
"""

from __future__ import annotations

from typing import Any

from micamsgr.conversation.limits import DAY, Limit
from micamsgr.conversation.policy import Handover, Limits
from micamsgr.conversation.states import PartState
from micamsgr.errors import Refused, Unavailable
from micamsgr.testing import ALICE, BOB, CAROL, INBOX, echo

from .conversation_case import ConversationTestCase

TEXT = Limits().text

#: What a call may cost in these tests, in tokens.
MOST = 100


class LimitsCase(ConversationTestCase):
    """
    A bot with limits, whose assistant may cost 100 tokens per call.
    """

    def limit(self, **limits: Any) -> None:
        """
        Start with these limits, and no others.
        """
        none: dict[str, Any] = {
            "person_turns_per_minute": 0,
            "person_turns_per_day": 0,
            "person_tokens_per_day": 0,
            "bot_tokens_per_day": 0,
        }
        self.restart(limits=Limits(**{**none, **limits}))

    def start(self) -> None:
        self.assistant.most = MOST
        super().start()

    def ask(self, psid: Any = ALICE, tokens: int = 10) -> bool:
        """
        Let a person say something, and the assistant answer it for so many
        tokens; say whether it was asked at all.
        """
        self.say("hi", psid)
        asked = bool(self.assistant.pending)
        if asked:
            self.assistant.answer("hello", tokens=tokens)
        self.messenger.settle_all()
        return asked

    def spent(self, whose: int = 0) -> int:
        """
        Read how many tokens are spent or set aside, on all days.
        """
        (tokens,) = self.store.database.connection.execute(
            "SELECT total(tokens) FROM spending WHERE conversation = ?", (whose,)
        ).fetchone()
        return int(tokens)


class TurnTests(LimitsCase):
    """
    Tests for limits on turns.
    """

    def test_day(self) -> None:
        """
        Who has had all answers of a day reads so once, and the assistant is
        asked no more; on the next day it goes on.
        """
        self.limit(person_turns_per_day=2)
        self.assertEqual([self.ask() for _ in range(5)], [True, True] + [False] * 3)
        self.assertEqual(self.messenger.texts(), ["hello", "hello", TEXT])
        reason = f"limits.{Limit.TURNS_PER_DAY.value}"
        self.assertEqual(self.store.events()[2:], [("dead", reason)] * 3)
        self.clocks.wall += DAY
        self.assertTrue(self.ask())

    def test_minute(self) -> None:
        """
        Who writes too fast reads so once in that minute, and is answered in
        the next.
        """
        self.limit(person_turns_per_minute=1)
        self.assertEqual([self.ask() for _ in range(3)], [True, False, False])
        self.clocks.wall += 60_000
        self.assertEqual([self.ask() for _ in range(3)], [True, False, False])
        self.assertEqual(self.messenger.texts(), ["hello", TEXT] * 2)

    def test_others(self) -> None:
        """
        That one person has used up everything costs nobody else anything.
        """
        self.limit(person_turns_per_day=1)
        self.assertEqual([self.ask(it) for it in (ALICE, ALICE)], [True, False])
        self.assertTrue(self.ask(BOB))

    def test_again(self) -> None:
        """
        That the assistant is asked again since it failed is not another turn.
        """
        self.limit(person_turns_per_day=1)
        self.say()
        for _ in range(3):
            self.assistant.fail(Unavailable("busy"))
            self.wait(10.0)
        self.assistant.answer("hello")
        self.messenger.settle()
        self.assertEqual(self.messenger.texts(), ["hello"])

    def test_kept_by_the_thread(self) -> None:
        """
        A thread is not passed on because of a limit.
        """
        self.options = {"handover": Handover(pass_to=INBOX)}
        self.limit(person_turns_per_day=1)
        self.ask()
        self.ask()
        self.assertEqual(self.messenger.passed_on, [])


class TokenTests(LimitsCase):
    """
    Tests for limits on tokens.
    """

    def test_reserved(self) -> None:
        """
        What calls that are under way may cost counts as spent.
        """
        self.limit(bot_tokens_per_day=2 * MOST)
        for psid in (ALICE, BOB, CAROL):
            self.say("hi", psid)
        self.assertEqual(len(self.assistant.pending), 2)
        self.assertEqual(self.sending(), [TEXT])
        self.assertEqual(self.spent(), 2 * MOST)

    def test_settled(self) -> None:
        """
        What a call did cost is what counts after it.
        """
        self.limit(bot_tokens_per_day=30)
        self.assertEqual([self.ask() for _ in range(4)], [True, True, True, False])
        self.assertEqual((self.spent(), self.spent(1)), (30, 30))

    def test_person(self) -> None:
        """
        A person's own tokens may be fewer than everybody's.
        """
        self.limit(person_tokens_per_day=MOST, bot_tokens_per_day=10 * MOST)
        self.assertEqual([self.ask(tokens=MOST) for _ in range(2)], [True, False])
        self.assertTrue(self.ask(BOB))

    def test_failed(self) -> None:
        """
        What a call in vain may have cost counts too, and no more than that.
        """
        self.limit(bot_tokens_per_day=10 * MOST)
        self.say()
        self.assistant.fail(Unavailable("timeout", tokens=7))
        self.assertEqual(self.spent(), 7)
        self.wait(1.0)
        self.assistant.fail(Refused("no", tokens=3))
        self.assertEqual(self.spent(), 10)

    def test_defect(self) -> None:
        """
        What a call with a defect cost nobody knows: all that was set aside.
        """
        self.limit(bot_tokens_per_day=10 * MOST)
        self.say()
        self.assistant.fail(ZeroDivisionError())
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(self.spent(), MOST)

    def test_retries_are_not_free(self) -> None:
        """
        Where the calls in vain have used up everything, the turn is given up.
        """
        self.limit(person_tokens_per_day=2 * MOST)
        self.say()
        for _ in range(2):
            self.assistant.fail(Unavailable("timeout", tokens=MOST))
            self.wait(2.0)
        self.assertEqual(self.assistant.pending, [])
        self.assertEqual(self.sending(), [TEXT])
        self.assertEqual(
            self.store.turns(), [("failed", "limits.person.tokens_per_day")]
        )

    def test_kill(self) -> None:
        """
        What was set aside by a process that was killed counts as spent: no
        crash buys more than the limit.
        """
        self.limit(bot_tokens_per_day=3 * MOST)
        self.say()
        for killed in range(1, 4):
            self.assertEqual(len(self.assistant.pending), 1)
            self.assertEqual(self.spent(), killed * MOST)
            self.kill()
        self.assertEqual(self.assistant.pending, [])
        self.assertEqual(self.sending(), [TEXT])

    def test_kill_at_the_end_of_patience(self) -> None:
        """
        So does what was set aside for a turn whose patience is over when the
        machine is up again.
        """
        self.limit(bot_tokens_per_day=3 * MOST)
        self.say()
        self.assistant.fail(Unavailable("overloaded"))
        self.wait(70.0)
        self.assertEqual(len(self.assistant.pending), 1)
        self.boot("second boot", 3600.0)
        self.wait(2.0)
        self.assertEqual(self.store.turns(), [("failed", "patience")])
        self.assertEqual(self.spent(), MOST)

    def test_midnight(self) -> None:
        """
        A call that ends after midnight is settled on the day on which it
        began.
        """
        self.limit(bot_tokens_per_day=10 * MOST)
        self.clocks.wall += DAY - self.clocks.wall % DAY - 1000
        self.say()
        self.clocks.wall += 2000
        self.assistant.answer("hello", tokens=7)
        self.messenger.settle()
        rows = self.store.database.connection.execute(
            "SELECT tokens FROM spending WHERE conversation = 0"
        ).fetchall()
        self.assertEqual(rows, [(7,)])

    def test_taken_over(self) -> None:
        """
        An answer that comes too late, since a human has answered, is settled
        all the same.
        """
        self.limit(bot_tokens_per_day=10 * MOST)
        self.say()
        self.successResultOf(self.store.take_over(1, 0))
        self.assistant.answer("hello", tokens=7)
        self.assertEqual(self.spent(), 7)
        self.assertEqual(self.states(), [])

    def test_cut_off(self) -> None:
        """
        What a call did cost that was cut off as a human answered nobody knows:
        all that was set aside counts, and once.
        """
        self.limit(bot_tokens_per_day=10 * MOST)
        self.say()
        self.wait(5.0)
        self.receive(echo(at=self.clocks.now().wall))
        self.assertEqual(self.assistant.pending, [])
        self.assertEqual((self.spent(), self.spent(1)), (MOST, MOST))
        self.assertTrue(self.ask(BOB))
        self.assertEqual(self.spent(), MOST + 10)


class NoticeTests(LimitsCase):
    """
    Tests for what people read where a limit is reached.
    """

    def test_restart(self) -> None:
        """
        After a kill nobody reads it a second time.
        """
        self.limit(person_turns_per_day=1)
        self.ask()
        self.ask()
        self.kill()
        self.ask()
        self.assertEqual(self.messenger.texts(), ["hello", TEXT])
        self.assertEqual(self.states(), [(PartState.SENT, None)] * 2)
