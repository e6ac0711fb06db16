"""
Takes the steps of the send protocol: an attempt is written down, made, and
what came of it is written down; doubt is looked into.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, evolve, field
from twisted.logger import LogLevel

from micamsgr.errors import Refused, RemoteError
from micamsgr.logger import Logger

from . import parts as lifecycle
from .events import BotName, Psid
from .interfaces import IMessenger, IStore
from .lifetime import Lifetime
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
from .planner import Situation
from .policy import Delivery, Handover

_LEVELS = {Sent: LogLevel.info, NeverSent: LogLevel.error}


@define(eq=False)
class Sender:
    """
    Send the parts of one bot's answers, and find out what became of them.

    :ivar outlet: whether the Page may send now.
    :ivar _now: reads the clocks.
    :ivar _random: makes a number from 0.0 to 1.0.
    :ivar _alias: names a person in the log.
    :ivar _look_ups: the pace of look-ups.
    """

    _bot: BotName
    _now: Callable[[], Moment]
    _store: IStore
    _messenger: IMessenger
    _lifetime: Lifetime
    outlet: Outlet
    _random: Callable[[], float]
    _alias: Callable[[Psid], str]
    _delivery: Delivery
    _handover: Handover
    _look_ups: TokenBucket

    # Of conversations that wait to be looked up: when they may be.
    _queued: dict[int, Tick] = field(factory=dict, init=False)

    # Of conversations in which the last look-up was refused: for which part, and
    # which of its attempts.
    _refused: dict[int, tuple[str, int]] = field(factory=dict, init=False)

    _log = Logger()

    def queued(self, conversation: int, now: Moment) -> float:
        """
        Count the seconds for which others are looked up.
        """
        return now.until(self._queued.get(conversation))

    def forget(self, conversation: int) -> None:
        """
        Know no more of a conversation: there is nothing to do in it.
        """
        self._queued.pop(conversation, None)
        self._refused.pop(conversation, None)

    async def send(self, situation: Situation, part: Part) -> Situation:
        delay = self.outlet.reserve(situation.id)
        if delay is None or (delay > 0.0 and not await self._may_send_after(delay)):
            return situation
        intended = lifecycle.intend(part, self._now())
        situation = await self._store.change(part, intended)
        if intended not in situation.parts:
            # Something else became of it meanwhile.
            return situation
        return await self.write(situation, intended)

    async def _may_send_after(self, seconds: float) -> bool:
        await self._lifetime.wait(seconds)
        return not self._lifetime.over and self.outlet.open

    async def write(self, situation: Situation, part: Part) -> Situation:
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
                self._log.failure(
                    "a defect, sending part {part}",
                    event="defect",
                    part=part.id,
                    trace=part.trace,
                )
                outcome = InDoubt("a defect")
        then = self._now()
        self.outlet.note(situation.id, outcome, now.tick.seconds)
        after = lifecycle.after_outcome(part, outcome, then, self._random())
        self._log.emit(
            _LEVELS.get(type(outcome), LogLevel.warn),
            "to {person} of {bot}, turn {turn}, {kind} {number}, part {part},"
            " attempt {attempt}: {outcome}, in {seconds:.3f} s",
            event="part.attempted",
            person=self._alias(situation.conversation.psid),
            bot=self._bot,
            turn=part.turn,
            trace=part.trace,
            kind=part.kind.value,
            number=part.number,
            part=part.id,
            attempt=part.attempt,
            outcome=outcome,
            seconds=then.since(now.tick),
            waited=self._waited(situation, part, then),
        )
        situation = await self._lifetime.insist(lambda: self._store.change(part, after))
        if isinstance(outcome, NeverSent) and outcome.human:
            return await self._give_way(situation)
        return situation

    def _waited(self, situation: Situation, part: Part, now: Moment) -> float | None:
        """
        Count the seconds for which the person has waited for an answer that
        begins with *part*.
        """
        turn = situation.turn
        if turn is None or turn.id != part.turn:
            return None
        if part.kind is not Kind.ANSWER or part.number != 1:
            return None
        return max(0.0, (now.wall - turn.began) / 1000.0)

    async def _give_way(self, situation: Situation) -> Situation:
        """
        Be quiet, since somebody else has the thread.
        """
        self._log.info(
            "bot {bot}: another app has the thread of conversation {conversation}",
            event="human.took_over",
            bot=self._bot,
            conversation=situation.id,
        )
        until = self._now().wall + int(self._handover.quiet * 1000)
        return await self._lifetime.insist(
            lambda: self._store.take_over(situation.id, until)
        )

    @property
    def passes_on(self) -> bool:
        """Whether the operator wants threads passed on that got no answer."""
        return self._handover.pass_to is not None

    async def pass_on(self, situation: Situation) -> Situation:
        """
        Pass a thread on that is to be passed on, once what has become of the
        notice before is known; where this process ends meanwhile, the next one
        does, if need be a second time.
        """
        notice = situation.farewell
        if notice is None or any(part.id == notice for part in situation.parts):
            return situation
        app = self._handover.pass_to
        if app is not None:
            await self._messenger.pass_on(situation.conversation, app)
        return await self._lifetime.insist(lambda: self._store.passed_on(situation.id))

    async def look_up(self, situation: Situation, part: Part) -> Situation:
        if self._queued.pop(situation.id, None) is None:
            now = self._now()
            delay = self._look_ups.reserve(now.tick.seconds)
            if delay > 0.0:
                self._queued[situation.id] = now.plus(delay)
                return situation
        evidence: Evidence
        try:
            looked = await self._messenger.look_up(situation.conversation)
        except Refused as error:
            # Believed only if a second one agrees, as one that finds nothing is.
            asked = part.id, part.attempt
            again = self._refused.get(situation.id) == asked
            self._refused[situation.id] = asked
            evidence = NoEvidence(error.detail, lasting=again)
        except RemoteError as error:
            self._refused.pop(situation.id, None)
            evidence = NoEvidence(error.detail, lasting=False)
        else:
            self._refused.pop(situation.id, None)
            evidence = await self._evidence(part, looked)
        if isinstance(evidence, NoEvidence) and self._hopeless(part):
            evidence = evolve(evidence, lasting=True)
        after = lifecycle.after_look_up(part, evidence, self._now(), self._delivery)
        self._log.warn(
            "part {part}, attempt {attempt} was in doubt: {evidence}; now {state}",
            event="part.looked_up",
            part=part.id,
            trace=part.trace,
            attempt=part.attempt,
            evidence=evidence,
            state=after.state.value,
            bot=self._bot,
        )
        return await self._lifetime.insist(lambda: self._store.change(part, after))

    async def _evidence(self, part: Part, looked: LookedUp) -> Evidence:
        now = self._now()
        if not now.sure:
            # What is older than the attempt can't be told from what is not.
            why = "what time it is for Meta is not known yet"
            return NoEvidence(why, lasting=False)
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
        ) and self.outlet.sent_within(lifecycle.EVIDENCE_PATIENCE)
