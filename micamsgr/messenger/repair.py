"""
What is done after an outage: the subscription is looked after, and what nobody
delivered is read from the threads.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, evolve, field
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from micamsgr.conversation.events import BotName, PageId
from micamsgr.conversation.interfaces import IStore
from micamsgr.conversation.missed import Gap
from micamsgr.conversation.moment import Moment
from micamsgr.errors import Refused, StoreUnavailable, Unavailable

from .catch_up import CatchUp
from .subscriptions import State, Subscriptions

# Seconds between two looks at the subscription.
_INTERVAL = 3600.0

# Meta delivers again what it could not, and what it delivers need not be read;
# and threads show what was written only after a while.  So many seconds are
# waited, and up to as many more.
_SETTLE = 20.0

# An interruption as short as this is none, in seconds: Meta bridges it.
_SHORT = 60.0

# Seconds between two looks whether this process was stopped meanwhile.
_BEAT = 30.0

# Seconds until the next try: doubled each time, up to the second.
_FIRST_REST, _LONGEST_REST = 2.0, 300.0

# Seconds between two looks whether the Page is known.
_POLL = 1.0

_PERMISSIONS = (
    "the token needs the permissions pages_messaging, pages_read_engagement and"
    " pages_manage_metadata"
)


@define(eq=False)
class Repair(Service):
    """
    Find out, for one bot's Page, what was missed: at each start, after times
    in which nothing could be kept or this process stood still, and when Meta
    had dropped the subscription.

    That something may have been missed is in the store from the start on, so
    that no crash forgets it, until all was read.  Nothing waits for any of it.

    :ivar _clock: for every wait; usually the reactor.
    :ivar _now: reads the clocks.
    :ivar _page: asks which Page is the bot's; ``None`` while nobody knows.
    :ivar _jitter: makes a number from 0.0 to 1.0.
    """

    _bot: BotName
    _clock: IReactorTime
    _now: Callable[[], Moment]
    _store: IStore
    _subscriptions: Subscriptions
    _catch_up: CatchUp
    _page: Callable[[], PageId | None]
    _jitter: Callable[[], float]

    # What is to be read, if anything; and when it was over that something could
    # be missed: the first time, and the last.
    _gap: Gap | None = field(default=None, init=False)
    _resumed: Moment | None = field(default=None, init=False)
    _over: Moment | None = field(default=None, init=False)
    # Whether the last look found that the Page's app is not told of all.
    _lacking: bool = field(default=False, init=False)
    # What came up and is not kept yet: since when something may have been
    # missed, and before when the last event was since which it may.
    _since: int | None = field(default=None, init=False)
    _before: Moment | None = field(default=None, init=False)
    # Since when deliveries are refused.
    _refusing: Moment | None = field(default=None, init=False)

    _told: str | None = field(default=None, init=False)
    _rested: float = field(default=0.0, init=False)
    _work: Deferred[None] | None = field(default=None, init=False)
    _resting: tuple[Deferred[None], IDelayedCall] | None = field(
        default=None, init=False
    )
    _beat: IDelayedCall | None = field(default=None, init=False)

    _log = Logger()

    def startService(self) -> None:
        super().startService()
        self.note(None)
        self._work = Deferred.fromCoroutine(self._look_after_it())
        self._work.addErrback(self._failed)
        self._beat = self._clock.callLater(_BEAT, self._look_back, self._now())

    def stopService(self) -> None:
        super().stopService()
        if self._beat is not None and self._beat.active():
            self._beat.cancel()
        if self._work is not None:
            self._work.cancel()

    @property
    def subscription(self) -> State | None:
        """
        What the last look at the subscription found; ``None`` before there was
        one.
        """
        return self._subscriptions.state

    # When something may have been missed.

    def note(self, since: int | None) -> None:
        """
        Something may have been missed.

        :param since: from when on, in milliseconds by Meta's clock; ``None``:
            since the last event that was delivered until now, however much
            later that can be kept.
        """
        now = self._now()
        # Of several times the earliest counts.
        if since is None:
            self._before = self._before or now
        elif self._since is None or since < self._since:
            self._since = since
        self._resumed = self._resumed or now
        self._over = now
        if self._resting is not None:
            resting, call = self._resting
            if call.active():
                call.cancel()
                resting.callback(None)

    def kept(self, kept: bool) -> None:
        """
        Learn whether a delivery could be kept.
        """
        now = self._now()
        if not kept:
            self._refusing = self._refusing or now
        elif self._refusing is not None:
            seconds, self._refusing = now.since(self._refusing.tick), None
            if seconds > _SHORT:
                self.note(now.wall - int(seconds * 1000))

    def _look_back(self, last: Moment) -> None:
        """
        Notice that the process, or the machine, stood still.
        """
        now = self._now()
        seconds = now.since(last.tick)
        if seconds > _BEAT + _SHORT:
            self.note(now.wall - int(seconds * 1000))
        self._beat = self._clock.callLater(_BEAT, self._look_back, now)

    def _is_noted(self) -> bool:
        return self._since is not None or self._before is not None

    async def _keep_noted(self) -> None:
        if self._before is not None:
            now, noted = self._now(), self._before
            # By the clock as it was then, and as it is known by now: what came
            # since is told from what came before by either.
            before = min(noted.wall, now.wall - int(now.since(noted.tick) * 1000))
            self._take(await self._store.interrupted(self._bot, now, before=before))
            self._before = None
        while self._since is not None:
            since = self._since
            self._take(await self._store.interrupted(self._bot, self._now(), since))
            if self._since == since:
                self._since = None

    def _take(self, kept: Gap) -> None:
        last = self._gap
        if last is not None:
            if kept.since >= last.since:
                return
            # Whose Page it is, is known no less.
            kept = evolve(
                kept, page=kept.page or last.page, first=kept.first or last.first
            )
        self._gap = kept
        self._catch_up.begin()

    # What is done.

    async def _look_after_it(self) -> None:
        while True:
            await self._rest(await self._attempt())

    async def _attempt(self) -> float:
        """
        :return: the seconds until the next time.
        """
        try:
            await self._keep_noted()
            page = self._page()
            if page is None:
                return _POLL
            await self._check(page)
            if self._gap is not None:
                await self._settle()
                await self._catch_up_with(page)
        except (Unavailable, StoreUnavailable) as error:
            return self._put_off(error)
        except Refused as error:
            self._tell_refused(error)
            if self._gap is not None:
                # It may have been of something between Meta and us.
                return self._until_again(_INTERVAL)
        except CancelledError:
            raise
        except Exception:
            # The subscription is looked after all the same.
            self._log.failure(
                "a defect, looking for what bot {bot} missed",
                event="defect",
                bot=self._bot,
            )
            return _LONGEST_REST
        else:
            self._told = None
        self._rested = 0.0
        if self._is_noted():
            return 0.0
        return _INTERVAL * (0.95 + self._jitter() / 10.0)

    async def _check(self, page: PageId) -> None:
        """
        Look at the subscription.  Where it lacked something, something may have
        been missed since it was last found not to, whatever else was delivered
        meanwhile.
        """
        state = await self._subscriptions.check(page, self._lacks)
        if state not in (State.INTACT, State.MENDED):
            return
        now = self._now()
        if self._lacking:
            self._lacking, self._over = False, now
        at = now.wall if now.sure else None
        gap = await self._store.told(self._bot, now, at)
        if gap is not None:
            self._resumed = self._resumed or now
            self._over = self._over or now
            self._take(gap)

    async def _lacks(self) -> None:
        self._lacking = True
        await self._store.lacked(self._bot, self._now())

    def _put_off(self, error: Unavailable | StoreUnavailable) -> float:
        if not self.running:
            # Canceled; an HTTP call can't say so.
            raise error
        self._log.warn(
            "bot {bot}: whether something was missed is not known yet: {detail}",
            event="catch_up.postponed",
            bot=self._bot,
            detail=error.detail,
        )
        named = getattr(error, "retry_after", None) or 0.0
        return max(self._until_again(_LONGEST_REST), named)

    def _until_again(self, longest: float) -> float:
        self._rested = min(longest, max(_FIRST_REST, self._rested * 2.0))
        return self._rested * (0.5 + self._jitter() / 2.0)

    def _tell_refused(self, error: Refused) -> None:
        if self._told == error.detail:
            return
        self._told = error.detail
        self._log.error(
            "the threads of bot {bot} can't be read, so that messages that Meta did"
            " not deliver stay unknown: {detail}; {todo}",
            event="catch_up.denied",
            bot=self._bot,
            detail=error.detail,
            todo=_PERMISSIONS,
        )

    async def _rest(self, seconds: float) -> None:
        rested: Deferred[None] = Deferred()
        call = self._clock.callLater(seconds, rested.callback, None)
        self._resting = rested, call
        try:
            await rested
        finally:
            self._resting = None
            if call.active():
                call.cancel()

    async def _catch_up_with(self, page: PageId) -> None:
        assert self._gap is not None
        assert self._resumed is not None
        gap, resumed = await self._begun(page, self._gap), self._resumed
        await self._catch_up.run(page, gap, resumed)
        if self._is_noted():
            return
        await self._store.repaired(self._bot, gap)
        self._catch_up.begin()
        # What came up meanwhile needs them.
        if not self._is_noted():
            self._gap = self._resumed = self._over = None

    async def _begun(self, page: PageId, gap: Gap) -> Gap:
        """
        See to it that on a Page that is new to us nothing is looked at that is
        older than we are.
        """
        if not gap.first and (gap.page is None or gap.page == page):
            return gap
        assert self._resumed is not None
        now = self._now()
        # Only by now Meta's clock is known.
        start = now.wall - int(now.since(self._resumed.tick) * 1000)
        kept = await self._store.interrupted(self._bot, now, floor=start)
        self._gap = kept
        return kept

    async def _settle(self) -> None:
        assert self._over is not None
        passed = self._now().since(self._over.tick)
        wait = _SETTLE * (1.0 + self._jitter()) - passed
        if wait > 0.0:
            await deferLater(self._clock, wait)

    def _failed(self, failure: Failure) -> None:
        if self.running:
            self._log.failure(
                "a defect, looking for what bot {bot} missed",
                failure,
                event="defect",
                bot=self._bot,
            )
