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


@define(eq=False)
class PageFinder(Service):
    """
    Know a bot's Page: from the configuration, else from the store, else from
    the Graph API, which is asked until it answers.

    :ivar page: ``None`` while nobody knows.
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

    _finding: Deferred[None] | None = field(default=None, init=False)

    _log = Logger()

    def startService(self) -> None:
        super().startService()
        if self.page is None:
            self._finding = finding = Deferred.fromCoroutine(self._find())
            finding.addErrback(self._failed)

    def stopService(self) -> None:
        super().stopService()
        if self._finding is not None:
            self._finding.cancel()

    async def _find(self) -> None:
        fingerprint = hashlib.sha256(self._token.encode()).hexdigest()
        try:
            self.page = await self._store.remembered_page(self._bot, fingerprint)
        except StoreUnavailable as error:
            self._log.error("can't read the store: {detail}", detail=error.detail)
        if self.page is None:
            self.page = await self._ask()
            self._log.info(
                "bot {bot} speaks for Page {page}", bot=self._bot, page=self.page
            )
            try:
                await self._store.remember_page(self._bot, fingerprint, self.page)
            except StoreUnavailable as error:
                self._log.error("can't write the store: {detail}", detail=error.detail)

    async def _ask(self) -> PageId:
        rest = _FIRST_REST
        while True:
            try:
                return await self._messenger.page()
            except (Unavailable, Refused) as error:
                if not self.running:
                    # Canceled; an HTTP call can't say so.
                    raise
                self._log.error(
                    "can't learn which Page bot {bot} speaks for; until then events"
                    " are believed to be its own: {error!r}",
                    bot=self._bot,
                    error=error,
                )
            await deferLater(self._clock, rest * (0.5 + self._jitter() / 2.0))
            rest = min(_LONGEST_REST, rest * 2.0)

    def _failed(self, failure: Failure) -> None:
        if self.running:
            self._log.failure(
                "a defect, finding the Page of {bot}", failure, bot=self._bot
            )
