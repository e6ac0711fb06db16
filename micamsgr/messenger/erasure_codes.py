"""
Codes that people write to a Page to be erased there.

Source: docs/messenger-platform.md, section 11.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, evolve, frozen
from twisted.logger import Logger

from micamsgr.conversation.deletion import Deletions, Progress, code_in
from micamsgr.conversation.events import Psid, Said
from micamsgr.conversation.reception import Arrival
from micamsgr.conversation.states import EventState


@frozen(kw_only=True)
class Asking:
    """
    Somebody who wrote the code of a request.
    """

    bot: str
    psid: Psid
    at: int
    code: str


@define(eq=False)
class ErasureCodes:
    """
    Find the codes of requests in what people write.

    Whoever writes one has only their own words erased.
    """

    _deletions: Deletions

    _log = Logger()

    async def heed(self, arrivals: list[Arrival]) -> list[Asking]:
        """
        Find those who write a code.  Nobody answers it: the arrivals are
        changed where they stand.

        :raises StoreUnavailable: where nobody can say what is one.
        """
        found = []
        for place, taken in enumerate(arrivals):
            event = taken.event
            if not isinstance(event, Said) or taken.reason == "other page":
                continue
            code = code_in(event.text)
            if code is None or not await self._deletions.look_up(code, taken.bot):
                continue
            if taken.state is EventState.NEW:
                arrivals[place] = evolve(
                    taken, state=EventState.IGNORED, reason="erasure"
                )
            found.append(Asking(bot=taken.bot, psid=event.psid, at=event.at, code=code))
        return found

    async def claim(self, asking: list[Asking], alias: Callable[[Asking], str]) -> None:
        """
        Have them erased; durably, as soon as this is over.

        :param alias: names somebody in the log, where an operator finds whom to
            erase again after going back to an old copy of the store.

        :raises StoreUnavailable: where that can't be kept.
        """
        for it in asking:
            deletion = await self._deletions.claim(it.code, it.bot, it.psid, it.at)
            if deletion is not None and deletion.progress is Progress.UNDER_WAY:
                self._log.info(
                    "bot {bot}: {person} is to be erased, as they ask through Facebook",
                    event="erasure.begun",
                    bot=it.bot,
                    person=alias(it),
                )
