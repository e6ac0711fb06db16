"""
A messenger that does what the test says, and no sooner.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred
from zope.interface import implementer

from micamsgr.conversation.events import (
    Conversation,
    Echo,
    Mid,
    Psid,
)
from micamsgr.conversation.interfaces import IMessenger, Presence
from micamsgr.conversation.moment import Moment
from micamsgr.conversation.outcomes import (
    InDoubt,
    LookedUp,
    NeverSent,
    Outcome,
    Seen,
    Sent,
)
from micamsgr.conversation.pacing import Pressure
from micamsgr.errors import RemoteError

from .events import echo

#: How many of a conversation's messages a look-up shows.
SHOWN = 20


@frozen(kw_only=True)
class Arrived:
    """
    A message of the Page's that a person got.

    :ivar at: milliseconds, by Meta's clock.
    """

    conversation: Conversation
    mid: Mid
    text: str
    metadata: str
    at: int

    def echo(self, *, metadata: bool = True, app_id: str | None = None) -> Echo:
        """
        Make the event that tells of it.

        :param metadata: whether it says what the sender gave the Send API.
        """
        return echo(
            self.text,
            self.conversation.psid,
            mid=self.mid,
            metadata=self.metadata if metadata else None,
            app_id=app_id,
            at=self.at,
        )


@define(eq=False)
class Sending:
    """
    A send that is under way.

    :ivar arrived: what the person got of it, if anything yet.
    """

    conversation: Conversation
    text: str
    metadata: str
    outcome: Deferred[Outcome] = field(factory=Deferred)
    arrived: Arrived | None = None


@implementer(IMessenger)
@define(eq=False)
class MemoryMessenger:
    """
    Send nothing but what the test lets arrive, and settle nothing by itself.

    :ivar pending: sends under way, oldest first.
    :ivar arrived: what people got, oldest first.
    :ivar shown: what people saw beside words, oldest first.
    :ivar passed_on: whose threads were passed on, and to which apps.
    :ivar holding: for what :meth:`show` waits, if for anything.
    :ivar looked_up: whose conversations were looked up, oldest first.
    :ivar look_ups: what the next look-ups give; after these, what arrived.
    :ivar pressed: a test calls it, as if an answer had told of a limit.
    """

    _now: Callable[[], Moment]

    pending: list[Sending] = field(factory=list, init=False)
    arrived: list[Arrived] = field(factory=list, init=False)
    shown: list[tuple[Psid, Presence]] = field(factory=list, init=False)
    passed_on: list[tuple[Psid, str]] = field(factory=list, init=False)
    holding: Deferred[None] | None = field(default=None, init=False)
    looked_up: list[Psid] = field(factory=list, init=False)
    look_ups: list[LookedUp | RemoteError] = field(factory=list, init=False)
    pressed: Callable[[Pressure], None] = field(default=lambda _: None, init=False)

    async def send(
        self, conversation: Conversation, text: str, metadata: str
    ) -> Outcome:
        if not 1 <= len(text.encode("utf-16-le", "surrogatepass")) // 2 <= 2000:
            return NeverSent("message", "the text's length")
        sending = Sending(conversation, text, metadata)
        self.pending.append(sending)
        try:
            return await sending.outcome
        except CancelledError:
            self.pending.remove(sending)
            return InDoubt("canceled")

    async def look_up(self, conversation: Conversation) -> LookedUp:
        self.looked_up.append(conversation.psid)
        if not self.look_ups:
            seen = tuple(
                Seen(arrived.mid, arrived.at // 1000 * 1000, arrived.text)
                for arrived in reversed(self.arrived)
                if arrived.conversation == conversation
            )[:SHOWN]
            return LookedUp(seen, seen[-1].at if len(seen) == SHOWN else None)
        scripted = self.look_ups.pop(0)
        if isinstance(scripted, RemoteError):
            raise scripted
        return scripted

    async def pass_on(self, conversation: Conversation, app: str) -> None:
        self.passed_on.append((conversation.psid, app))

    async def show(self, conversation: Conversation, presence: Presence) -> None:
        self.shown.append((conversation.psid, presence))
        if self.holding is not None:
            with suppress(CancelledError):
                await self.holding

    def arrive(self, which: int = 0) -> Arrived:
        """
        Let a pending send reach the person, telling the sender nothing yet.
        """
        sending = self.pending[which]
        sending.arrived = Arrived(
            conversation=sending.conversation,
            mid=Mid(f"m_{len(self.arrived) + 1}"),
            text=sending.text,
            metadata=sending.metadata,
            at=self._now().wall,
        )
        self.arrived.append(sending.arrived)
        return sending.arrived

    def settle(self, outcome: Outcome | None = None, which: int = 0) -> None:
        """
        Tell the sender of a pending send what came of it.

        :param outcome: by default, it arrives and that is known.
        """
        if outcome is None:
            outcome = Sent((self.pending[which].arrived or self.arrive(which)).mid)
        self.pending.pop(which).outcome.callback(outcome)

    def settle_all(self) -> None:
        """
        Let everything arrive, also what is sent in consequence.
        """
        while self.pending:
            self.settle()

    def texts(self, psid: Psid | None = None) -> list[str]:
        """
        Tell what one person, or everybody, has read, oldest first.
        """
        return [
            arrived.text
            for arrived in self.arrived
            if psid in (None, arrived.conversation.psid)
        ]
