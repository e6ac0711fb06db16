"""
Takes the steps that the planner decides on, in one conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from .answering import Answerer
from .assistant import IAssistant
from .events import BotName, Psid
from .interfaces import IMessenger, IStore
from .lifetime import Lifetime
from .moment import Moment
from .outlet import Outlet
from .pacing import TokenBucket
from .planner import (
    Apologize,
    Begin,
    Change,
    Fail,
    Generate,
    Hunger,
    Lapse,
    LookUp,
    Rest,
    Send,
    Situation,
    Step,
    Wait,
    next_step,
)
from .policy import Delivery, Handover, Limits, Manners
from .sending import Sender
from .slots import Slots


@define(eq=False)
class Steps:
    """
    Work on conversations of one bot, on one step of each at a time.

    :ivar _clock: for every wait; usually the reactor.
    :ivar _now: reads the clocks.
    :ivar _split: cuts an answer into the texts of its parts.
    :ivar _random: makes a number from 0.0 to 1.0.
    :ivar _entropy: makes so many random bytes.
    :ivar _alias: names a person in the log.
    :ivar slots: of those for whom the assistant is asked; others may share them.
    :ivar _texts: whether the log may hold what is answered.
    :ivar _look_ups: the pace of look-ups, which others may share.
    :ivar _kept_outlet: the Page's way out, where there is one already.
    :ivar _ticks: the monotonic clock alone, in seconds.
    """

    _bot: BotName
    _clock: IReactorTime
    _now: Callable[[], Moment]
    _store: IStore
    _messenger: IMessenger
    _assistant: IAssistant
    _split: Callable[[str], Iterable[str]]
    _random: Callable[[], float]
    _entropy: Callable[[int], bytes]
    _alias: Callable[[Psid], str]
    _delivery: Delivery = field(kw_only=True)
    _manners: Manners = field(kw_only=True)
    _handover: Handover = field(factory=Handover, kw_only=True)
    _limits: Limits = field(factory=Limits, kw_only=True)
    slots: Slots = field(kw_only=True)
    _texts: bool = field(default=False, kw_only=True)
    _look_ups: TokenBucket | None = field(default=None, kw_only=True)
    _kept_outlet: Outlet | None = field(default=None, kw_only=True, alias="outlet")
    _ticks: Callable[[], float] = field(kw_only=True)

    @_ticks.default
    def _default_ticks(self) -> Callable[[], float]:
        return lambda: self._now().tick.seconds

    #: Called when the Page may send again after a pause.
    reopened: Callable[[], None] = field(default=lambda: None, init=False)
    #: Whether others are to ask the assistant from now on.
    superseded: bool = field(default=False, init=False)

    _lifetime: Lifetime = field(init=False)
    _sender: Sender = field(init=False)
    _answerer: Answerer = field(init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._lifetime = Lifetime(self._clock)
        outlet = self._kept_outlet or Outlet(
            self._bot,
            self._ticks,
            self._delivery.rate,
            self._delivery.deadline,
            lambda: self.reopened(),
        )
        self._messenger.pressed = outlet.press
        self._sender = Sender(
            self._bot,
            self._now,
            self._store,
            self._messenger,
            self._lifetime,
            outlet,
            self._random,
            self._alias,
            self._delivery,
            self._handover,
            self._look_ups or TokenBucket(self._delivery.lookup_rate),
        )
        self._answerer = Answerer(
            self._bot,
            self._clock,
            self._now,
            self._store,
            self._messenger,
            self._assistant,
            self._lifetime,
            self._sender,
            self._split,
            self._random,
            self._entropy,
            self._alias,
            manners=self._manners,
            limits=self._limits,
            slots=self.slots,
            texts=self._texts,
        )

    @property
    def outlet(self) -> Outlet:
        """The Page's way out."""
        return self._sender.outlet

    def finish(self) -> None:
        """
        Begin no turn and no send from now on.
        """
        self._lifetime.end()

    def hush(self, conversation: int) -> None:
        """
        Show nothing more in a conversation, and ask for nothing: a human
        answers.
        """
        self._answerer.hush(conversation)

    async def run(
        self,
        conversation: int,
        slot: bool = False,
        situation: Situation | None = None,
    ) -> Wait | Rest | Hunger:
        """
        Take steps in a conversation until there is none to take.

        :param slot: whether a slot was taken for it; it is given back.
        :param situation: how it is in it; ``None``: that is to be read.

        :return: what it waits for then.

        :raises StoreUnavailable: where the store fails; nothing is lost, and
            it may be tried again.
        """
        try:
            if situation is None:
                situation = await self._store.situation(conversation)
            while not self._lifetime.over:
                situation = await self._sender.pass_on(situation)
                step = self._next(situation, slot or self.slots.spare)
                if isinstance(step, (Begin, Generate)):
                    if self.superseded:
                        return Wait(0.0)
                    if not slot:
                        self.slots.take()
                    slot = False
                    situation = await self._answerer.ask(situation)
                    continue
                if isinstance(step, (Wait, Rest, Hunger)):
                    return step
                situation = await self._take(step, situation)
            return Rest()
        finally:
            if slot:
                self.slots.free()

    def hunger(self, situation: Situation) -> Hunger | None:
        """
        Say whether all that is to be done in a conversation now is to wait for a
        slot.
        """
        if self.slots.spare or situation.farewell is not None:
            return None
        step = self._next(situation, slot=False)
        return step if isinstance(step, Hunger) else None

    def _next(self, situation: Situation, slot: bool) -> Step:
        now = self._now()
        step = next_step(
            situation,
            now,
            self._delivery,
            self._manners,
            self._sender.outlet.paused(situation.id),
            self._sender.queued(situation.id, now),
            slot=slot,
        )
        if isinstance(step, Rest):
            self._sender.forget(situation.id)
        return step

    async def _take(self, step: Step, situation: Situation) -> Situation:
        if isinstance(step, Send):
            return await self._sender.send(situation, step.part)
        if isinstance(step, LookUp):
            return await self._sender.look_up(situation, step.part)
        if isinstance(step, Change):
            return await self._store.change(step.part, step.after)
        if isinstance(step, Apologize):
            return await self._answerer.apologize(situation)
        if isinstance(step, Fail):
            return await self._answerer.fail(step.turn, step.reason, None)
        assert isinstance(step, Lapse)
        self._log.warn(
            "not answered in conversation {conversation} of {bot}: {reason}",
            event="turn.lapsed",
            conversation=situation.id,
            trace=situation.trace,
            bot=self._bot,
            reason=step.reason,
        )
        return await self._store.lapse(situation, step.reason)
