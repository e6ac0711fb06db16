"""
What becomes of a token, before a message finds it out.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from micamsgr.conversation.events import BotName, PageId
from micamsgr.conversation.moment import Moment

from .calling import GraphCalls, debug_token
from .graph import appsecret_proof
from .seldom import Seldom
from .token_facts import Outlook, TokenFacts, outlook, read_facts
from .told import Told

#: Seconds for one call.
DEADLINE = 10.0

# Seconds between two looks; and where the token is bad, for it may be good
# again, as after its owner has passed a check of Meta's.
_INTERVAL, _SOONER = 3600.0, 300.0

# Seconds between two lines on the same.
_DAY = 86400.0

_APP = "; give facebook.app_id, where the Graph API does not tell it"
_APPS = ", and if that goes on, facebook.app_id and facebook.secret are to be checked"
_NEW_TOKEN = "put a new one at facebook.page_access_token, and reload"


@define(eq=False)
class TokenWatch(Service):
    """
    Look at a bot's token, as its app: at once, and every hour.

    A look that fails changes nothing of what is known, and stops nothing; it
    is tried again an hour later.

    :ivar _clock: for every wait; usually the reactor.
    :ivar _now: reads the clocks.
    :ivar _token: what is looked at.
    :ivar _secret: the app's.
    :ivar _app: its ID; ``None``: the token is asked for it.
    :ivar _page: asks which Page is the bot's; ``None`` while nobody knows.
    :ivar _jitter: makes a number from 0.0 to 1.0.
    """

    _bot: BotName
    _clock: IReactorTime
    _now: Callable[[], Moment]
    _calls: GraphCalls
    _token: str = field(repr=False)
    _secret: str = field(repr=False)
    _app: str | None
    _page: Callable[[], PageId | None]
    _jitter: Callable[[], float]

    _facts: TokenFacts | None = field(default=None, init=False)
    # Whether the last look failed.
    _failing: bool = field(default=False, init=False)
    _seldom: Seldom = field(init=False)
    _work: Deferred[None] | None = field(default=None, init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._seldom = Seldom(self._clock, _DAY)

    def startService(self) -> None:
        super().startService()
        self._work = Deferred.fromCoroutine(self._look_after_it())
        self._work.addErrback(self._failed)

    def stopService(self) -> None:
        super().stopService()
        if self._work is not None:
            self._work.cancel()

    @property
    def outlook(self) -> Outlook:
        """What is to be expected of the token, by now."""
        now = self._now().wall / 1000.0
        return outlook(self._facts, self._app, self._page(), now)

    @property
    def expires(self) -> int | None:
        """
        When the token does, in seconds since the epoch; ``None``: never, or
        nobody knows.
        """
        return (self._facts.expires or None) if self._facts else None

    async def _look_after_it(self) -> None:
        while self.running:
            try:
                await self._look()
            except CancelledError:
                raise
            except Exception:
                self._log.failure(
                    "a defect, looking at the token of bot {bot}",
                    event="defect",
                    bot=self._bot,
                )
            # An HTTP call does not say that it was canceled.
            if self.running:
                rest = _SOONER if self.outlook.bad else _INTERVAL
                jittered = rest * (0.95 + self._jitter() / 10.0)
                await deferLater(self._clock, jittered)

    async def _look(self) -> None:
        told = await self._ask()
        if not self.running:
            return
        facts = read_facts(told)
        if facts is None:
            self._tell_failing(told)
            return
        self._facts, self._failing = facts, False
        self._tell(self.outlook)

    async def _ask(self) -> Told:
        """
        :return: what ``/debug_token`` told, or why it could not be asked.
        """
        if self._app is None:
            proof = appsecret_proof(self._secret, self._token)
            told = await self._calls.get(
                "app", self._token, fields="id", appsecret_proof=proof
            )
            if told.id is None or not self.running:
                return told
            self._app = told.id
        return await debug_token(self._calls, self._app, self._secret, self._token)

    def _tell_failing(self, told: Told) -> None:
        if self._failing:
            return
        self._failing = True
        known = self._app is not None
        self._log.emit(
            # Without an answer it is told elsewhere, and will pass.
            LogLevel.warn if known and told.spoken else LogLevel.info,
            "whether the token of bot {bot} is about to expire is not known: {detail};"
            " it is asked again{todo}",
            event="token.unknown",
            bot=self._bot,
            detail=told.why,
            todo=_APPS if known else _APP,
        )

    def _tell(self, seen: Outlook) -> None:
        if seen.bad and self._seldom.count("bad"):
            why = "another app's" if seen.other_app else "not valid"
            self._log.error(
                "the token of bot {bot} is {why}, and nothing can be sent: {todo}",
                event="token.invalid",
                bot=self._bot,
                why="expired" if seen.expired else why,
                todo=_NEW_TOKEN,
            )
        if seen.expires is not None and self._seldom.count("expires"):
            self._log.warn(
                "the token of bot {bot} expires in {days:.1f} days; then nothing can"
                " be sent: {todo}",
                event="token.expires",
                bot=self._bot,
                days=seen.expires / _DAY,
                todo=_NEW_TOKEN,
            )
        if seen.access is not None and self._seldom.count("access"):
            self._log.warn(
                "the access to data of the token of bot {bot} has expired: {todo}"
                if seen.access <= 0.0
                else "the access to data of the token of bot {bot} expires in"
                " {days:.1f} days: {todo}",
                event="token.access_expires",
                bot=self._bot,
                days=seen.access / _DAY,
                todo="log in to the app with the account that made the token, and"
                " allow it again",
            )
        if seen.missing and self._seldom.count("missing"):
            self._log.warn(
                "the token of bot {bot} lacks permissions: {missing}; generate it anew"
                " and allow these, for this Page",
                event="token.lacking",
                bot=self._bot,
                missing=", ".join(seen.missing),
            )

    def _failed(self, failure: Failure) -> None:
        if self.running:
            self._log.failure(
                "a defect, looking at the token of bot {bot}",
                failure,
                event="defect",
                bot=self._bot,
            )
