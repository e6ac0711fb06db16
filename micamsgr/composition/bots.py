"""
Puts together what one bot is made of, and makes it anew while it runs.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any

from attrs import frozen
from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, maybeDeferred

from micamsgr.assistant.chat_completions import ChatCompletions
from micamsgr.clock import Clocks
from micamsgr.config.values import Bot
from micamsgr.conversation.assistant import IAssistant
from micamsgr.conversation.dispatcher import Dispatcher
from micamsgr.conversation.events import BotName, Psid
from micamsgr.conversation.interfaces import IStore
from micamsgr.conversation.outlet import Outlet
from micamsgr.conversation.pacing import TokenBucket
from micamsgr.conversation.slots import Slots
from micamsgr.conversation.steps import Steps
from micamsgr.httpcall import HTTPCaller
from micamsgr.messenger.calling import GraphCalls
from micamsgr.messenger.catch_up import CatchUp
from micamsgr.messenger.graph import GraphMessenger, TokenState
from micamsgr.messenger.markdown import plain
from micamsgr.messenger.pages import PageFinder
from micamsgr.messenger.rendering import MOST, split
from micamsgr.messenger.repair import Repair
from micamsgr.messenger.subscriptions import State, Subscriptions
from micamsgr.messenger.token_watch import DEADLINE, TokenWatch
from micamsgr.messenger.webhook import Channel
from micamsgr.services import Draining
from micamsgr.web.readiness import BotFacts, Subscribed

from .assistants import make_assistant
from .changes import BotChanges

_SUBSCRIBED = {
    State.INTACT: Subscribed.YES,
    State.MENDED: Subscribed.YES,
    State.BROKEN: Subscribed.NO,
    State.UNKNOWN: Subscribed.NOT_SAID,
}

#: Seconds that a stop gives to what is in flight.
DRAIN = 10.0


@frozen(kw_only=True)
class Surroundings:
    """
    What all bots share.

    :ivar chance: where jitter and IDs come from.
    :ivar troubled: wraps a bot's assistant where it is to have troubles on
        demand.
    :ivar subscribed: told whether a bot's Page is subscribed.
    """

    reactor: Any
    clocks: Clocks
    store: IStore
    caller: HTTPCaller
    chance: random.Random
    troubled: Callable[[Bot, IAssistant], IAssistant]
    subscribed: Callable[[str, bool], None]


class RunningBot(MultiService):
    """
    One bot: what finds its Page, looks at its token, repairs what was missed,
    and answers.

    :ivar channel: what the webhook must know of it; another one after each
        change.
    """

    channel: Channel

    def __init__(self, around: Surroundings, bot: Bot, *, texts: bool) -> None:
        """
        :param texts: whether the log may hold what is said.
        """
        super().__init__()
        self._around = around
        self._bot = bot
        self._alias = alias_of(bot)
        self._look_ups = TokenBucket(bot.delivery.lookup_rate)
        self._slots = Slots(bot.llm.concurrency)
        self._token = TokenState()
        self._steps = self._make_steps(bot, texts, None)
        self._dispatcher = Dispatcher(
            bot.name,
            around.reactor,
            around.store,
            self._steps,
            around.chance.random,
            drain=DRAIN,
        )
        self._finder = self._make_finder(bot)
        self._watch = self._make_watch(bot)
        self._repair = self._make_repair(bot)
        self.channel = self._make_channel(bot)
        for service in (self._finder, self._watch, self._repair, self._dispatcher):
            service.setServiceParent(self)

    def change(self, bot: Bot, *, texts: bool) -> None:
        """
        Be as another configuration says.

        A conversation that is worked on is finished as it was begun, up to
        where it waits for something.

        :param bot: of the same name.
        """
        before, self._bot = self._bot, bot
        self._alias = alias_of(bot)
        if bot.delivery.lookup_rate != before.delivery.lookup_rate:
            self._look_ups = TokenBucket(bot.delivery.lookup_rate)
        self._slots.limit = bot.llm.concurrency
        if bot.facebook != before.facebook:
            self._token = TokenState()
        outlet = self._steps.outlet
        if bot.facebook == before.facebook:
            outlet.change(bot.delivery.rate, bot.delivery.deadline)
            self._steps = self._make_steps(bot, texts, outlet)
        else:
            self._steps = self._make_steps(bot, texts, None)
            self._steps.outlet.replace(outlet)
        self._dispatcher.adopt(self._steps)
        # What was learned of the Page holds as long as it is reached as it was.
        if bot.facebook != before.facebook:
            self._drop(self._finder)
            self._finder = self._make_finder(bot)
            self._finder.setServiceParent(self)
        if _watched(bot) != _watched(before):
            self._drop(self._watch)
            self._watch = self._make_watch(bot)
            self._watch.setServiceParent(self)
        if _repaired(bot) != _repaired(before):
            self._drop(self._repair)
            self._repair = self._make_repair(bot)
            self._repair.setServiceParent(self)
        self.channel = self._make_channel(bot)

    @property
    def bot(self) -> Bot:
        """Its configuration."""
        return self._bot

    @property
    def stopped(self) -> tuple[float, str] | None:
        """See :class:`~micamsgr.conversation.outlet.Outlet`."""
        return self._steps.outlet.stopped

    def try_again(self, conversation: int) -> None:
        """
        Let a conversation be the one that tries whether the Page may send
        again, or an LLM answers again.
        """
        self._steps.outlet.try_again(conversation)
        if isinstance(self._assistant, ChatCompletions):
            self._assistant.try_again()

    @property
    def endpoints(self) -> list[tuple[str, str, float | None]]:
        """See :class:`~micamsgr.assistant.chat_completions.ChatCompletions`."""
        asked = self._assistant
        return asked.endpoints if isinstance(asked, ChatCompletions) else []

    def retire(self) -> Deferred[None]:
        """
        Take nothing up any more, until the next change.

        :return: fires once what is under way is finished.
        """
        return self._dispatcher.retire()

    @property
    def facts(self) -> BotFacts:
        """What is known of how well it is."""
        asked, llm = self._repair.subscription, self._assistant
        seen, stopped = self._watch.outlook, self.stopped
        return BotFacts(
            bot=self._bot.name,
            token=self._token.good,
            unproved=self._token.unproved,
            other_page=self._finder.mistaken,
            refused=self._steps.outlet.alarmed,
            other_app=seen.other_app,
            expired=seen.expired,
            invalid=seen.invalid,
            expires=seen.expires,
            access=seen.access,
            missing=seen.missing,
            subscribed=_SUBSCRIBED[asked] if asked else Subscribed.NOT_ASKED,
            stopped=None if stopped is None else stopped[0],
            away=self._steps.outlet.away,
            llm_shut=isinstance(llm, ChatCompletions) and llm.shut,
        )

    @property
    def token_expires(self) -> int | None:
        """See :class:`~micamsgr.messenger.token_watch.TokenWatch`."""
        return self._watch.expires

    def wake(self, conversations: Iterable[int]) -> None:
        """See :class:`~micamsgr.conversation.dispatcher.Dispatcher`."""
        self._dispatcher.wake(conversations)

    @property
    def paused(self) -> bool:
        """Whether nothing of the Page's is sent now, for whatever reason."""
        return self.stopped is not None

    def _drop(self, service: IService) -> None:
        """
        Let one go; it has nothing under way that must be finished.
        """
        maybeDeferred(service.disownServiceParent)

    def _make_finder(self, bot: Bot) -> PageFinder:
        around, facebook = self._around, bot.facebook
        return PageFinder(
            bot.name,
            around.reactor,
            around.store,
            self._messenger,
            facebook.page_access_token.value,
            around.chance.random,
            facebook.page_id,
        )

    def _make_watch(self, bot: Bot) -> TokenWatch:
        around, facebook = self._around, bot.facebook
        now = around.clocks.now
        return TokenWatch(
            bot.name,
            around.reactor,
            now,
            GraphCalls(
                around.caller.call,
                f"{facebook.graph_url}/{facebook.api_version}",
                lambda: now().wall / 1000.0,
                around.reactor.seconds,
                DEADLINE,
            ),
            facebook.page_access_token.value,
            facebook.secret.value,
            facebook.app_id,
            lambda: self._finder.page,
            around.chance.random,
        )

    def _make_repair(self, bot: Bot) -> Repair:
        around, dispatcher, finder = self._around, self._dispatcher, self._finder
        catch_up = CatchUp(
            bot.name,
            around.reactor,
            around.clocks.now,
            around.store,
            self._messenger,
            self._look_ups,
            self._alias,
            dispatcher.wake,
            dispatcher.hush,
            allow=frozenset(bot.allow),
            handover=bot.handover,
            app=bot.facebook.app_id,
        )
        return Repair(
            bot.name,
            around.reactor,
            around.clocks.now,
            around.store,
            Subscriptions(
                bot.name,
                self._messenger,
                bot.facebook.app_id,
                bot.subscriptions.repair,
                partial(around.subscribed, bot.name),
            ),
            catch_up,
            lambda: finder.page,
            around.chance.random,
        )

    def _make_channel(self, bot: Bot) -> Channel:
        facebook, dispatcher, finder = bot.facebook, self._dispatcher, self._finder
        return Channel(
            bot=bot.name,
            verify_token=facebook.verify_token.value.encode(),
            secret=facebook.secret.value.encode(),
            page=lambda: finder.page,
            reading=lambda: finder.reading,
            allow=frozenset(bot.allow),
            handover=bot.handover,
            app=facebook.app_id,
            alias=self._alias,
            arrived=dispatcher.arrived,
            hush=dispatcher.hush,
            kept=self._repair.kept,
        )

    def _make_steps(self, bot: Bot, texts: bool, outlet: Outlet | None) -> Steps:
        around, facebook = self._around, bot.facebook
        messenger = self._messenger = GraphMessenger(
            around.caller.call,
            f"{facebook.graph_url}/{facebook.api_version}",
            facebook.page_access_token.value,
            facebook.secret.value,
            bot.delivery.deadline,
            around.clocks.correct,
            facebook.mark_seen,
            state=self._token,
        )
        self._assistant = make_assistant(
            around.reactor, around.caller.call, around.chance.random, bot
        )
        return Steps(
            bot.name,
            around.reactor,
            around.clocks.now,
            around.store,
            messenger,
            around.troubled(bot, self._assistant),
            lambda text: split(plain(text), most=MOST),
            around.chance.random,
            around.chance.randbytes,
            self._alias,
            delivery=bot.delivery,
            manners=bot.assistant.manners,
            handover=bot.handover,
            limits=bot.limits,
            slots=self._slots,
            texts=texts,
            look_ups=self._look_ups,
            outlet=outlet,
            ticks=around.clocks.seconds,
        )


