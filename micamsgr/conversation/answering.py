"""
Asks the assistant for what answers a turn, and keeps what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import LogLevel

from micamsgr.errors import Refused, Unavailable
from micamsgr.logger import Logger

from . import parts as lifecycle
from .assistant import IAssistant, Reply
from .events import BotName, Psid
from .interfaces import Begun, IMessenger, IStore
from .lateness import Lateness
from .lifetime import Lifetime
from .limits import Limit
from .moment import Moment
from .parts import Kind, Part
from .planner import Situation, Turn, after_failure, closed, until_apology
from .policy import Limits, Manners
from .presence import Typing
from .sending import Sender
from .slots import Slots

# The least rest after an assistant that fails as nothing should, in seconds.
_AFTER_A_DEFECT = 60.0


@define(eq=False)
class Answerer:
    """
    Have one bot's turns answered.

    :ivar _clock: for every wait; usually the reactor.
    :ivar _now: reads the clocks.
    :ivar _split: cuts an answer into the texts of its parts.
    :ivar _random: makes a number from 0.0 to 1.0.
    :ivar _entropy: makes so many random bytes.
    :ivar _alias: names a person in the log.
    :ivar _slots: of those for whom the assistant is asked.
    :ivar _texts: whether the log may hold what is answered.
    """

    _bot: BotName
    _clock: IReactorTime
    _now: Callable[[], Moment]
    _store: IStore
    _messenger: IMessenger
    _assistant: IAssistant
    _lifetime: Lifetime
    _sender: Sender
    _split: Callable[[str], Iterable[str]]
    _random: Callable[[], float]
    _entropy: Callable[[int], bytes]
    _alias: Callable[[Psid], str]
    _manners: Manners = field(kw_only=True)
    _limits: Limits = field(kw_only=True)
    _slots: Slots = field(kw_only=True)
    _texts: bool = field(kw_only=True)

    # The calls of the assistant that are under way, by conversation.
    _asking: dict[int, Deferred[Reply]] = field(factory=dict, init=False)

    _log = Logger()

    def hush(self, conversation: int) -> None:
        """
        Show nothing more in a conversation, and ask for nothing: a human
        answers.
        """
        asked = self._asking.pop(conversation, None)
        if asked is not None:
            asked.cancel()

    async def ask(self, situation: Situation) -> Situation:
        """
        Ask the assistant for what answers the conversation's next turn, give
        the slot back, and begin to send the answer.
        """
        # Given back as soon as it has answered; what then waits has no need of it.
        with ExitStack() as slot:
            slot.callback(self._slots.free)
            begun = await self._store.begin(
                situation.id,
                self._manners.history_messages,
                self._limits,
                self._assistant.estimate,
                self._now(),
            )
            if begun is None:
                return await self._store.situation(situation.id)
            if begun.limit is not None:
                return await self._refuse(begun.turn, begun.limit)
            reply = await self._reply(begun, slot.close)
        if isinstance(reply, Situation):
            return reply
        return await self._compose(begun, reply)

    async def _reply(
        self, begun: Begun, answered: Callable[[], None]
    ) -> Reply | Situation:
        """
        :param answered: called once the assistant has answered, or failed.

        :return: the reply; or, where there is none, what is to be done then.
        """
        turn = begun.turn
        self._log.debug(
            "turn {turn} of {bot} is thought about, for {person}, in conversation"
            " {conversation}: {count} utterances",
            event="turn.begun",
            turn=turn.id,
            trace=turn.trace,
            bot=self._bot,
            person=self._alias(begun.situation.conversation.psid),
            conversation=begun.situation.id,
            count=len(begun.utterances),
        )
        asked = self._now()
        try:
            reply = await self._ask(begun, asked, answered)
        except CancelledError:
            raise
        except Refused as error:
            return await self.fail(turn, error.detail, error.tokens)
        except Exception as error:
            return await self._park(begun, error)
        if reply is None:
            # Nobody knows what was spent: what was set aside counts as spent.
            return await self._store.situation(begun.situation.id)
        self._log.debug(
            "turn {turn} of {bot} has an answer of {tokens} tokens, in {seconds:.3f} s",
            event="turn.answered",
            turn=turn.id,
            trace=turn.trace,
            bot=self._bot,
            tokens=reply.tokens,
            seconds=self._now().since(asked.tick),
        )
        return reply

    async def _ask(
        self, begun: Begun, now: Moment, answered: Callable[[], None]
    ) -> Reply | None:
        """
        Ask the assistant, and show the person meanwhile that it is asked.

        :return: ``None``: nobody waits for it, since a human answers.
        """
        situation = begun.situation
        typing = Typing(self._clock, self._messenger, situation.conversation)
        typing.start()
        lateness = Lateness(self._clock, partial(self._apologize, begun))
        late = until_apology(situation, now, self._manners)
        if late is not None:
            lateness.start(late)
        asked = Deferred.fromCoroutine(
            self._assistant.reply(begun.utterances, situation.id)
        )
        self._asking[situation.id] = asked
        try:
            reply: Reply | Exception | None = await asked
        except CancelledError:
            # Else a human answers: see hush().
            if situation.id in self._asking:
                lateness.cancel()
                raise
            reply = None
        except Exception as error:
            reply = error
        finally:
            typing.stop()
            self._asking.pop(situation.id, None)
        answered()
        await lateness.end()
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def _apologize(self, begun: Begun) -> bool:
        """
        :return: whether that needs no other try.
        """
        situation = begun.situation
        outlet = self._sender.outlet
        if self._lifetime.over or not outlet.take(situation.id):
            return False
        now = self._now()
        part = lifecycle.intend(self._apology(begun.turn, now), now)
        after = await self._store.apologize(begun.turn, part)
        if part in after.parts:
            await self._sender.write(after, part)
        return True

    async def apologize(self, situation: Situation) -> Situation:
        """
        Compose an apology in a conversation in which an answer is late, while
        nobody is being asked for one.
        """
        if situation.turn is None:
            situation = await self._store.open(situation.id)
        turn = situation.turn
        if turn is None:
            return situation
        return await self._store.apologize(turn, self._apology(turn, self._now()))

    def _apology(self, turn: Turn, now: Moment) -> Part:
        self._log.info(
            "turn {turn} of {bot} is late, and the person is told so",
            event="turn.late",
            turn=turn.id,
            trace=turn.trace,
            bot=self._bot,
        )
        return self._part(turn, Kind.APOLOGY, 1, self._manners.apology_text, now)

    def _part(
        self, turn: Turn, kind: Kind, number: int, text: str, now: Moment
    ) -> Part:
        entropy = self._entropy(10)
        return lifecycle.compose(
            turn.id, kind, number, text, now, entropy, trace=turn.trace
        )

    async def _park(self, begun: Begun, error: Exception) -> Situation:
        """
        Let a turn rest for which there is no answer yet.
        """
        turn, level = begun.turn, LogLevel.warn
        if isinstance(error, Unavailable):
            detail, least, tokens = error.detail, error.retry_after, error.tokens
            if not error.tried:
                level = LogLevel.debug
        else:
            self._log.failure("a defect, asking the assistant", event="defect")
            detail, least = f"a defect: {type(error).__name__}", _AFTER_A_DEFECT
            tokens = self._assistant.estimate(begun.utterances)
        delay = after_failure(turn.tries + 1, least, self._random())
        self._log.emit(
            level,
            "turn {turn} of {bot} has no answer yet: {detail}; again in {delay:.1f} s",
            event="turn.parked",
            turn=turn.id,
            trace=turn.trace,
            bot=self._bot,
            detail=detail,
            delay=delay,
        )
        rest = self._now().plus(delay)
        return await self._lifetime.insist(
            lambda: self._store.park(turn, rest, detail, tokens)
        )

    async def _compose(self, begun: Begun, reply: Reply) -> Situation:
        turn, now = begun.turn, self._now()
        if self._texts:
            self._log.info(
                "turn {turn}: {text}",
                event="turn.text",
                turn=turn.id,
                trace=turn.trace,
                text=reply.text,
            )
        parts = [
            self._part(turn, Kind.ANSWER, number, text, now)
            for number, text in enumerate(self._split(reply.text), 1)
        ]
        may_send = (
            not self._lifetime.over
            and not closed(begun.situation, now)
            and self._sender.outlet.take(begun.situation.id)
        )
        if may_send:
            parts[0] = lifecycle.intend(parts[0], now)
        situation = await self._lifetime.insist(
            lambda: self._store.compose(
                begun.turn, reply.text, parts, reply.tokens, now
            )
        )
        self._log.debug(
            "turn {turn} of {bot}: the answer is kept, in {count} parts",
            event="turn.composed",
            turn=turn.id,
            trace=turn.trace,
            bot=self._bot,
            count=len(parts),
        )
        if may_send and parts[0] in situation.parts:
            return await self._sender.write(situation, parts[0])
        return situation

    async def fail(self, turn: Turn, reason: str, tokens: int | None) -> Situation:
        """
        Give a turn up, and tell the person so.

        :param tokens: what was spent since it was last taken up; ``None``:
            nobody knows, and what was set aside counts as spent.
        """
        self._log.error(
            "turn {turn} of {bot} failed: {reason}; before: {why}"
            if turn.why
            else "turn {turn} of {bot} failed: {reason}",
            event="turn.failed",
            turn=turn.id,
            trace=turn.trace,
            bot=self._bot,
            reason=reason,
            why=turn.why,
        )
        now = self._now()
        notice = self._notice(turn, self._manners.fallback, now)
        return await self._lifetime.insist(
            lambda: self._store.fail(
                turn, reason, notice, now, tokens, self._sender.passes_on
            )
        )

    async def _refuse(self, turn: Turn, limit: Limit) -> Situation:
        """
        Give a turn up for which there is no money.
        """
        self._log.warn(
            "turn {turn} of {bot} is not answered: limits.{limit} is reached",
            event="turn.limited",
            turn=turn.id,
            trace=turn.trace,
            bot=self._bot,
            limit=limit.value,
        )
        now = self._now()
        notice = self._notice(turn, self._limits.text, now)
        return await self._lifetime.insist(
            lambda: self._store.refuse(turn, limit, notice, now)
        )

    def _notice(self, turn: Turn, text: str, now: Moment) -> Part:
        return self._part(turn, Kind.NOTICE, 1, text, now)
