"""
Tests for :mod:`micamsgr.conversation.missed`.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Echo, Mid, Said
from micamsgr.conversation.missed import (
    HUMAN,
    LATER,
    NO_TEXT,
    NO_TIME,
    OVERTAKEN,
    SPOKEN_SINCE,
    TOO_OLD,
    TWICE,
    Gap,
    Heard,
    Message,
    Recollection,
    agree,
    missed,
)
from micamsgr.conversation.moment import Moment, Tick
from micamsgr.conversation.policy import Handover
from micamsgr.conversation.reception import Arrival
from micamsgr.conversation.states import EventState
from micamsgr.testing import ALICE, BOB, BOT, NOW, PAGE

HOUR = 3600 * 1000
WALL = NOW // 1000 * 1000
MOMENT = Moment(wall=WALL, tick=Tick(100.0, "boot"), started=90.0)

# An outage that began two hours ago, and was over ten seconds ago.
GAP, RESUMED = Gap(since=WALL - 2 * HOUR), WALL - 10_000

NEW = ("new", None)


def message(
    text: str = "hi",
    ago: float | None = 600.0,
    *,
    mid: str | None = None,
    by_page: bool = False,
) -> Message:
    """
    Make a message as a thread shows it.

    :param ago: seconds; ``None``: it has no time that can be read.
    """
    mid = mid or f"m_{text}_{ago}"
    return Message(
        key=f"{by_page}{mid}".encode(),
        mid=Mid(mid),
        at=None if ago is None else WALL - int(ago * 1000),
        text=text,
        by_page=by_page,
    )


def heard(text: str | None = "hi", ago: float = 600.0, mid: str = "other") -> Heard:
    """
    Make something that is known.
    """
    return Heard(Mid(mid), WALL - int(ago * 1000), text)


class MissedTests(SynchronousTestCase):
    """
    Tests for :func:`missed`.
    """

    def found(
        self, *messages: Message, known: Recollection | None = None, **more: Any
    ) -> tuple[Arrival, ...]:
        """
        Look for what was missed.
        """
        arguments: dict[str, Any] = {
            "bot": BOT,
            "page": PAGE,
            "psid": ALICE,
            "gap": GAP,
            "resumed": RESUMED,
            "agreed": False,
            "now": MOMENT,
            "handover": Handover(),
        }
        known = known or Recollection()
        return missed(messages, known, **{**arguments, **more})

    def ends(
        self, *messages: Message, **more: Any
    ) -> list[tuple[str, tuple[str, str | None]]]:
        """
        Tell what becomes of what people said and was missed.
        """
        return [
            (taken.event.text, (taken.state.value, taken.reason))
            for taken in self.found(*messages, **more)
            if isinstance(taken.event, Said)
        ]

    def test_missed(self) -> None:
        """
        What nobody delivered is answered, in the order of the thread.
        """
        one, two = message("one", 600), message("two", 500)
        found = self.found(one, two)
        self.assertEqual(
            [(it.event, it.state, it.backfilled, it.opens) for it in found],
            [
                (
                    Said(
                        key=it.key,
                        page=PAGE,
                        psid=ALICE,
                        at=it.at or 0,
                        kind="message",
                        mid=it.mid,
                        text=it.text,
                    ),
                    EventState.NEW,
                    True,
                    True,
                )
                for it in (one, two)
            ],
        )

    def test_known_by_id(self) -> None:
        """
        What is known by its ID is not missed, with Meta's prefix or without.
        """
        for mid in ("m_1", "1"):
            known = Recollection(heard=(heard("another text", 9000, "m_1"),))
            self.assertEqual(self.found(message(mid=mid), known=known), ())

    def test_known_by_words(self) -> None:
        """
        Where IDs differ, the same words within five seconds are the same
        message; later or other words are not.
        """
        for ago, text, missing in (
            (604.9, "hi", False),
            (595.1, " hi\n", False),
            (594.0, "hi", True),
            (606.0, "hi", True),
            (600.0, "hi!", True),
            (600.0, "hi\n[a picture]", False),
        ):
            known = Recollection(heard=(heard(text, ago),))
            self.assertEqual(bool(self.found(message(), known=known)), missing, text)

    def test_ids_agree(self) -> None:
        """
        Where IDs are proved to be those of webhooks, the same words under
        another ID are another message.
        """
        first, second = message(mid="m_1"), message(ago=598, mid="m_2")
        known = Recollection(
            heard=(heard(mid="m_1"),), delivered=frozenset({Mid("m_1")})
        )
        self.assertTrue(agree((first, second), known))
        self.assertEqual(
            self.ends(first, second, known=known, agreed=True), [("hi", NEW)]
        )
        unseen = Recollection(heard=(heard(mid="m_0"),))
        self.assertEqual(self.ends(first, known=unseen), [])
        self.assertEqual(self.ends(first, known=unseen, agreed=True), [("hi", NEW)])
        self.assertFalse(agree((second,), known))
        self.assertFalse(agree((first,), evolve(known, delivered=frozenset())))

    def test_twice(self) -> None:
        """
        Of the same words said twice, and known once, nobody knows whether the
        second was missed: it is listed, not answered.  Known twice or not at
        all leaves no doubt.
        """
        pair = (message(mid="a"), message(ago=598, mid="b"))
        for count, ends in (
            (0, [("hi", NEW)] * 2),
            (1, [("hi", ("dead", TWICE))]),
            (2, []),
        ):
            times = [heard(ago=600 - 2 * n, mid=str(n)) for n in range(count)]
            known = Recollection(heard=tuple(times))
            self.assertEqual(self.ends(*pair, known=known), ends)

    def test_without_text(self) -> None:
        """
        What has no words is listed, not answered, unless something that came
        without words is known from then.
        """
        picture = message("")
        listed = [("[something without text]", ("dead", NO_TEXT))]
        self.assertEqual(self.ends(picture), listed)
        for text, ends in (("[a picture]", []), ("hi", listed)):
            known = Recollection(heard=(heard(text),))
            self.assertEqual(self.ends(picture, known=known), ends)

    def test_without_time(self) -> None:
        """
        What has no time that can be read is listed, not answered.
        """
        self.assertEqual(self.ends(message(ago=None)), [("hi", ("dead", NO_TIME))])

    def test_page_wrote_later(self) -> None:
        """
        Where the Page has written since, nothing before that is answered, also
        in the same second.
        """
        for ago in (600.0, 500.0):
            staff = message("I see to it", ago, by_page=True)
            self.assertEqual(self.ends(message(), staff), [("hi", ("ignored", LATER))])

    def test_page_wrote_before(self) -> None:
        """
        What the Page wrote long before the message keeps nobody waiting.
        """
        staff = message("How was it?", 4000, by_page=True)
        self.assertEqual(self.ends(staff, message()), [("hi", NEW)])

    def test_bot_answered_later(self) -> None:
        """
        What the bot said after the outage answered what it knew by then: it
        keeps nobody waiting who wrote before.  What it said earlier does, and
        the message is listed: if it is delivered after all, it is answered.
        """
        for ago, ends in ((9.0, NEW), (20.0, ("dead", SPOKEN_SINCE))):
            ours = message("An answer", ago, mid="m_9", by_page=True)
            for known in (
                Recollection(ours=frozenset({Mid("m_9")})),
                Recollection(our_words=("An  answer",)),
            ):
                self.assertEqual(
                    self.ends(message(), ours, known=known), [("hi", ends)]
                )

    def test_overtaken(self) -> None:
        """
        What was written before a message that is known is listed, not
        answered: answers leave in order.
        """
        known = Recollection(heard=(heard("again", 5.0, "m_2"),))
        self.assertEqual(
            self.ends(message(), message("again", 5.0, mid="m_2"), known=known),
            [("hi", ("dead", OVERTAKEN))],
        )

    def test_quiet(self) -> None:
        """
        Who wrote while a human was at it gets no answer of the bot's, whether
        the thread shows the human or the store knows.
        """
        staff = message("I see to it", 700, by_page=True)
        for messages, known in (
            ((staff, message()), Recollection()),
            ((message(),), Recollection(quiet_until=WALL - 599_000)),
        ):
            self.assertEqual(
                self.ends(*messages, known=known), [("hi", ("ignored", HUMAN))]
            )
        for handover in (Handover(quiet=0.0), Handover(by=("1",)), Handover(quiet=60)):
            self.assertEqual(
                self.ends(staff, message(), handover=handover), [("hi", NEW)]
            )

    def test_woken(self) -> None:
        """
        The word that wakes the bot does so in what was missed too.
        """
        said = (
            message("I see to it", 700, by_page=True),
            message("bot, go on", 650, by_page=True),
            message(),
        )
        handover = Handover(wake="bot, go on")
        self.assertEqual(self.ends(*said, handover=handover), [("hi", NEW)])

    def test_human_is_told(self) -> None:
        """
        What a human wrote for the Page, and nobody delivered, silences the bot
        as if it had been delivered; what the bot wrote, or what is known, does
        not.
        """
        staff = message("I see to it", 500, mid="m_5", by_page=True)
        [taken] = self.found(staff)
        assert isinstance(taken.event, Echo)
        self.assertEqual(taken.event.text, "I see to it")
        self.assertEqual((taken.human, taken.backfilled), (True, True))
        for known in (
            Recollection(ours=frozenset({Mid("5")})),
            Recollection(our_words=("I see to it",)),
            Recollection(theirs=frozenset({Mid("m_5")})),
            Recollection(their_words=(heard("I see to it", 502),)),
        ):
            self.assertEqual(self.found(staff, known=known), ())

    def test_instant_reply(self) -> None:
        """
        Meta's own instant reply is no human; but it is an answer.
        """
        reply = message("Thank you", 598, by_page=True)
        then = message("and?", 500)
        _, echo, _ = found = self.found(message(), reply, then)
        self.assertFalse(echo.human)
        self.assertEqual([it.reason for it in found], [LATER, "echo", None])

    def test_window(self) -> None:
        """
        What is too old to be answered is listed; nothing is too old while
        Meta's clock is unknown.
        """
        gap = Gap(since=WALL - 30 * HOUR)
        old = message(ago=24 * 3600)
        self.assertEqual(self.ends(old, gap=gap), [("hi", ("dead", TOO_OLD))])
        unsure = evolve(MOMENT, sure=False)
        self.assertEqual(self.ends(old, gap=gap, now=unsure), [("hi", NEW)])

    def test_before_the_gap(self) -> None:
        """
        What is older than the gap, and ten minutes more, is not looked at; nor
        what is older than the first start.
        """
        gap = Gap(since=WALL - HOUR)
        self.assertEqual(self.ends(message(ago=4201), gap=gap), [])
        self.assertEqual(self.ends(message(ago=4199), gap=gap), [("hi", NEW)])
        gap = evolve(gap, floor=WALL - HOUR)
        self.assertEqual(self.ends(message(ago=3601), gap=gap), [])
        self.assertEqual(self.ends(message(ago=3599), gap=gap), [("hi", NEW)])

    def test_erased(self) -> None:
        """
        What an erased person had written before stays out; what they wrote
        later does not.
        """
        known = Recollection(erased=WALL - 600_000)
        self.assertEqual(self.ends(message(ago=600), known=known), [])
        self.assertEqual(self.ends(message(ago=599), known=known), [("hi", NEW)])

    def test_allow(self) -> None:
        """
        Where only some people are answered, the others are not here either.
        """
        self.assertEqual(
            self.ends(message(), allow=[BOB]), [("hi", ("ignored", "not allowed"))]
        )
        self.assertEqual(self.ends(message(), allow=[ALICE]), [("hi", NEW)])

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["", "a", "b"]),
                st.one_of(st.none(), st.integers(0, 8000)),
                st.booleans(),
            ),
            max_size=20,
        )
    )
    def test_again(self, drawn: list[tuple[str, int | None, bool]]) -> None:
        """
        Whatever a thread shows, what was found in it is found only once; and
        nothing is answered that the Page wrote after.
        """
        messages = [
            message(text, ago, mid=f"m_{place}", by_page=by_page)
            for place, (text, ago, by_page) in enumerate(drawn)
        ]
        found = self.found(*messages)
        last = max((n for n, it in enumerate(messages) if it.by_page), default=-1)
        events = [taken.event for taken in found]
        for taken in found:
            if taken.state is EventState.NEW:
                assert isinstance(taken.event, Said)
                self.assertGreater(int((taken.event.mid or "")[2:]), last)
        known = Recollection(
            heard=tuple(
                Heard(it.mid, it.at, it.text) for it in events if isinstance(it, Said)
            ),
            theirs=frozenset(it.mid for it in events if isinstance(it, Echo)),
        )
        self.assertEqual(self.found(*messages, known=known), ())