def _watched(bot: Bot) -> tuple[object, ...]:
    """
    Give what the look at a bot's token depends on.
    """
    asked = bot.facebook
    root = asked.graph_url, asked.api_version
    return root, asked.page_access_token, asked.secret, asked.app_id


def _repaired(bot: Bot) -> tuple[object, ...]:
    """
    Give what the repair of a bot depends on.
    """
    lookup_rate = bot.delivery.lookup_rate
    return bot.facebook, bot.subscriptions, bot.handover, bot.allow, lookup_rate


def alias_of(bot: Bot) -> Callable[[Psid], str]:
    """
    Name people in the log so that one can tell them apart, but only who knows
    the app secret can find out who they are.
    """
    key = hashlib.sha256(b"log:" + bot.facebook.secret.value.encode()).digest()

    # Of one message several lines tell.
    @lru_cache(maxsize=1024)
    def alias(psid: Psid) -> str:
        return hmac.new(key, psid.encode(), "sha256").hexdigest()[:8]

    return alias


class Bots(Draining):
    """
    All bots.

    :ivar by_name: those that there are.
    """

    def __init__(
        self, around: Surroundings, bots: Iterable[Bot], *, texts: bool
    ) -> None:
        super().__init__(DRAIN)
        self._around = around
        self.by_name: dict[str, RunningBot] = {}
        # Those that only finish what they are at.
        self._leaving: dict[str, RunningBot] = {}
        for bot in bots:
            self.add(bot, texts=texts)

    @property
    def channels(self) -> dict[BotName, Channel]:
        """What the webhook must know, by bot."""
        return {bot.channel.bot: bot.channel for bot in self.by_name.values()}

    def apply(self, changes: BotChanges, bots: Iterable[Bot], *, texts: bool) -> None:
        """
        Make of the bots what another configuration says.

        :param bots: all of that configuration.
        """
        for name in changes.removed:
            self.remove(name)
        for bot in bots:
            if bot.name in changes.added:
                self.add(bot, texts=texts)
            elif bot.name in changes.changed:
                self.by_name[bot.name].change(bot, texts=texts)

    def add(self, bot: Bot, *, texts: bool) -> None:
        """
        Add one, which begins at once if the others have.
        """
        if bot.name in self._leaving:
            # Two of them could work on the same conversation.
            self.by_name[bot.name] = self._leaving.pop(bot.name)
            self.by_name[bot.name].change(bot, texts=texts)
            return
        added = self.by_name[bot.name] = RunningBot(self._around, bot, texts=texts)
        added.setServiceParent(self)

    def remove(self, name: str) -> None:
        """
        Let one finish what it is at, and no more.
        """
        leaving = self._leaving[name] = self.by_name.pop(name)
        leaving.retire().addCallback(lambda _: self._left(name, leaving))

    def _left(self, name: str, left: RunningBot) -> None:
        if self._leaving.get(name) is left:
            del self._leaving[name]
            maybeDeferred(left.disownServiceParent)
