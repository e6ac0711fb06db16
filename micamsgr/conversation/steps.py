"""
Takes the steps that the planner decides on, in one conversation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger, LogLevel

from micamsgr.errors import Refused, RemoteError, StoreUnavailable, Unavailable

from . import parts as lifecycle
from .assistant import IAssistant, Reply
from .events import BotName, Psid
from .interfaces import Begun, IMessenger, IStore
from .moment import Moment, Tick
from .outcomes import (
    Evidence,
    Found,
    InDoubt,
    LookedUp,
    NeverSent,
    NoEvidence,
    NotSent,
    Outcome,
    Sent,
)
from .outlet import Outlet
from .pacing import TokenBucket
from .parts import Kind, Part
from .planner import (
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
    Turn,
    Wait,
    after_failure,
    closed,
    next_step,
)
from .policy import Delivery, Manners
from .presence import Typing

T = TypeVar("T")

# The least rest after an assistant that fails as nothing should, in seconds.
_AFTER_A_DEFECT = 60.0

_LEVELS = {Sent: LogLevel.info, NeverSent: LogLevel.error}


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
    :ivar _slots: how many times at once the assistant may be asked.
    :ivar _texts: whether the log may hold what is answered.
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
    _slots: int = field(default=200, kw_only=True)
    _texts: bool = field(default=False, kw_only=True)

    #: Called when the Page may send again after a pause.
    reopened: Callable[[], None] = field(default=lambda: None, init=False)
    #: Called when one of the assistant's slots is free again.
    freed: Callable[[], None] = field(default=lambda: None, init=False)

    # While this is false, no turn is begun and nothing is sent.
    _going: bool = field(default=True, init=False)
    _taken: int = field(default=0, init=False)
    _outlet: Outlet = field(init=False)
    _look_ups: TokenBucket = field(init=False)
    _typing: dict[int, Typing] = field(factory=dict, init=False)
    # Those that wait for their turn to send.
    _waiting: set[Deferred[None]] = field(factory=set, init=False)
    # Of conversations that wait to be looked up: when they may be.
    _queued: dict[int, Tick] = field(factory=dict, init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._outlet = Outlet(
            self._bot,
            self._ticks,
            self._delivery.rate,
            self._delivery.deadline,
            lambda: self.reopened(),
        )
        self._messenger.pressed = self._outlet.press
        self._look_ups = TokenBucket(self._delivery.lookup_rate)

    @property
    def taken(self) -> int:
        """How many of the assistant's slots are taken."""
        return self._taken

    def take_slot(self) -> bool:
        """
        Take one of the assistant's slots, if one is free.
        """
        if self._taken >= self._slots:
            return False
        self._taken += 1
        return True

    def _free_slot(self) -> None:
        self._taken -= 1
        self.freed()

    def finish(self) -> None:
        """
        Begin no turn and no send from now on.
        """
        self._going = False
        for waiting in list(self._waiting):
            waiting.cancel()

    def hush(self, conversation: int) -> None:
        """
        Show nothing more in a conversation: a human answers.
        """
        typing = self._typing.get(conversation)
        if typing is not None:
            typing.stop()

    async def run(self, conversation: int, slot: bool = False) -> Wait | Rest | Hunger:
        """
        Take steps in a conversation until there is none to take.

        :param slot: whether a slot was taken for it; it is given back.

        :return: what it waits for then.

        :raises StoreUnavailable: where the store fails; nothing is lost, and
            it may be tried again.
        """
        try:
            situation = await self._store.situation(conversation)
            while self._going:
                step = self._next(situation)
                if isinstance(step, (Wait, Rest)):
                    return step
                if not isinstance(step, (Begin, Generate)):
                    situation = await self._take(step, situation)
                elif slot or self.take_slot():
                    slot = False
                    situation = await self._ask(situation)
                else:
                    return Hunger()
            return Rest()
        finally:
            if slot:
                self._free_slot()

    def _next(self, situation: Situation) -> Step:
        now = self._now()
        paused = self._outlet.paused(situation.id)
        queued = now.until(self._queued.get(situation.id))
        step = next_step(situation, now, self._delivery, self._manners, paused, queued)
        if isinstance(step, Rest):
            self._queued.pop(situation.id, None)
        return step

    async def _take(self, step: Step, situation: Situation) -> Situation:
        if isinstance(step, Send):
            return await self._send(situation, step.part)
        if isinstance(step, LookUp):
            return await self._look_up(situation, step.part)
        if isinstance(step, Change):
            return await self._store.change(step.part, step.after)
        if isinstance(step, Fail):
            return await self._fail(step.turn, step.reason)
        assert isinstance(step, Lapse)
        self._log.warn(
            "not answered in conversation {conversation} of {bot}: {reason}",
            conversation=situation.id,
            bot=self._bot,
            reason=step.reason,
        )
        return await self._store.lapse(situation.id, step.reason)

    async def _ask(self, situation: Situation) -> Situation:
        """
        Ask the assistant for what answers the conversation's next turn, give
        the slot back, and begin to send the answer.
        """
        try:
            begun = await self._store.begin(
                situation.id, self._manners.history_messages, self._now()
            )
            if begun is None:
                return await self._store.situation(situation.id)
            reply = await self._reply(begun)
        finally:
            self._free_slot()
        if isinstance(reply, Situation):
            return reply
        return await self._compose(begun, reply)

    async def _reply(self, begun: Begun) -> Reply | Situation:
        """
        :return: the reply; or, where there is none, what is to be done then.
        """
        turn = begun.turn
        self._log.debug(
            "turn {turn} of {bot} is thought about, for {person}, in conversation"
            " {conversation}: {count} utterances",
            turn=turn.id,
            bot=self._bot,
            person=self._alias(begun.situation.conversation.psid),
            conversation=begun.situation.id,
            count=len(begun.utterances),
        )
        typing = Typing(self._clock, self._messenger, begun.situation.conversation)
        self._typing[begun.situation.id] = typing
        typing.start()
        asked = self._ticks()
        try:
            reply = await self._assistant.reply(begun.utterances)
        except CancelledError:
            raise
        except Refused as error:
            return await self._fail(turn, error.detail)
        except Exception as error:
            return await self._park(turn, error)
        finally:
            typing.stop()
            del self._typing[begun.situation.id]
        self._log.debug(
            "turn {turn} of {bot} has an answer of {tokens} tokens, in {seconds:.3f} s",
            turn=turn.id,
            bot=self._bot,
            tokens=reply.tokens,
            seconds=self._ticks() - asked,
        )
        return reply

    async def _park(self, turn: Turn, error: Exception) -> Situation:
        """
        Let a turn rest for which there is no answer yet.
        """
        if isinstance(error, Unavailable):
            detail, least = error.detail, error.retry_after
        else:
            self._log.failure("a defect, asking the assistant")
            detail, least = f"a defect: {type(error).__name__}", _AFTER_A_DEFECT
        delay = after_failure(turn.tries + 1, least, self._random())
        self._log.warn(
            "turn {turn} of {bot} has no answer yet: {detail}; again in {delay:.1f} s",
            turn=turn.id,
            bot=self._bot,
            detail=detail,
            delay=delay,
        )
        rest = self._now().plus(delay)
        return await self._insist(lambda: self._store.park(turn, rest))

    async def _compose(self, begun: Begun, reply: Reply) -> Situation:
        now = self._now()
        if self._texts:
            self._log.info("turn {turn}: {text}", turn=begun.turn.id, text=reply.text)
        turn = begun.turn.id
        parts = [
            lifecycle.compose(turn, Kind.ANSWER, number, text, now, self._entropy(10))
            for number, text in enumerate(self._split(reply.text), 1)
        ]
        may_send = (
            self._going
            and not closed(begun.situation, now)
            and self._outlet.take(begun.situation.id)
        )
        if may_send:
            parts[0] = lifecycle.intend(parts[0], now)
        situation = await self._insist(
            lambda: self._store.compose(
                begun.turn, reply.text, parts, reply.tokens, now
            )
        )
        self._log.debug(
            "turn {turn} of {bot}: the answer is kept, in {count} parts",
            turn=begun.turn.id,
            bot=self._bot,
            count=len(parts),
        )
        if may_send and parts[0] in situation.parts:
            return await self._write(situation, parts[0])
        return situation

    async def _fail(self, turn: Turn, reason: str) -> Situation:
        self._log.error(
            "turn {turn} of {bot} failed: {reason}",
            turn=turn.id,
            bot=self._bot,
            reason=reason,
        )
        now = self._now()
        fallback = self._manners.fallback
        entropy = self._entropy(10)
        notice = lifecycle.compose(turn.id, Kind.NOTICE, 1, fallback, now, entropy)
        return await self._insist(lambda: self._store.fail(turn, reason, notice, now))

    async def _send(self, situation: Situation, part: Part) -> Situation:
        delay = self._outlet.reserve(situation.id)
        if delay is None or (delay > 0.0 and not await self._may_send_after(delay)):
            return situation
        intended = lifecycle.intend(part, self._now())
        situation = await self._store.change(part, intended)
        if intended not in situation.parts:
            # Something else became of it meanwhile.
            return situation
        return await self._write(situation, intended)

    async def _write(self, situation: Situation, part: Part) -> Situation:
        """
        Make the attempt that was written down.
        """
        now = self._now()
        if not lifecycle.may_write(part, now):
            outcome: Outcome = NotSent(
                detail="the intent took too long to commit", rest=0.0
            )
        else:
            try:
                outcome = await self._messenger.send(
                    situation.conversation, part.text, part.metadata
                )
            except Exception:
                self._log.failure("a defect, sending part {part}", part=part.id)
                outcome = InDoubt("a defect")
        self._outlet.note(situation.id, outcome, now.tick.seconds)
        after = lifecycle.after_outcome(part, outcome, self._now(), self._random())
        self._log.emit(
            _LEVELS.get(type(outcome), LogLevel.warn),
            "to {person} of {bot}, turn {turn}, {kind} {number}, part {part},"
            " attempt {attempt}: {outcome}, in {seconds:.3f} s",
            person=self._alias(situation.conversation.psid),
            bot=self._bot,
            turn=part.turn,
            kind=part.kind.value,
            number=part.number,
            part=part.id,
            attempt=part.attempt,
            outcome=outcome,
            seconds=self._now().since(now.tick),
        )
        return await self._insist(lambda: self._store.change(part, after))

    async def _look_up(self, situation: Situation, part: Part) -> Situation:
        if self._queued.pop(situation.id, None) is None:
            now = self._now()
            delay = self._look_ups.reserve(now.tick.seconds)
            if delay > 0.0:
                self._queued[situation.id] = now.plus(delay)
                return situation
        evidence: Evidence
        try:
            looked = await self._messenger.look_up(situation.conversation)
        except RemoteError as error:
            evidence = NoEvidence(repr(error), lasting=isinstance(error, Refused))
        else:
            evidence = await self._evidence(part, looked)
        if isinstance(evidence, NoEvidence) and self._hopeless(part):
            evidence = evolve(evidence, lasting=True)
        after = lifecycle.after_look_up(part, evidence, self._now(), self._delivery)
        self._log.warn(
            "part {part}, attempt {attempt} was in doubt: {evidence}; now {state}",
            part=part.id,
            attempt=part.attempt,
            evidence=evidence,
            state=after.state.value,
            bot=self._bot,
        )
        return await self._insist(lambda: self._store.change(part, after))

    async def _evidence(self, part: Part, looked: LookedUp) -> Evidence:
        now = self._now()
        alike = lifecycle.alike(part, looked.seen, now)
        taken = await self._store.claimed(alike, part.id) if alike else ()
        found = next((Found(mid) for mid in alike if mid not in taken), None)
        return found or lifecycle.not_seen(part, looked, now)

    def _hopeless(self, part: Part) -> bool:
        """
        Say whether look-ups have failed for long, while messages can be sent.
        """
        return lifecycle.sought_long(
            part, self._now(), self._delivery
        ) and self._outlet.sent_within(lifecycle.EVIDENCE_PATIENCE)

    async def _may_send_after(self, seconds: float) -> bool:
        waiting: Deferred[None] = deferLater(self._clock, seconds)
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)
        return self._going and self._outlet.open

    async def _insist(self, keep: Callable[[], Awaitable[T]]) -> T:
        """
        Keep what came of something that can't be had again: try until the
        store takes it, or we stop.
        """
        delay = 0.1
        while True:
            try:
                return await keep()
            except StoreUnavailable as error:
                if not self._going:
                    raise
                self._log.error("the store fails: {detail}", detail=error.detail)
            await deferLater(self._clock, delay)
            delay = min(5.0, delay * 2.0)

    def _ticks(self) -> float:
        return self._now().tick.seconds
