"""
Reads the threads of a Page for what nobody delivered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence, Set
from datetime import datetime, timezone
from functools import partial

from attrs import define, evolve, field
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger, LogLevel

from micamsgr.conversation.events import BotName, Echo, PageId, Psid, Said
from micamsgr.conversation.interfaces import IStore, Recorded
from micamsgr.conversation.missed import COMPARED, Gap, agree, missed
from micamsgr.conversation.moment import Moment
from micamsgr.conversation.pacing import TokenBucket
from micamsgr.conversation.policy import Handover
from micamsgr.conversation.reception import Arrival
from micamsgr.conversation.states import EventState
from micamsgr.errors import Refused, RemoteError

from .backfill import (
    SHOWN,
    Listed,
    read_thread,
    read_threads,
    thread_path,
    threads_path,
)
from .graph import GraphMessenger

# How much slower than the rate of look-ups, so that no window of a second has
# more of them.
_SLACK = 1.1

# After so many failures a thread is given up.
_TRIES = 3


@define(eq=False)
class CatchUp:
    """
    Make events of what one bot's Page was written and nobody delivered.

    :ivar _clock: for every wait; usually the reactor.
    :ivar _now: reads the clocks.
    :ivar _look_ups: the pace at which threads are read; who settles doubts
        goes first.
    :ivar _alias: names a person in the log.
    :ivar _wake: told of conversations in which there is something to do.
    :ivar _hush: told of one in which a human answers.
    :ivar _allow: if not empty, only these people are answered.
    :ivar _app: its app's ID, where it is known.
    :ivar _most_listed: how many pages of the list of threads are read at once.
    :ivar _most_read: how many threads.
    """

    _bot: BotName
    _clock: IReactorTime
    _now: Callable[[], Moment]
    _store: IStore
    _graph: GraphMessenger
    _look_ups: TokenBucket
    _alias: Callable[[Psid], str]
    _wake: Callable[[Collection[int]], None]
    _hush: Callable[[int], None]
    _allow: frozenset[str] = field(default=frozenset(), kw_only=True)
    _handover: Handover = field(factory=Handover, kw_only=True)
    _app: str | None = field(default=None, kw_only=True)
    _most_listed: int = field(default=20, kw_only=True)
    _most_read: int = field(default=500, kw_only=True)

    # Of the gap: the threads that were read, as they were listed, and those
    # that could not be.
    _done: dict[Psid, Listed] = field(factory=dict, init=False)
    _failures: Counter[Psid] = field(factory=Counter, init=False)
    # When the next question may be asked.
    _paced: float = field(default=0.0, init=False)

    _log = Logger()

    def begin(self) -> None:
        """
        Forget what was read: the gap is another one.
        """
        self._done.clear()
        self._failures.clear()

    async def run(self, page: PageId, gap: Gap, resumed: Moment) -> None:
        """
        Read what was updated since the gap began; what was read before it
        failed is not read again.

        :param resumed: when it was over that something could be missed.

        :raises Unavailable: the Graph API does not answer, for now.
        :raises Refused: threads can't be read, as where a permission is
            missing.
        """
        listed = await self._list(page, gap)
        agreed = await self._store.ids_agree(self._bot)
        found: Counter[EventState] = Counter()
        refused: list[Refused] = []
        for thread in listed:
            if self._done.get(thread.psid) == thread:
                continue
            try:
                agreed = await self._read(
                    page, thread.psid, gap, resumed, agreed, found
                )
            except Refused as error:
                # Whether it is about this one or about all, the others tell.
                self._failures[thread.psid] += 1
                refused.append(error)
                continue
            except RemoteError:
                self._failures[thread.psid] += 1
                raise
            self._done[thread.psid] = thread
        if refused:
            self._tell_refused(refused, len(listed))
        self._log.emit(
            LogLevel.warn if found[EventState.DEAD] else LogLevel.info,
            "bot {bot}: {threads} threads were read, from {since} on; {missed} messages"
            " had not been delivered: {answered} to be answered, {ignored} that need"
            " no answer, {listed} to be seen to",
            event="catch_up.done",
            bot=self._bot,
            threads=len(listed),
            since=_utc(gap.begins),
            missed=sum(found.values()),
            answered=found[EventState.NEW],
            ignored=found[EventState.IGNORED],
            listed=found[EventState.DEAD],
        )

    async def _list(self, page: PageId, gap: Gap) -> list[Listed]:
        """
        List the threads that were updated since, the newest first.
        """
        found: dict[Psid, Listed] = {}
        after: str | None = None
        unclear = 0
        for _ in range(self._most_listed):
            await self._turn()
            answer = await self._graph.get(threads_path(page, after))
            listed = read_threads(answer, page)
            unclear += listed.unclear
            new = [it for it in listed.threads if _is_since(it, gap.begins)]
            found.update((thread.psid, thread) for thread in new)
            after = listed.after
            # Meta lists the newest first, and says so nowhere: so one page that
            # has nothing new ends it, and not one thread.
            if after is None or (listed.threads and not new):
                break
        else:
            self._tell_more(len(found))
        if unclear:
            self._log.warn(
                "bot {bot}: {count} threads are not read: they show no one person",
                event="catch_up.threads_unclear",
                bot=self._bot,
                count=unclear,
            )
        given_up = {psid for psid, count in self._failures.items() if count >= _TRIES}
        for psid in found.keys() & given_up:
            self._log.error(
                "bot {bot}: the thread of {person} can't be read; look at it yourself",
                event="catch_up.thread_unreadable",
                bot=self._bot,
                person=self._alias(psid),
            )
        rest = [thread for thread in found.values() if thread.psid not in given_up]
        rest.sort(key=lambda it: (self._failures[it.psid], -(it.updated or 0)))
        if len(rest) > self._most_read:
            self._tell_more(len(rest))
        return rest[: self._most_read]

    def _tell_refused(self, refused: Sequence[Refused], listed: int) -> None:
        """
        Go on without the threads that Meta does not let us read.

        :raises Refused: where these are all of them.
        """
        if len(refused) == listed:
            raise refused[0]
        self._log.error(
            "bot {bot}: {count} threads can't be read, so that what was missed in"
            " them stays unknown: {detail}; look at the Page's inbox",
            event="catch_up.threads_unreadable",
            bot=self._bot,
            count=len(refused),
            detail=refused[0].detail,
        )

    def _tell_more(self, count: int) -> None:
        self._log.warn(
            "bot {bot}: more threads were updated than are read: {count} or more; look"
            " at the older ones in the Page's inbox",
            event="catch_up.too_many",
            bot=self._bot,
            count=count,
        )

    async def _read(
        self,
        page: PageId,
        psid: Psid,
        gap: Gap,
        resumed: Moment,
        agreed: bool,
        found: Counter[EventState],
    ) -> bool:
        """
        :return: whether it is proved that IDs are those of webhooks.
        """
        await self._turn()
        answer = await self._graph.get(thread_path(page, psid))
        thread = read_thread(answer, page, psid)
        whose = self._bot, page, psid, gap.begins - COMPARED
        known = await self._store.recollect(*whose)
        if not agreed and agree(thread.messages, known):
            agreed = True
            await self._store.note_ids_agree(self._bot)
        now = self._now()
        judge = partial(
            missed,
            thread.messages,
            bot=self._bot,
            page=page,
            psid=psid,
            gap=gap,
            resumed=now.wall - int(now.since(resumed.tick) * 1000),
            agreed=agreed,
            now=now,
            allow=self._allow,
            handover=self._handover,
            app=self._app,
        )
        oldest = min((it.at for it in thread.messages if it.at), default=0)
        if thread.unclear or (not thread.whole and oldest > gap.begins):
            self._log.warn(
                "bot {bot}: not all of the thread of {person} could be read: only its"
                " {most} newest messages are shown, and {unclear} were unclear",
                event="catch_up.thread_partial",
                bot=self._bot,
                person=self._alias(psid),
                most=SHOWN,
                unclear=thread.unclear,
            )
        if judge(known):
            # By then more may be known: Meta delivers all the time.
            arrivals, recorded = await self._store.record_missed(*whose, judge, now)
            untimed = {it.key for it in thread.messages if it.at is None}
            for taken in arrivals:
                self._tell(taken, recorded, found, untimed)
            for _, conversation in recorded.takeovers:
                self._hush(conversation)
                self._log.info(
                    "bot {bot}: a human answers in conversation {conversation}",
                    event="human.took_over",
                    bot=self._bot,
                    conversation=conversation,
                )
            self._wake([conversation for _, conversation in recorded.wake])
        return agreed

    def _tell(
        self,
        taken: Arrival,
        recorded: Recorded,
        found: Counter[EventState],
        untimed: Set[bytes],
    ) -> None:
        """
        :param untimed: the keys of those of which nobody knows when they were
            written.
        """
        event = taken.event
        if event.key in recorded.known:
            return
        if isinstance(event, Echo):
            self._log.info(
                "not delivered: the Page of {bot} wrote to {person}, {written}: {mid}",
                event="catch_up.page_wrote",
                bot=self._bot,
                person=self._alias(event.psid),
                written=_utc(event.at),
                mid=event.mid,
            )
        if not isinstance(event, Said):
            return
        if event.key in recorded.silenced:
            taken = evolve(taken, state=EventState.IGNORED, reason="human")
        found[taken.state] += 1
        new = taken.state is EventState.NEW
        self._log.emit(
            LogLevel.warn if taken.state is EventState.DEAD else LogLevel.info,
            "not delivered to {bot}, from {person}, written {written}: {mid}; {state}",
            event="catch_up.missed",
            bot=self._bot,
            person=self._alias(event.psid),
            written="nobody knows when" if event.key in untimed else _utc(event.at),
            mid=event.mid,
            trace=recorded.traces.get((taken.bot, event.key)),
            state="to be answered" if new else taken.reason or taken.state.value,
        )

    async def _turn(self) -> None:
        """
        Wait until one more question may be asked of the Graph API.
        """
        while True:
            now = self._now().tick.seconds
            wait = max(self._look_ups.wait(now), self._paced - now)
            if wait <= 0.0 and self._look_ups.take(now):
                break
            await deferLater(self._clock, max(wait, 0.001))
        rate = self._look_ups.rate
        self._paced = now + (_SLACK / rate if rate > 0.0 else 0.0)


def _is_since(thread: Listed, begins: int) -> bool:
    # Times are whole seconds.
    return thread.updated is None or thread.updated + 999 >= begins


def _utc(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds // 1000, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
