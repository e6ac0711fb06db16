"""
Which conversations are worked on when.

What there is to do is in the store; what is told to :meth:`Dispatcher.wake`
are hints, so that nothing waits for the next look.  Of each conversation
memory holds at most its ID, and that it is being worked on, waits for one of
the assistant's slots, or rests until a timer fires.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from heapq import heappop, heappush
from itertools import count

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from micamsgr.errors import StoreUnavailable

from .events import BotName
from .interfaces import IStore
from .planner import Hunger, Rest, Situation, Wait
from .steps import Steps

# A conversation in which a defect showed rests for so many seconds, lest it
# become a busy loop.
_AFTER_A_DEFECT = 60.0

_LONGEST_REST = 86400.0


@define(eq=False)
class Dispatcher(Service):
    """
    Answer the people who write to one Page.

    Within a conversation one step is taken at a time, and parts leave in
    order.  Conversations do not wait for one another but for the assistant's
    slots, which they get in the order in which they asked.

    :ivar _clock: for every wait; usually the reactor.
    :ivar _jitter: makes a number from 0.0 to 1.0.
    :ivar _most_at_work: how many conversations may be worked on at once,
        beside those for which the assistant is being asked.
    :ivar _most_known: how many conversations to keep in memory; of others
        only the store knows, until there is room.
    :ivar _drain: for how many seconds a stop lets what is in flight finish.
    :ivar _interval: seconds between two looks into the store.
    """

    _bot: BotName
    _clock: IReactorTime
    _store: IStore
    _steps: Steps
    _jitter: Callable[[], float]
    _most_at_work: int = field(default=512, kw_only=True)
    _most_known: int = field(default=20_000, kw_only=True)
    _drain: float = field(default=10.0, kw_only=True)
    _interval: float = field(default=5.0, kw_only=True)

    # In exactly one of these is each conversation that memory knows.
    _at_work: dict[int, Deferred[Wait | Rest | Hunger] | None] = field(
        factory=dict, init=False
    )
    _resting: dict[int, IDelayedCall] = field(factory=dict, init=False)
    # Whether one of the assistant's slots was taken for it.
    _ready: dict[int, bool] = field(factory=dict, init=False)
    # Of some of these, how it is in it.
    _seen: dict[int, Situation] = field(factory=dict, init=False)
    # Each with its place in the queue, and with the timer for what is to be
    # done if that takes long.
    _hungry: dict[int, tuple[int, IDelayedCall | None]] = field(
        factory=dict, init=False
    )

    # The places in that queue, as a heap; some of them given up.
    _queue: list[tuple[int, int]] = field(factory=list, init=False)
    _places: Iterator[int] = field(factory=count, init=False)
    # Of those that something else is done for, and that are to have it back.
    _kept_places: dict[int, int] = field(factory=dict, init=False)

    # How many are at work by which steps: others may have come since.
    _working: Counter[Steps] = field(factory=Counter, init=False)

    # Those at work of which there was news since they began to be.
    _news: set[int] = field(factory=set, init=False)
    _starting: bool = field(default=False, init=False)

    _look_call: IDelayedCall | None = field(default=None, init=False)
    # What the store complained of, the last time that it was looked into.
    _trouble: str | None = field(default=None, init=False)
    _looking: Deferred[float] | None = field(default=None, init=False)
    _cursor: int = field(default=0, init=False)
    _idle: Deferred[None] | None = field(default=None, init=False)
    _retired: bool = field(default=False, init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._follow(self._steps)

    def _follow(self, steps: Steps) -> None:
        steps.reopened = self._wake_all
        steps.slots.freed = self._feed
        self._steps = steps

    def adopt(self, steps: Steps) -> None:
        """
        Take other steps from now on, with the same slots.  What is being worked
        on is finished as it was begun, up to where it waits for something.
        """
        self._steps.superseded = True
        self._follow(steps)
        if self._retired:
            self._retired, self._idle = False, None
            if self._looking is None:
                self._look()
        # What waits may have nothing to wait for any more.
        self._wake_all()
        self._feed()

    def retire(self) -> Deferred[None]:
        """
        Take nothing up any more, and let what is being worked on go on up to
        where it waits for something; until other steps are adopted.

        :return: fires once nothing is worked on, if it comes to that.
        """
        self._retired = True
        return self._rest()

    def startService(self) -> None:
        super().startService()
        self._look()

    def stopService(self) -> Deferred[None]:
        """
        Begin no send and no turn; let what is in flight finish, for a while.

        :return: fires once nothing is in flight.
        """
        super().stopService()
        for steps in {self._steps, *self._working}:
            steps.finish()
        end = self._clock.callLater(self._drain, self._cut_off)
        idle = self._rest()
        idle.addCallback(lambda _: end.cancel() if end.active() else None)
        return idle

    @property
    def _taking(self) -> bool:
        """Whether anything may be taken up."""
        return bool(self.running) and not self._retired

    def _rest(self) -> Deferred[None]:
        """
        Forget what is not being worked on.

        :return: fires once nothing is worked on.
        """
        timers = [self._look_call, *self._resting.values()]
        timers += [call for _, call in self._hungry.values()]
        for call in timers:
            if call is not None and call.active():
                call.cancel()
        self._resting.clear()
        # Not freed, which would let others begin.
        self._steps.slots.taken -= sum(self._ready.values())
        self._ready.clear()
        self._seen.clear()
        self._hungry.clear()
        before, idle = self._idle, Deferred[None]()
        if before is not None:
            idle.chainDeferred(before)
        self._idle = idle
        self._check_idle()
        return idle

    def _cut_off(self) -> None:
        self._log.warn(
            "stopping with {count} conversations at work; they go on at the next start",
            event="stop.unfinished",
            count=len(self._at_work),
        )
        for work in [*self._at_work.values(), self._looking]:
            if work is not None:
                work.cancel()

    def _check_idle(self) -> None:
        if self._idle is not None and not self._at_work and self._looking is None:
            idle, self._idle = self._idle, None
            idle.callback(None)

    # Which conversation is worked on when.

    def arrived(self, conversation: int, situation: Situation | None) -> None:
        """
        Look at a conversation in which something has just arrived.

        :param situation: how it is in it then, where that is known.
        """
        if not self._taking or (situation is not None and conversation in self._hungry):
            return
        self._note(conversation)
        if situation is not None and conversation in self._ready:
            # Where all slots are taken, most of those who write only wait: for
            # that nothing need be begun, which takes twice as long.
            wait = self._steps.hunger(situation)
            if wait is None:
                self._seen[conversation] = situation
            else:
                del self._ready[conversation]
                self._hunger(conversation, wait.seconds, None)
        self._start_ready()

    def wake(self, conversations: Iterable[int]) -> None:
        """
        Look at these conversations soon; cheap, and safe to call at any time.
        """
        if not self._taking:
            return
        for conversation in conversations:
            self._note(conversation)
        self._start_ready()

    def _note(self, conversation: int) -> None:
        """
        See to it that a conversation is looked at, as it is now.
        """
        if conversation in self._at_work:
            self._news.add(conversation)
            return
        rest = self._resting.pop(conversation, None)
        if rest is not None:
            rest.cancel()
        self._seen.pop(conversation, None)
        if conversation in self._hungry:
            self._take_aside(conversation)
        elif self._room() > 0:
            self._ready.setdefault(conversation, False)

    def hush(self, conversation: int) -> None:
        """
        Show nothing more in a conversation, and ask for nothing: a human
        answers.
        """
        for steps in {self._steps, *self._working}:
            steps.hush(conversation)

    def _wake_all(self) -> None:
        self.wake(list(self._resting))

    def _room(self) -> int:
        return self._most_known - (
            len(self._at_work)
            + len(self._ready)
            + len(self._hungry)
            + len(self._resting)
        )

    def _start_ready(self) -> None:
        if self._starting:
            return
        self._starting = True
        while (
            self._ready
            and self._taking
            and len(self._at_work) < self._most_at_work + self._steps.slots.taken
        ):
            conversation = next(iter(self._ready))
            self._start(conversation, self._ready.pop(conversation))
        self._starting = False

    def _start(self, conversation: int, slot: bool) -> None:
        # Known to be at work before it is: it may be done at once.
        self._at_work[conversation] = None
        steps = self._steps
        self._working[steps] += 1
        seen = self._seen.pop(conversation, None)
        work = Deferred.fromCoroutine(self._work(steps, conversation, slot, seen))
        if not work.called:
            self._at_work[conversation] = work
        work.addCallback(self._worked, conversation, steps)

    def _worked(
        self, then: Wait | Rest | Hunger, conversation: int, steps: Steps
    ) -> None:
        del self._at_work[conversation]
        self._working[steps] -= 1
        if not self._working[steps]:
            del self._working[steps]
        news = conversation in self._news
        self._news.discard(conversation)
        place = self._kept_places.pop(conversation, None)
        if self._taking:
            if isinstance(then, Hunger):
                self._hunger(conversation, then.seconds, place)
            elif news or steps is not self._steps:
                # What the steps of before waited for may not hold any more.
                self._ready[conversation] = False
            elif isinstance(then, Wait):
                self._resting[conversation] = self._clock.callLater(
                    min(then.seconds, _LONGEST_REST), self._rested, conversation
                )
        self._feed()
        self._check_idle()

    def _hunger(
        self, conversation: int, seconds: float | None, place: int | None
    ) -> None:
        place = next(self._places) if place is None else place
        heappush(self._queue, (place, conversation))
        call = (
            None
            if seconds is None
            else self._clock.callLater(seconds, self._interrupt, conversation)
        )
        self._hungry[conversation] = place, call

    def _interrupt(self, conversation: int) -> None:
        self._take_aside(conversation)
        self._start_ready()

    def _take_aside(self, conversation: int) -> None:
        """
        Do what is to be done for one that waits for a slot, and let it wait
        on in its place.
        """
        self._kept_places[conversation], call = self._hungry.pop(conversation)
        if call is not None and call.active():
            call.cancel()
        self._ready[conversation] = False

    def _rested(self, conversation: int) -> None:
        del self._resting[conversation]
        self._ready[conversation] = False
        self._start_ready()

    def _feed(self) -> None:
        """
        Give free slots to those who have waited for one the longest.
        """
        while self._hungry and self._steps.slots.take():
            self._ready[self._next_hungry()] = True
        self._start_ready()

    def _next_hungry(self) -> int:
        while True:
            place, conversation = heappop(self._queue)
            waiting = self._hungry.get(conversation)
            if waiting is not None and waiting[0] == place:
                break
        del self._hungry[conversation]
        _, call = waiting
        if call is not None:
            call.cancel()
        return conversation

    def _look(self) -> None:
        self._look_call = None
        self._looking = looking = Deferred.fromCoroutine(self._look_into_store())
        looking.addErrback(self._not_looked)
        looking.addCallback(self._looked)

    async def _look_into_store(self) -> float:
        limit = min(1000, self._room())
        if limit <= 0:
            return self._interval
        try:
            found = await self._store.waiting(self._bot, self._cursor, limit)
        except StoreUnavailable as error:
            # Once for each trouble, for it may last for hours.
            if error.detail != self._trouble:
                self._trouble = error.detail
                self._log.error(
                    "can't look into the store: {detail}",
                    event="store.failed",
                    detail=error.detail,
                )
            return self._interval
        self._trouble = None
        whole = len(found) < limit
        self._cursor = 0 if whole else found[-1]
        self.wake(
            conversation for conversation in found if not self._knows(conversation)
        )
        return self._interval if whole else 0.0

    def _knows(self, conversation: int) -> bool:
        kept: tuple[Container[int], ...] = self._resting, self._at_work, self._hungry
        return any(conversation in those for those in kept)

    def _not_looked(self, failure: Failure) -> float:
        if not failure.check(CancelledError):
            self._log.failure(
                "a defect, looking into the store", failure, event="defect"
            )
        return self._interval

    def _looked(self, interval: float) -> None:
        self._looking = None
        if self._taking:
            self._look_call = self._clock.callLater(interval, self._look)
        self._check_idle()

    async def _work(
        self, steps: Steps, conversation: int, slot: bool, seen: Situation | None
    ) -> Wait | Rest | Hunger:
        try:
            return await steps.run(conversation, slot, seen)
        except CancelledError:
            return Rest()
        except StoreUnavailable as error:
            self._log.error(
                "the store fails: {detail}", event="store.failed", detail=error.detail
            )
            return Wait(1.0 + self._jitter())
        except Exception:
            self._log.failure(
                "a defect, in conversation {conversation}",
                event="defect",
                conversation=conversation,
            )
            return Wait(_AFTER_A_DEFECT)
