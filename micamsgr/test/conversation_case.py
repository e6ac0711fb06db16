"""
A bot from the store on, for tests of what becomes of what people say.
"""

from __future__ import annotations

import os
from itertools import count
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.dispatcher import Dispatcher
from micamsgr.conversation.events import Event, Psid
from micamsgr.conversation.interfaces import Recorded
from micamsgr.conversation.parts import Part
from micamsgr.conversation.policy import Delivery, Handover, Limits, Manners
from micamsgr.conversation.reception import arrival
from micamsgr.conversation.slots import Slots
from micamsgr.conversation.states import PartState
from micamsgr.conversation.steps import Steps
from micamsgr.store.conversations import Whose, speak
from micamsgr.testing import (
    ALICE,
    BOT,
    FixedClocks,
    MemoryAssistant,
    MemoryMessenger,
    MemoryStore,
    memory_store,
    said,
)

# Seconds: later than anything in these tests.
NEVER = 1e9


class ConversationTestCase(SynchronousTestCase):
    """
    A bot, from the store on: everything but HTTP.

    :ivar messenger: brings messages to people.
    :ivar jitter: what every random number is.
    :ivar options: how the bot differs from the default.
    """

    jitter = 1.0
    handover = Handover(wake="bot, go on")
    app: str | None = None

    def setUp(self) -> None:
        self.options: dict[str, Any] = {}
        self.store = self.make_store()
        self.entropy = count(1)
        self.clocks = FixedClocks(Clock())
        self.boot("first boot")

    def make_store(self) -> MemoryStore:
        """
        Make the store to use.
        """
        return memory_store()

    def boot(self, boot: str, seconds: float = 0.0) -> None:
        """
        Turn on the machine.

        :param seconds: for how long it was off.
        """
        wall = self.clocks.now().wall + int(seconds * 1000)
        self.clock = Clock()
        self.clocks = FixedClocks(self.clock, boot, wall)
        self.messenger = MemoryMessenger(lambda: self.clocks.now())
        self.assistant = MemoryAssistant()
        self.start()

    def steps(self) -> Steps:
        """
        Make the bot's steps, as the options say.
        """
        self.slots.limit = self.options.get("slots", 200)
        delivery = self.options.get("delivery", Delivery())
        manners = self.options.get("manners", Manners(apology_after=NEVER))
        return Steps(
            BOT,
            self.clock,
            self.clocks.now,
            self.store,
            self.messenger,
            self.assistant,
            lambda text: text.split("|"),
            lambda: self.jitter,
            lambda size: next(self.entropy).to_bytes(size, "big"),
            lambda psid: f"alias of {psid[:1]}",
            delivery=delivery,
            manners=manners,
            handover=self.options.get("handover", self.handover),
            limits=self.options.get("limits", Limits()),
            slots=self.slots,
            texts=self.options.get("texts", False),
        )

    def start(self) -> None:
        """
        Start the bot.
        """
        self.slots = Slots(200)
        self.dispatcher = Dispatcher(
            BOT,
            self.clock,
            self.store,
            self.steps(),
            lambda: self.jitter,
            most_at_work=self.options.get("most_at_work", 512),
            most_known=self.options.get("most_known", 20_000),
        )
        self.dispatcher.startService()

    def restart(self, **options: Any) -> None:
        """
        Stop in peace, and start with other *options*.
        """
        self.successResultOf(self.dispatcher.stopService())
        self.options = options
        self.start()

    def kill(self) -> None:
        """
        End the process as ``kill -9`` does, and start another at once.

        The old one's timers are on a clock that nobody advances any more.
        """
        arrived, now = self.messenger.arrived, self.clock.seconds()
        self.clock = Clock()
        self.clock.advance(now)
        self.clocks = FixedClocks(self.clock, self.clocks.boot, self.clocks.wall)
        self.messenger = MemoryMessenger(lambda: self.clocks.now())
        self.messenger.arrived = arrived
        self.assistant = MemoryAssistant()
        self.start()

    def say(self, text: str = "hi", psid: Psid = ALICE) -> None:
        """
        Let a person say something now.
        """
        self.receive(said(text, psid, at=self.clocks.now().wall))

    def speak(self, psid: Psid = ALICE) -> None:
        """
        Let an operator say something, as a command does.
        """
        whose, now = Whose(psid=psid), self.clocks.now()
        found, _ = self.successResultOf(
            self.store.database.transact(
                lambda database: speak(
                    database, whose, ["Me."], now, lambda bot: 1800.0, os.urandom
                )
            )
        )
        self.dispatcher.hush(found["id"])
        self.dispatcher.wake([found["id"]])

    def receive(self, *events: Event) -> None:
        """
        Take events in, as the webhook does.
        """
        recorded = self.record(*events)
        for _, conversation in recorded.wake:
            situation = recorded.situations.get(conversation)
            self.dispatcher.arrived(conversation, situation)

    def keep(self, *events: Event) -> list[int]:
        """
        Take events in, telling the dispatcher nothing.

        :return: the conversations to wake.
        """
        return [conversation for _, conversation in self.record(*events).wake]

    def record(self, *events: Event) -> Recorded:
        """
        Take events in, telling the dispatcher only of takeovers.
        """
        now = self.clocks.now()
        arrivals = [
            arrival(
                event,
                bot=BOT,
                ours=True,
                now=now,
                handover=self.handover,
                app=self.app,
            )
            for event in events
        ]
        recorded: Recorded = self.successResultOf(self.store.record(arrivals, now))
        for _, conversation in recorded.takeovers:
            self.dispatcher.hush(conversation)
        return recorded

    def wait(self, seconds: float) -> None:
        """
        Let time pass, a quarter of a second at a time.
        """
        self.clock.pump([0.25] * int(seconds * 4))

    def sending(self) -> list[str]:
        """
        Tell which texts are being sent.
        """
        return [sending.text for sending in self.messenger.pending]

    def states(self) -> list[tuple[PartState, str | None]]:
        """
        Tell the state and reason of each part.
        """
        return [(part.state, part.reason) for part in self.store.parts()]

    def part(self) -> Part:
        """
        Read the newest part.
        """
        return self.store.parts()[-1]
