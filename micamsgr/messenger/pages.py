"""
Which Page a bot's token is of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from micamsgr.conversation.events import BotName, PageId
from micamsgr.conversation.interfaces import IStore
from micamsgr.errors import Refused, StoreUnavailable, Unavailable

from .graph import GraphMessenger

# Seconds between two questions: doubled each time, up to the second.
_FIRST_REST = 1.0
_LONGEST_REST = 300.0

_ANY = "any Page that is no other bot's"


@define(eq=False)
class PageFinder(Service):
    """
    Know a bot's Page: from the configuration, else from the Graph API, and
    until that answers from the store.

    The Graph API is asked once at each start, until it answers: so a token of
    another Page is noticed, and our clock is set by Meta's, before anybody
    writes.

    :ivar page: ``None`` while nobody knows; at first, what is configured.
    :ivar _token: whose Page is asked for.
    :ivar _jitter: makes a number from 0.0 to 1.0.
    """

    _bot: BotName
    _clock: IReactorTime
    _store: IStore
    _messenger: GraphMessenger
    _token: str = field(repr=False)
    _jitter: Callable[[], float]
    page: PageId | None

    #: Whether the store is being asked which Page it was.
    reading: bool = field(default=False, init=False)
    #: Whether the token is of another Page than the one that is configured.
    mistaken: bool = field(default=False, init=False)

    _finding: Deferred[None] | None = field(default=None, init=False)

    _log = Logger()

    def startService(self) -> None:
        super().startService()
        self.reading = self.page is None
        looking = self._find() if self.page is None else self._check(self.page)
        self._finding = finding = Deferred.fromCoroutine(looking)
        finding.addErrback(self._failed)

    def stopService(self) -> None:
        super().stopService()
        if self._finding is not None:
            self._finding.cancel()

    async def _check(self, configured: PageId) -> None:
        found = await self._ask()
        self.mistaken = found != configured
        if self.mistaken:
            self._log.error(
                "the token of bot {bot} is of Page {found}, not of {page}: check"
                " facebook.page_access_token and facebook.page_id",
                event="page.mistaken",
                bot=self._bot,
                found=found,
                page=configured,
            )

    async def _find(self) -> None:
        fingerprint = hashlib.sha256(self._token.encode()).hexdigest()
        try:
            self.page = await self._store.remembered_page(self._bot, fingerprint)
        except StoreUnavailable as error:
            self._log.error(
                "can't read the store: {detail}",
                event="store.failed",
                detail=error.detail,
            )
        finally:
            self.reading = False
        found, remembered = await self._ask(), self.page
        if found == remembered:
            return
        self.page = found
        if remembered is None:
            self._log.info(
                "bot {bot} speaks for Page {page}",
                event="page.found",
                bot=self._bot,
                page=found,
            )
        else:
            self._log.warn(
                "bot {bot} speaks for Page {page}, no longer for {remembered}",
                event="page.changed",
                bot=self._bot,
                page=found,
                remembered=remembered,
            )
        try:
            await self._store.remember_page(self._bot, fingerprint, found)
        except StoreUnavailable as error:
            self._log.error(
                "can't write the store: {detail}",
                event="store.failed",
                detail=error.detail,
            )

    async def _ask(self) -> PageId:
        rest = _FIRST_REST
        while True:
            try:
                return await self._messenger.page()
            except (Unavailable, Refused) as error:
                if not self.running:
                    # Canceled; an HTTP call can't say so.
                    raise
                asked_for = getattr(error, "retry_after", None) or 0.0
                self._log.error(
                    "the Graph API does not say which Page bot {bot} speaks for:"
                    " {detail}; until it does, events of {page} are taken",
                    event="page.unknown",
                    bot=self._bot,
                    detail=error.detail,
                    page=f"Page {self.page}" if self.page else _ANY,
                )
            jittered = rest * (0.5 + self._jitter() / 2.0)
            await deferLater(self._clock, max(jittered, asked_for))
            rest = min(_LONGEST_REST, rest * 2.0)

    def _failed(self, failure: Failure) -> None:
        if self.running:
            self._log.failure(
                "a defect, finding the Page of {bot}",
                failure,
                event="defect",
                bot=self._bot,
            )
