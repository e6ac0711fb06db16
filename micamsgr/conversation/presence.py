"""
Showing a person that the bot has read, and writes.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from .events import Conversation
from .interfaces import IMessenger, Presence

# An answer that is there sooner needs no announcement, in seconds.
_PATIENCE = 0.3

# Messenger shows the dots for 20 seconds.
# Source: docs/messenger-platform.md, section 4.3.
_INTERVAL = 15.0


@define(eq=False)
class Typing:
    """
    Show a person the dots, from soon after the start until the end.
    """

    _clock: IReactorTime
    _messenger: IMessenger
    _conversation: Conversation

    _call: IDelayedCall | None = field(default=None, init=False)
    _showing: Deferred[None] | None = field(default=None, init=False)
    _stopped: bool = field(default=False, init=False)

    def start(self) -> None:
        self._call = self._clock.callLater(_PATIENCE, self._begin)

    def stop(self) -> None:
        """
        Show nothing more; a call that is under way is cut off, lest the dots
        come after the answer.
        """
        self._stopped = True
        if self._call is not None and self._call.active():
            self._call.cancel()
        if self._showing is not None:
            self._showing.cancel()

    def _begin(self) -> None:
        self._show(Presence.SEEN, Presence.TYPING)

    def _again(self) -> None:
        self._show(Presence.TYPING)

    def _show(self, *presences: Presence) -> None:
        self._call = self._clock.callLater(_INTERVAL, self._again)
        if self._showing is None:
            self._showing = Deferred.fromCoroutine(self._each(presences))
            self._showing.addBoth(self._shown)

    def _shown(self, _: object) -> None:
        self._showing = None

    async def _each(self, presences: tuple[Presence, ...]) -> None:
        for presence in presences:
            # A call that is cut off may not say so.
            if not self._stopped:
                await self._messenger.show(self._conversation, presence)
