"""
What a thread shows that nobody delivered, as after an outage; and what becomes
of it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from attrs import evolve, field, frozen

from .events import BotName, Echo, Mid, PageId, Psid, Said
from .moment import Moment
from .parts import same_words
from .planner import WINDOW
from .policy import Handover
from .reception import INSTANT, Arrival, arrival
from .states import EventState

# Within so many milliseconds the same words of the same person are the same
# message, where its ID does not tell.
NEAR = 5000

# So many milliseconds before an interruption are read again: what came last
# need not have been sent last.
OVERLAP = 10 * 60 * 1000

# So many milliseconds before that, what is known is compared.
COMPARED = 24 * 3600 * 1000

# What the bot said since then is surely among what is known, since it answered
# something that was said in the time that is compared.
_REMEMBERED = COMPARED - 3600 * 1000

# A thread in which nobody wrote for so many milliseconds is opened anew.
_IDLE = 24 * 3600 * 1000

LATER = "backfill: the Page has written since"
SPOKEN_SINCE = "backfill: the bot has written since"
NO_TEXT = "backfill: without text"
NO_TIME = "backfill: without a time"
TWICE = "backfill: the same words are known from then"
OVERTAKEN = "backfill: a later message was delivered"
TOO_OLD = "backfill: window"
HUMAN = "human"


@frozen(kw_only=True)
class Gap:
    """
    A time in which something may have been missed.

    :ivar since: its beginning, in milliseconds by Meta's clock.
    :ivar floor: what is older is not looked at: the first start of all.
    :ivar page: the Page of the last event before it, where that is known.
    :ivar first: there was nothing before.
    """

    since: int
    floor: int = 0
    page: PageId | None = None
    first: bool = False

    @property
    def begins(self) -> int:
        """From when on messages are looked at, in milliseconds."""
        return max(self.since - OVERLAP, self.floor)


@frozen(kw_only=True)
class Message:
    """
    A message as its thread shows it.

    :ivar key: that of the event that would have told of it.
    :ivar at: milliseconds, by Meta's clock; whole seconds.  ``None`` where it
        can't be read.
    :ivar text: empty where there are only attachments.
    :ivar by_page: the Page wrote it.
    """

    key: bytes
    mid: Mid
    at: int | None
    text: str = field(repr=False)
    by_page: bool = False


@frozen
class Heard:
    """
    Something that a person is known to have said.

    :ivar mid: ``None``: it has none.
    :ivar at: milliseconds, by Meta's clock.
    :ivar text: ``None`` where it was not kept.
    """

    mid: Mid | None
    at: int
    text: str | None = field(repr=False)


@frozen(kw_only=True)
class Recollection:
    """
    What is known of a conversation, of the time that is compared.

    :ivar heard: what the person said.
    :ivar ours: IDs of our own messages.
    :ivar our_words: the texts of these.
    :ivar theirs: IDs of what others said for the Page.
    :ivar their_words: what of it is in the history.
    :ivar delivered: IDs that webhooks or the Send API gave.
    :ivar quiet_until: until when the bot is quiet, in milliseconds.
    :ivar erased: what is no younger was erased, in milliseconds; 0: nothing.
    """

    heard: tuple[Heard, ...] = ()
    ours: frozenset[Mid] = frozenset()
    our_words: tuple[str, ...] = field(default=(), repr=False)
    theirs: frozenset[Mid] = frozenset()
    their_words: tuple[Heard, ...] = field(default=(), repr=False)
    delivered: frozenset[Mid] = frozenset()
    quiet_until: int = 0
    erased: int = 0


def bare(mid: str) -> str:
    """
    Leave out of an ID what the Conversations API once did: ``m_``.
    """
    return mid.removeprefix("m_")


def agree(messages: Sequence[Message], known: Recollection) -> bool:
    """
    Say whether a thread proves that its IDs are those of webhooks, which Meta
    promises nowhere.
    """
    delivered = {bare(mid) for mid in known.delivered}
    return any(bare(message.mid) in delivered for message in messages)


def missed(
    messages: Sequence[Message],
    known: Recollection,
    *,
    bot: BotName,
    page: PageId,
    psid: Psid,
    gap: Gap,
    resumed: int,
    agreed: bool,
    now: Moment,
    allow: Collection[str] = (),
    handover: Handover,
    app: str | None = None,
) -> tuple[Arrival, ...]:
    """
    Decide what of a thread was missed, and what becomes of it.

    Answered is only what is surely new, within Meta's window, and what neither
    the Page has written after nor a message followed that is known: answers
    leave in order.  All else is kept, and ends at once, with a reason.

    :param messages: the newest of one person's thread, oldest first.
    :param resumed: when the interruption was over, in milliseconds.  What the
        bot said after that answers only what it knew then.
    :param agreed: it is proved that IDs are those of webhooks.

    :return: in the order of the thread.
    """
    heard = _Heard(messages, known, agreed)
    doubts = [None if it.by_page else heard.doubt(it) for it in messages]
    found: list[Arrival] = []
    quiet = known.quiet_until
    for place, message in enumerate(messages):
        at = now.wall if message.at is None else message.at
        new = gap.begins <= at and at > known.erased
        if message.by_page:
            if message.at is None or _is_ours(message, known):
                continue
            echo = _echo(message, message.at, bot, page, psid, now, handover)
            if _is_instant(messages, place, at):
                echo = evolve(echo, human=False)
            if echo.human and at > gap.begins - _REMEMBERED:
                quiet = 0 if echo.wake else max(quiet, at + int(echo.quiet * 1000))
            if new and not _is_known(message, known):
                found.append(echo)
            continue
        doubt = doubts[place]
        if not new or doubt is _KNOWN:
            continue
        event = Said(
            key=message.key,
            page=page,
            psid=psid,
            at=at,
            kind="message",
            mid=message.mid,
            text=message.text or "[something without text]",
        )
        taken = arrival(
            event, bot=bot, ours=True, now=now, allow=allow, handover=handover, app=app
        )
        taken = evolve(taken, backfilled=True)
        if taken.state is EventState.NEW:
            if _KNOWN in doubts[place:]:
                doubt = OVERTAKEN
            later = messages[place + 1 :]
            if _bot_wrote(later, known, resumed):
                doubt = doubt or SPOKEN_SINCE
            taken = _judge(taken, doubt, _others_wrote(later, known), at < quiet, now)
        found.append(taken)
    return tuple(found)


def _judge(
    taken: Arrival, doubt: str | None, later: bool, quiet: bool, now: Moment
) -> Arrival:
    assert isinstance(taken.event, Said)
    if later:
        return evolve(taken, state=EventState.IGNORED, reason=LATER)
    if quiet:
        return evolve(taken, state=EventState.IGNORED, reason=HUMAN)
    if now.sure and now.wall - taken.event.at > WINDOW:
        return evolve(taken, state=EventState.DEAD, reason=TOO_OLD)
    if doubt is not None:
        return evolve(taken, state=EventState.DEAD, reason=doubt)
    return taken


def _echo(
    message: Message,
    at: int,
    bot: BotName,
    page: PageId,
    psid: Psid,
    now: Moment,
    handover: Handover,
) -> Arrival:
    event = Echo(
        key=message.key,
        page=page,
        psid=psid,
        at=at,
        mid=message.mid,
        text=message.text,
    )
    taken = arrival(event, bot=bot, ours=True, now=now, handover=handover)
    return evolve(taken, backfilled=True)


def _is_instant(messages: Sequence[Message], place: int, at: int) -> bool:
    """
    Say whether the Page's message is Meta's own reply to the one before, which
    opened the conversation.
    """
    *early, opener = messages[max(0, place - 2) : place] or [messages[place]]
    if opener.by_page or opener.at is None or not 0 <= at - opener.at <= INSTANT:
        return False
    return not early or (early[0].at or 0) < opener.at - _IDLE


def _is_ours(message: Message, known: Recollection) -> bool:
    mid = bare(message.mid)
    return any(mid == bare(ours) for ours in known.ours) or any(
        same_words(text, message.text) for text in known.our_words
    )


def _is_known(message: Message, known: Recollection) -> bool:
    """
    Say whether what somebody else said for the Page is known.
    """
    mid, at = bare(message.mid), message.at
    return any(mid == bare(theirs) for theirs in known.theirs) or any(
        at is not None
        and abs(words.at - at) <= NEAR
        and same_words(words.text or "", message.text)
        for words in known.their_words
    )


def _others_wrote(later: Sequence[Message], known: Recollection) -> bool:
    return any(it.by_page and not _is_ours(it, known) for it in later)


def _bot_wrote(later: Sequence[Message], known: Recollection, resumed: int) -> bool:
    return any(
        it.by_page
        and _is_ours(it, known)
        and (it.at is None or it.at < resumed // 1000 * 1000)
        for it in later
    )


# What :meth:`_Heard.doubt` gives for what is known.
_KNOWN = "known"


class _Heard:
    """
    What a person is known to have said, less what was found in the thread.
    """

    def __init__(
        self, messages: Sequence[Message], known: Recollection, agreed: bool
    ) -> None:
        shown = {bare(message.mid) for message in messages}
        self._mids = {bare(it.mid) for it in known.heard if it.mid is not None}
        # Where IDs are comparable, another ID is another message.
        self._left = [
            it
            for it in known.heard
            if it.mid is None or (bare(it.mid) not in shown and not agreed)
        ]
        self._found: list[Heard] = []

    def doubt(self, message: Message) -> str | None:
        """
        Say why a message may be known; ``None``: it is surely new.

        To be asked of each message once, in their order.
        """
        if bare(message.mid) in self._mids:
            return _KNOWN
        if message.at is None:
            return NO_TIME
        alike = [it for it in self._left if _alike(it, message, message.at)]
        if alike:
            # The one that is nearest.
            at = message.at
            nearest = min(alike, key=lambda it: abs(it.at - at))
            self._left.remove(nearest)
            self._found.append(nearest)
            return _KNOWN
        if not message.text.strip():
            return NO_TEXT
        if any(_alike(it, message, message.at) for it in self._found):
            return TWICE
        return None


def _alike(heard: Heard, message: Message, at: int) -> bool:
    if abs(heard.at - at) > NEAR:
        return False
    if heard.text is None:
        return True
    if not message.text.strip():
        # What came with a message stands in brackets.
        return heard.text.startswith("[") or "\n[" in heard.text
    words, _, _ = heard.text.partition("\n[")
    return same_words(heard.text, message.text) or same_words(words, message.text)
