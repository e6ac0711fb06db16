"""
What becomes of an event when it arrives, as far as the event itself, the
configuration and the time decide.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from attrs import frozen

from .events import (
    BotName,
    Control,
    Echo,
    Event,
    Other,
    PageId,
    Psid,
    Said,
    Unreadable,
)
from .moment import Moment
from .policy import Handover
from .states import EventState

# An event this old is kept and not answered.  Keys of events are kept longer,
# so a webhook that somebody replays is either known or too old.
STALE = 48 * 3600 * 1000

# Meta's own instant replies follow the message that opens a conversation
# within so many milliseconds; they are no human's.
INSTANT = 3000

# The apps as which a human in Meta's inboxes sends.  Meta's documents give the
# first with 14 digits in one place and with 15 in another.
# Source: docs/messenger-platform.md, sections 3.2 and 9.
INBOXES = frozenset({"263902037430900", "26390203743090", "1217981644879628"})

# These open Meta's 24-hour window without asking for an answer.
# Source: docs/messenger-platform.md, section 6.
_OPENERS = frozenset({"reaction", "referral"})


@frozen(kw_only=True)
class Arrival:
    """
    An event, on its way into the store.

    :ivar bot: whose it is.
    :ivar state: NEW if it wants an answer, otherwise how it ends at once.
    :ivar reason: why it ends so.
    :ivar opens: it opens Meta's 24-hour window.
    :ivar human: it tells that a human, or another app, has taken over; an
        echo only unless it turns out to be our own.
    :ivar quiet: for how many seconds the bot is then quiet.
    :ivar wake: it ends the quiet instead.
    :ivar backfilled: it was read from the thread; nobody delivered it.
    """

    bot: BotName
    event: Event
    state: EventState
    reason: str | None = None
    opens: bool = False
    human: bool = False
    quiet: float = 0.0
    wake: bool = False
    backfilled: bool = False


def arrival(
    event: Event,
    *,
    bot: BotName,
    ours: bool,
    now: Moment,
    allow: Collection[str] = (),
    handover: Handover,
    app: str | None = None,
) -> Arrival:
    """
    Decide what becomes of *event*.

    :param ours: the event's Page is the bot's.
    :param allow: if not empty, only these people are answered.
    :param app: the ID of the bot's app, where it is known.
    """

    def ignored(reason: str, *, opens: bool = False) -> Arrival:
        return Arrival(
            bot=bot,
            event=event,
            state=EventState.IGNORED,
            reason=reason,
            opens=opens,
        )

    if isinstance(event, Unreadable):
        return Arrival(bot=bot, event=event, state=EventState.DEAD, reason="unreadable")
    if not ours:
        return ignored("other page")
    if isinstance(event, Control):
        return Arrival(
            bot=bot,
            event=event,
            state=EventState.IGNORED,
            reason=event.kind,
            human=handover.quiet > 0.0,
            quiet=handover.quiet,
            wake=_passed_to_us(event, app),
        )
    if isinstance(event, Other):
        return ignored(event.kind, opens=event.kind in _OPENERS)
    if isinstance(event, Echo):
        return Arrival(
            bot=bot,
            event=event,
            state=EventState.IGNORED,
            reason="echo",
            human=handover.quiet > 0.0 and _by_human(event, handover),
            quiet=handover.quiet,
            wake=handover.wake is not None
            and event.text.strip().casefold() == handover.wake.casefold(),
        )
    return _said(event, bot, ignored, now, allow)


def _said(
    event: Said,
    bot: BotName,
    ignored: Callable[..., Arrival],
    now: Moment,
    allow: Collection[str],
) -> Arrival:
    if event.standby:
        return ignored("standby", opens=True)
    if now.sure and now.wall - event.at > STALE:
        return ignored("stale")
    if allow and event.psid not in allow:
        return ignored("not allowed", opens=True)
    return Arrival(bot=bot, event=event, state=EventState.NEW, opens=True)


def _by_human(echo: Echo, handover: Handover) -> bool:
    if handover.by == "any":
        return True
    if handover.by == "inbox":
        return echo.app_id is None or echo.app_id in INBOXES
    return echo.app_id is not None and echo.app_id in handover.by


def _passed_to_us(control: Control, app: str | None) -> bool:
    """
    Say whether the thread is ours from now on.

    A pass goes to the new owner, a take to the app that lost the thread, a
    request to the one that has it.  Older payloads don't name the owner.

    Source: docs/messenger-platform.md, section 3.10.
    """
    if control.owner is None or app is None:
        return control.kind == "pass_thread_control" and control.owner not in INBOXES
    return control.kind != "request_thread_control" and control.owner == app


def heard(taken: Arrival, now: Moment) -> int:
    """
    Say when the person acted in a way that opens Meta's window, in milliseconds
    by Meta's clock; 0: this is none such.
    """
    # A time in the future would hold the window open for too long.
    at = min(taken.event.at, now.wall) if now.sure else taken.event.at
    return at if taken.opens else 0


def received(event: Event, now: Moment) -> int:
    """
    Say when an event came that has just come, in milliseconds by Meta's clock.
    """
    # Until Meta's clock has been heard of, ours may be days behind; a turn that
    # seems to have begun days ago would fail at the assistant's first error.
    return now.wall if now.sure else max(now.wall, event.at)


def person(event: Event) -> tuple[PageId, Psid] | None:
    """
    Name the conversation that an event belongs to, if it belongs to one.
    """
    if isinstance(event, Unreadable) or event.psid is None:
        return None
    return event.page, event.psid


def quiet_until(taken: Arrival, opened: int, now: Moment) -> int | None:
    """
    Decide until when the bot is quiet after what a human, or another app, did.

    :param opened: when the message came that opened the conversation, in
        milliseconds by Meta's clock.

    As long as nobody knows what time it is for Meta, it was said just now.

    :return: milliseconds, by Meta's clock; 0 ends the quiet.  ``None`` where
        the event changes nothing: it is no human's, or came so late that the
        bot would be awake again by now.
    """
    event = taken.event
    instant = isinstance(event, Echo) and 0 <= event.at - opened <= INSTANT
    if not taken.human or instant:
        return None
    if taken.wake:
        return 0
    wall = now.wall if now.sure else event.at
    until = min(event.at, wall) + int(taken.quiet * 1000)
    return until if until > wall else None
