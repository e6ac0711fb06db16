"""
Tests that the story understands what the daemon logs: the fields of its
events, by the daemon's own parts.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.outcomes import InDoubt, NeverSent
from micamsgr.errors import Refused, Unavailable
from micamsgr.sandbox.retelling import Line, from_log
from micamsgr.testing import ALICE, PAGE

from .conversation_case import ConversationTestCase
from .test_webhook import WebhookCase, entry, message, notification, post


class Retold(SynchronousTestCase):
    """
    Something that logs, and what is told of it.
    """

    def setUp(self) -> None:
        super().setUp()
        self.lines: list[Line] = []
        retell: Any = self.retell
        globalLogPublisher.addObserver(retell)
        self.addCleanup(globalLogPublisher.removeObserver, retell)

    def retell(self, event: LogEvent) -> None:
        """
        Retell what is logged.
        """
        if str(event.get("log_namespace")).startswith("micamsgr."):
            line = from_log(event)
            self.lines += [] if line is None else [line]

    def titles(self) -> list[str]:
        """
        Take the titles that were told since the last time.
        """
        titles, self.lines = [line.title for line in self.lines], []
        return titles


class WebhookTests(Retold, WebhookCase):
    """
    Tests for what is retold of deliveries.
    """

    def echo(self, app_id: int, **more: object) -> bytes:
        """
        Make the POST by which the Page's words come back.
        """
        said = {"mid": f"m_{app_id}", "is_echo": True, "text": "Me", "app_id": app_id}
        item = {
            "sender": {"id": PAGE},
            "recipient": {"id": ALICE},
            "timestamp": self.at + 60_000,
            "message": {**said, **more},
        }
        return post(notification(entry(item)))

    @property
    def at(self) -> int:
        """When the messages of these tests are written, in milliseconds."""
        return int(str(message()["timestamp"]))

    def test_kept(self) -> None:
        """
        A message is kept, and known when it comes again.
        """
        body = post(notification(entry(message())))
        self.deliver(body)
        self.deliver(body)
        self.assertEqual(
            self.titles(), ["Kept on disk", "Known already: it counts once"]
        )

    def test_echo(self) -> None:
        """
        An echo of our own is told from one that isn't.
        """
        self.deliver(self.echo(7, metadata="mica:1:p1:1"))
        self.deliver(self.echo(8, metadata="theirs"))
        self.assertEqual(
            self.titles(), ["The echo of our own message", "An echo that is not ours"]
        )

    def test_human(self) -> None:
        """
        While a human talks, messages are told of as theirs to answer.
        """
        self.deliver(post(notification(entry(message("m_1")))))
        self.deliver(self.echo(263902037430900))
        self.deliver(post(notification(entry(message("m_2")))))
        self.assertEqual(
            self.titles(),
            [
                "Kept on disk",
                "An echo that is not ours",
                "A human answers: the bot goes quiet",
                "Kept on disk; a human is to answer",
            ],
        )


class StepsTests(Retold, ConversationTestCase):
    """
    Tests for what is retold of turns.
    """

    def test_answer(self) -> None:
        """
        Every step of an answer in two parts is told, in order.
        """
        self.say()
        self.assistant.answer("one|two", tokens=12)
        self.messenger.settle()
        self.messenger.settle()
        self.assertEqual(
            [(line.title, line.detail) for line in self.lines],
            [
                ("Turn 1: the LLM is asked", "with 1 line of the chat"),
                ("The LLM answers", "0 ms, 12 tokens"),
                ("The answer is kept before it is sent", "in 2 messages"),
                ("Sent, says the Graph API", "attempt 1, 0 ms"),
                ("Sent, says the Graph API", "attempt 1, 0 ms"),
            ],
        )

    def test_no_answer(self) -> None:
        """
        An LLM that fails is told of, for now and for good.
        """
        self.say()
        self.assistant.fail(Unavailable("busy", 7.0))
        self.wait(7.0)
        self.assistant.fail(Refused("no"))
        told = self.titles()
        self.assertEqual(told[1], "The LLM fails: again in 7.0 s")
        self.assertEqual(told[3], "Turn 1 is given up, and the person is told so")
        self.messenger.settle()
        self.assertEqual(self.titles(), ["Sent: the person knows that no answer comes"])

    def test_patience(self) -> None:
        """
        A turn that is given up for its age is told so in plain words.
        """
        self.say()
        for _ in range(50):
            self.assistant.fail(Unavailable("busy", 60.0))
            self.wait(60.0)
            if "Turn 1 is given up" in self.lines[-1].title:
                break
        self.assertEqual(self.lines[-1].detail, "there was no answer in time")

    def test_doubt(self) -> None:
        """
        A doubt, and the two looks that end it, are told.
        """
        self.say()
        self.assistant.answer("hello")
        self.messenger.settle(InDoubt("status 500"))
        self.titles()
        self.wait(45.0)
        self.assertEqual(
            self.titles(),
            [
                "It is not there; a second look must agree",
                "It never arrived: that is proved",
            ],
        )
        self.messenger.settle(NeverSent("blocked", "code 551"))
        self.assertEqual(self.titles(), ["Refused for good"])
