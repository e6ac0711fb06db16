"""
The webhook: Meta's deliveries, into the store.

Source: docs/messenger-platform.md, sections 1 and 2.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NoReturn

from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from micamsgr.conversation.events import (
    BotName,
    Echo,
    Event,
    PageId,
    Psid,
    Said,
    Unreadable,
)
from micamsgr.conversation.interfaces import IStore, Recorded
from micamsgr.conversation.moment import Moment
from micamsgr.conversation.parts import part_named
from micamsgr.conversation.planner import Situation
from micamsgr.conversation.policy import Handover
from micamsgr.conversation.reception import Arrival, arrival, person
from micamsgr.errors import RejectedRequest, StoreUnavailable
from micamsgr.logger import Logger

from .erasure_codes import ErasureCodes
from .notifications import check_signature, parse_notification
from .patience import COMMIT_DEADLINE, Patience
from .seldom import Seldom

# Seconds until it is asked again whether the store has said which Page it was.
_READING = 0.02

# Seconds between two lines about what strangers send to a bot.
_STRANGERS_INTERVAL = 60.0

# Seconds between two lines about deliveries that are refused for one reason.
_REFUSALS_INTERVAL = 60.0

# Seconds between two lines about a Page that is nobody's.
_PAGE_INTERVAL = 3600.0


@frozen(kw_only=True)
class Channel:
    """
    What the webhook must know of a bot.

    :ivar page: asks which Page is the bot's; ``None`` while nobody knows.
    :ivar reading: says whether it may be known in a moment, as at the start, when
        the store is asked which one it was.
    :ivar allow: if not empty, only these people are answered.
    :ivar app: its app's ID, where it is known.
    :ivar alias: names a person in the log.
    :ivar arrived: told of a conversation in which there is something to do, and
        how it is in it, where that is known.
    :ivar hush: told of one in which a human answers.
    :ivar kept: told of each delivery whether the store could keep it.
    """

    bot: BotName
    verify_token: bytes = field(repr=False)
    secret: bytes = field(repr=False)
    page: Callable[[], PageId | None]
    allow: frozenset[str] = frozenset()
    handover: Handover
    app: str | None = None
    alias: Callable[[Psid], str]
    reading: Callable[[], bool] = lambda: False
    arrived: Callable[[int, Situation | None], None]
    hush: Callable[[int], None]
    kept: Callable[[bool], None] = lambda _: None


_Channels = Mapping[BotName, Channel]


def route(
    page: PageId, via: Channel, channels: Iterable[Channel]
) -> tuple[Channel, bool] | None:
    """
    Decide whose an event is: an app has one webhook for all its Pages, and
    its signature proves the app, not the Page.

    :param via: the bot whose webhook it came by.

    :return: the bot, and whether the event's Page is its own.  A Page that is
        nobody's is believed to be that of the one bot whose Page is not known
        yet.  ``None`` where there are several of these.
    """
    if via.page() == page:
        return via, True
    app = [
        channel
        for channel in channels
        if hmac.compare_digest(channel.secret, via.secret)
    ]
    for channel in app:
        if channel.page() == page:
            return channel, True
    unknown = [channel for channel in app if channel.page() is None]
    if len(unknown) > 1:
        return None
    return (unknown[0], True) if unknown else (via, False)


@define(eq=False)
class Webhook:
    """
    Take what Meta delivers into the store.

    A POST is answered 200 only after all of it is durable; any other answer
    makes Meta deliver it again.

    :ivar strangers: when to log what anybody may send.
    :ivar refusals: when to log that what Meta sends is refused.
    :ivar answered: told each delivery's status, and the seconds until it was
        answered.
    :ivar _clock: for the deadline.
    :ivar _now: reads the clocks.
    :ivar channels: by bot; may be replaced at any time.
    :ivar texts: whether the log may hold what people write.
    :ivar codes: heeds what people write to be erased; by default nothing is.
    """

    _clock: IReactorTime
    _now: Callable[[], Moment]
    _store: IStore
    channels: Mapping[BotName, Channel]
    texts: bool = field(default=False, kw_only=True)

    answered: Callable[[int, float], None] = field(
        default=lambda status, seconds: None, kw_only=True
    )
    codes: ErasureCodes | None = field(default=None, kw_only=True)
    strangers: Seldom = field(init=False)
    refusals: Seldom = field(init=False)
    _lost: Seldom = field(init=False)
    _patience: Patience = field(init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self.strangers = Seldom(self._clock, _STRANGERS_INTERVAL)
        self.refusals = Seldom(self._clock, _REFUSALS_INTERVAL)
        self._lost = Seldom(self._clock, _PAGE_INTERVAL)
        self._patience = Patience(self._clock, COMMIT_DEADLINE)

    def seconds(self) -> float:
        """
        Read the monotonic clock.
        """
        return self._clock.seconds()

    def receive(
        self, channel: Channel, body: bytes, signature: bytes | None
    ) -> Deferred[None]:
        """
        Keep what an authentic POST delivers.

        :return: fires once it is kept; fails with
            :exc:`~micamsgr.errors.RejectedRequest` with status 503 where it could
            not be, in time or at all.

        :raises RejectedRequest: with status 403 where it is not authentic,
            400 where it is no notification at all.
        """
        check_signature(channel.secret, body, signature)
        # While this is kept, another configuration may take a bot away.
        channels = {**self.channels, channel.bot: channel}
        if any(it.reading() for it in channels.values()):
            # Or what is for nobody's Page would be taken for this bot's.
            waiting = self._once_read(channels, channel, body, signature)
            return Deferred.fromCoroutine(waiting)
        now = self._now()
        events = parse_notification(body, now.wall)
        if not events:
            return succeed(None)
        arrivals = [
            taken
            for event in events
            if (taken := self._arrival(event, channel, channels, now)) is not None
        ]

        def kept(_: None) -> None:
            _say_kept(arrivals, channels, True)
            if len(arrivals) < len(events):
                # Kept under the wrong bot they would be lost; Meta keeps them.
                raise RejectedRequest(503, "nobody knows yet whose Page some are for")

        def not_kept(failure: Failure) -> NoReturn:
            error = failure.value
            if not isinstance(error, StoreUnavailable):
                failure.raiseException()
            _say_kept(arrivals, channels, False)
            raise RejectedRequest(503, error.detail) from error

        keeping = Deferred.fromCoroutine(self._keep(channel, channels, arrivals, now))
        return self._patience.wait(keeping).addCallbacks(kept, not_kept)

    async def _once_read(
        self,
        channels: _Channels,
        channel: Channel,
        body: bytes,
        signature: bytes | None,
    ) -> None:
        end = self._clock.seconds() + COMMIT_DEADLINE
        while any(it.reading() for it in channels.values()):
            if self._clock.seconds() >= end:
                raise RejectedRequest(503, "nobody knows yet whose Page some are for")
            await deferLater(self._clock, _READING)
        await self.receive(channel, body, signature)

    async def _keep(
        self,
        via: Channel,
        channels: _Channels,
        arrivals: list[Arrival],
        now: Moment,
    ) -> None:
        asking = None if self.codes is None else await self.codes.heed(arrivals)
        recorded = await self._store.record(arrivals, now)
        # Also where that took so long that nobody waits for it any more: as it
        # comes again it is known, and says nothing.
        self._tell(via, channels, arrivals, recorded)
        if self.codes is not None and asking is not None:
            # Their words must be there to be erased.
            await self.codes.claim(
                asking, lambda it: channels[BotName(it.bot)].alias(it.psid)
            )

    def _arrival(
        self, event: Event, via: Channel, channels: _Channels, now: Moment
    ) -> Arrival | None:
        whose = (
            (via, True)
            if isinstance(event, Unreadable)
            else route(event.page, via, channels.values())
        )
        if whose is None:
            return None
        channel, ours = whose
        if not ours and self._lost.count(event.page):
            self._log.error(
                "Page {page} writes to bot {bot}, whose token is of Page {own}: check"
                " facebook.page_access_token or facebook.page_id",
                event="page.foreign",
                page=event.page,
                bot=channel.bot,
                own=channel.page(),
            )
        return arrival(
            event,
            bot=channel.bot,
            ours=ours,
            now=now,
            allow=channel.allow,
            handover=channel.handover,
            app=channel.app,
        )

    def _tell(
        self,
        via: Channel,
        channels: _Channels,
        arrivals: Sequence[Arrival],
        recorded: Recorded,
    ) -> None:
        for bot, conversation in recorded.wake:
            situation = recorded.situations.get(conversation)
            channels[bot].arrived(conversation, situation)
        told: set[tuple[BotName, bytes]] = set()
        for taken in arrivals:
            name = taken.bot, taken.event.key
            again = taken.event.key in recorded.known or name in told
            told.add(name)
            if again:
                self._log.info(
                    "to {bot}: again, and known",
                    event="event.redelivered",
                    bot=taken.bot,
                    person=_person(taken, channels[taken.bot]),
                )
            elif taken.event.key in recorded.silenced:
                self._tell_event(evolve(taken, reason="human"), channels, recorded)
            elif taken.event.key in recorded.erased:
                self._tell_event(evolve(taken, reason="erased"), channels, recorded)
            else:
                self._tell_event(taken, channels, recorded)
        for bot, conversation in recorded.takeovers:
            channels[bot].hush(conversation)
            self._log.info(
                "bot {bot}: a human answers in conversation {conversation}",
                event="human.took_over",
                bot=bot,
                conversation=conversation,
            )
        for bot, part, trace in recorded.doubled:
            self._log.error(
                "bot {bot}: part {part} was said twice",
                event="part.doubled",
                bot=bot,
                part=part,
                trace=trace,
            )

    def _tell_event(
        self, taken: Arrival, channels: _Channels, recorded: Recorded
    ) -> None:
        event, channel = taken.event, channels[taken.bot]
        trace = recorded.traces.get((taken.bot, event.key))
        if isinstance(event, Said):
            self._log.info(
                "to {bot}, Page {page}, from {person}: {kind} {mid}; {state}"
                if event.mid
                else "to {bot}, Page {page}, from {person}: {kind}; {state}",
                event="message.taken",
                bot=taken.bot,
                page=event.page,
                person=channel.alias(event.psid),
                kind=event.kind,
                mid=event.mid,
                state=taken.reason or taken.state.value,
                trace=trace,
            )
            if self.texts:
                self._log.info(
                    "{mid}: {text}",
                    event="message.text",
                    mid=event.mid or "-",
                    text=event.text,
                    trace=trace,
                )
        elif isinstance(event, Echo):
            part = part_named(event.metadata)
            self._log.debug(
                "to {bot}: echo {echo} of what was said to {person}, part {part}"
                if part
                else "to {bot}: echo {echo} of what was said to {person}",
                event="echo.taken",
                bot=taken.bot,
                echo=event.mid or "-",
                person=_person(taken, channel),
                part=part,
                trace=trace,
            )
        elif isinstance(event, Unreadable):
            self._log.error(
                "to {bot}: an event that can't be read is kept as it is: {why}",
                event="event.unreadable",
                bot=taken.bot,
                why=event.why,
                trace=trace,
            )


def _say_kept(arrivals: Sequence[Arrival], channels: _Channels, kept: bool) -> None:
    # On a full disk echoes are kept all the same, and prove nothing.
    telling = [it for it in arrivals if not (kept and isinstance(it.event, Echo))]
    for bot in {taken.bot for taken in telling}:
        channels[bot].kept(kept)


def _person(taken: Arrival, channel: Channel) -> str | None:
    concerned = person(taken.event)
    return None if concerned is None else channel.alias(concerned[1])
