"""
Tests for :mod:`micamsgr.sandbox.story`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.events import Mid
from micamsgr.conversation.outcomes import Absent, Found, InDoubt, NoEvidence, Sent
from micamsgr.sandbox.journal import Applied, Wrote
from micamsgr.sandbox.story import Story, delivered, delivering

ALICE = "6284913775102846"


class StoryTests(SynchronousTestCase):
    """
    Tests for :class:`Story`.
    """

    def setUp(self) -> None:
        self.now = 100.0
        self.told: list[dict[str, Any]] = []
        aliases = {"a1": ALICE, "b1": "6284913775102847"}
        self.story = Story(self.tick, aliases.get, self.told.append, {"mica": 30.0})

    def tick(self) -> float:
        """
        Tell the time, which never stands still.
        """
        self.now += 1e-5
        return self.now

    def log(self, name: str, **fields: object) -> dict[str, Any] | None:
        """
        Let the daemon log something.

        :param name: of the event.
        :return: the line that was told of it.
        """
        before = len(self.told)
        event = {"log_namespace": "micamsgr.x", "event": name, "bot": "mica"}
        said = {"log_level": LogLevel.info, "log_format": "{bot} says so"}
        self.story({**event, **said, **fields})
        return self.told[-1] if len(self.told) > before else None

    def attempt(
        self, outcome: object, part: str = "p1", kind: str = "answer"
    ) -> dict[str, Any] | None:
        """
        Let the daemon tell what came of an attempt.
        """
        return self.log(
            "part.attempted",
            person="a1",
            turn=7,
            part=part,
            kind=kind,
            attempt=1,
            outcome=outcome,
            seconds=0.012,
        )

    def test_other_bots(self) -> None:
        """
        What a bot does that is none of the sandbox's is nobody's business
        there.
        """
        kept = {"person": "a1", "mid": "m_1", "kind": "message", "state": "new"}
        self.assertIsNotNone(self.log("message.taken", **kept))
        self.assertIsNone(self.log("message.taken", **kept, bot="live"))

    def test_since(self) -> None:
        """
        Each line has the time since the person wrote.
        """
        wrote = Wrote(at=0.0, page="1", psid=ALICE, mid="m_1", text="Hi")
        self.story.fact(wrote)
        self.now = 100.25
        self.attempt(Sent(Mid("m_2")))
        self.assertEqual([round(it["since"], 2) for it in self.told], [0.0, 0.25])
        self.assertEqual([line["psid"] for line in self.told], [ALICE, ALICE])

    def test_begins(self) -> None:
        """
        What a person writes begins something, at its zero of time; what the
        daemon does about it does not.
        """
        for mid in ("m_1", "m_2"):
            wrote = Wrote(at=0.0, page="1", psid=ALICE, mid=mid, text="Hi")
            self.story.fact(wrote)
            self.attempt(Sent(Mid("m_3")))
        self.assertEqual([it["begins"] for it in self.told], [True, False] * 2)
        self.assertEqual([it["since"] for it in self.told[::2]], [0.0, 0.0])

    def echo(self, alias: str, conversation: int) -> dict[str, Any]:
        """
        Let the daemon tell that a human answered.

        :return: the line that was told of the takeover.
        """
        self.log("echo.taken", person=alias, echo=f"m_{conversation}", part=None)
        line = self.log("human.took_over", conversation=conversation)
        assert line is not None
        return line

    def test_human_first(self) -> None:
        """
        Where a human writes first, it is told to whom, and for how long the
        bot is quiet.
        """
        line = self.echo("a1", 3)
        self.assertEqual(line["psid"], ALICE)
        self.assertIn("30 seconds", line["detail"])
        self.assertEqual(
            (self.log("human.took_over", conversation=3) or {})["psid"], ALICE
        )

    def test_humans_at_once(self) -> None:
        """
        Where humans answer two people at once, it is not guessed to whom.
        """
        self.log("echo.taken", person="b1", echo="m_1", part=None)
        self.assertIsNone(self.echo("a1", 3)["psid"])
        self.assertEqual(self.echo("a1", 4)["psid"], ALICE)

    def test_awake(self) -> None:
        """
        The first message that the bot is to answer again tells so, and only
        that one.
        """
        self.echo("a1", 3)
        titles = []
        for state in ("human", "new", "new"):
            kept = self.log(
                "message.taken", person="a1", mid="m", kind="message", state=state
            )
            titles.append((kept or {})["title"])
        self.assertEqual(
            titles,
            [
                "Kept on disk; a human is to answer",
                "Kept on disk; the bot is awake again",
                "Kept on disk",
            ],
        )

    def test_beside(self) -> None:
        """
        An apology and a notice are told as what they are.
        """
        for kind, title in (
            ("answer", "Sent, says the Graph API"),
            ("apology", "Sent: the person knows that it takes longer"),
            ("notice", "Sent: the person knows that no answer comes"),
        ):
            line = self.attempt(Sent(Mid("m_2")), kind=kind)
            self.assertEqual((line or {})["title"], title)
        line = self.attempt(InDoubt("why"), kind="apology")
        self.assertIn("In doubt", (line or {})["title"])
        self.assertIn("apology", (line or {})["detail"])

    def test_whose(self) -> None:
        """
        What names only a turn, a part or a conversation is known to be about
        the person whose it was.
        """
        self.log("turn.begun", person="a1", turn=7, conversation=3, count=1)
        self.attempt(InDoubt("why"))
        fields: Mapping[str, object]
        for name, fields in (
            ("turn.parked", {"turn": 7, "delay": 1.0, "detail": "why"}),
            (
                "part.looked_up",
                {"part": "p1", "attempt": 1, "evidence": Absent(), "state": "unknown"},
            ),
            ("human.took_over", {"conversation": 3}),
        ):
            line = self.log(name, **fields)
            assert line is not None
            self.assertEqual(line["psid"], ALICE, fields)
        line = self.log("turn.parked", turn=8, delay=1.0, detail="why")
        assert line is not None
        self.assertIsNone(line["psid"])

    def test_doubt(self) -> None:
        """
        An echo settles a doubt where there was one, and only once.
        """
        echo = {"person": "a1", "echo": "m_2", "part": "p1"}
        self.attempt(InDoubt("status 500"))
        titles = [(self.log("echo.taken", **echo) or {})["title"] for _ in range(2)]
        self.assertEqual(
            titles,
            ["Its echo settles the doubt: it arrived", "The echo of our own message"],
        )

    def test_evidence(self) -> None:
        """
        A look-up's evidence is told with what it means.
        """
        for evidence, state, title in (
            (Found(Mid("m")), "sent", "It is there: nothing is sent twice"),
            (Absent(), "unknown", "It is not there; a second look must agree"),
            (Absent(), "composed", "It never arrived: that is proved"),
            (Absent(), "dead", "It never arrived: that is proved"),
            (NoEvidence("x", False), "unknown", "No evidence to be had yet"),
            (NoEvidence("x", True), "composed", "No evidence to be had"),
        ):
            line = self.log(
                "part.looked_up", part="p", attempt=1, evidence=evidence, state=state
            )
            self.assertEqual((line or {})["title"], title)

    def test_trouble(self) -> None:
        """
        A warning that the story doesn't know is told in its own words; what is
        less, not at all.
        """
        self.assertIsNone(self.log("other"))
        line = self.log("other", log_level=LogLevel.warn)
        self.assertEqual((line or {})["title"], "mica says so")

    def test_lapsed(self) -> None:
        """
        What is not answered is not taken for a human's answer.
        """
        line = self.log("turn.lapsed", conversation=3, reason="window")
        self.assertEqual((line or {})["title"], "Not answered")
        line = self.log("human.took_over", conversation=3)
        self.assertEqual((line or {})["station"], "human")

    def test_bounds(self) -> None:
        """
        Only the last lines, and whose they are, are remembered.
        """
        for number in range(1000):
            self.attempt(InDoubt("why"), f"p{number}")
        self.assertEqual(len(self.story.lines()), 300)
        self.assertLessEqual(len(self.story._whose), 500)
        self.assertLessEqual(len(self.story._doubtful), 500)

    def test_arrives(self) -> None:
        """
        A message of the bot and one of a human are told apart.
        """
        for metadata, station in (("mica:1:p:1", "person"), (None, "human")):
            self.story.fact(
                Applied(
                    at=0.0,
                    page="1",
                    psid=ALICE,
                    mid="m",
                    text="x " * 100,
                    metadata=metadata,
                    app_id="1",
                )
            )
            self.assertEqual(self.told[-1]["station"], station)
            self.assertLessEqual(len(self.told[-1]["detail"]), 40)


class DeliveryTests(SynchronousTestCase):
    """
    Tests for what is told of deliveries.
    """

    def body(self, *people: str, echoes: int = 0) -> bytes:
        """
        Make a notification, of a message of each person, and echoes to ALICE.
        """
        items: list[object] = [
            {"sender": {"id": psid}, "message": {"mid": "m"}} for psid in people
        ]
        items += [
            {
                "sender": {"id": "1"},
                "recipient": {"id": ALICE},
                "message": {"mid": "m", "is_echo": True},
            }
        ] * echoes
        return json.dumps({"entry": [{"messaging": items}]}).encode()

    def test_counted(self) -> None:
        """
        A delivery is told with what it holds, and whose it is where it is one
        person's.
        """
        line = delivering(self.body(ALICE, echoes=2), 1)
        self.assertEqual((line.detail, line.psid), ("1 event and 2 echoes", ALICE))
        self.assertIsNone(delivering(self.body(ALICE, "2"), 1).psid)

    def test_again(self) -> None:
        """
        A second delivery of the same is told as such.
        """
        titles = [delivering(self.body(ALICE), attempt).title for attempt in (1, 2)]
        self.assertEqual(titles, ["Meta delivers, signed", "Meta delivers it again"])

    def test_answer(self) -> None:
        """
        Only 200 is good.
        """
        tones = [delivered(self.body(ALICE), it, 0.01).tone for it in (200, 503, None)]
        self.assertEqual(tones, ["good", "bad", "bad"])
