"""
What the center needs of the rooms around it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum

from attrs import field, frozen
from zope.interface import Attribute, Interface

from .assistant import Utterance
from .events import BotName, Conversation, Mid, PageId, Psid
from .limits import Limit
from .missed import Gap, Recollection
from .moment import Moment, Tick
from .outcomes import LookedUp, Outcome
from .parts import Part
from .planner import Situation, Turn
from .policy import Limits
from .reception import Arrival


@frozen(kw_only=True)
class Recorded:
    """
    What came of recording some events.

    :ivar known: the keys of those that were known before.
    :ivar silenced: the keys of those that are not answered since a human talks.
    :ivar erased: the keys of those that are of before their person was
        forgotten.
    :ivar wake: the conversations in which there may be something to do now.
    :ivar takeovers: those in which a human has taken over.
    :ivar doubled: the bots, IDs and traces of parts of which two echoes tell
        that they were said twice.
    :ivar traces: by what the log names what becomes of those that are new, or
        what they are the echoes of; by bot and key.
    :ivar situations: by conversation, how it is in some of those to be woken, so
        that it need not be read.
    """

    known: frozenset[bytes] = frozenset()
    silenced: frozenset[bytes] = frozenset()
    erased: frozenset[bytes] = frozenset()
    wake: tuple[tuple[BotName, int], ...] = ()
    takeovers: tuple[tuple[BotName, int], ...] = ()
    doubled: tuple[tuple[BotName, str, str], ...] = ()
    traces: Mapping[tuple[BotName, bytes], str] = field(factory=dict, eq=False)
    situations: Mapping[int, Situation] = field(factory=dict, eq=False)


@frozen
class Begun:
    """
    A turn for which the assistant is to be asked now.

    :ivar utterances: what was said in the conversation so far, oldest first;
        the last ones are those that want an answer.
    :ivar limit: what is reached, so that the assistant is not to be asked.
    """

    situation: Situation
    turn: Turn
    utterances: tuple[Utterance, ...] = field(repr=False)
    limit: Limit | None = None


class IStore(Interface):
    """
    Everything that must not be forgotten.

    Each method is one transaction: once its result is there, what it did
    survives a loss of power.  Each may raise
    :exc:`~micamsgr.errors.StoreUnavailable`, and then nothing was done, or it
    was done and nobody knows: every change is conditional, so it may be
    tried again.
    """

    async def record(arrivals: Sequence[Arrival], now: Moment) -> Recorded:
        """
        Keep events, each under its key; one that is known changes nothing.
        Known is also what was read from its thread before it was delivered.

        An echo settles the part that it is of.  A human's silences the bot
        and withdraws what was not sent yet.
        """

    async def waiting(bot: BotName, after: int, limit: int) -> Sequence[int]:
        """
        List conversations with unfinished business, by ID, from *after* on.

        :return: at most *limit* IDs, ascending.
        """

    async def situation(conversation: int) -> Situation:
        """
        Read a conversation's unfinished business.
        """

    async def begin(
        conversation: int,
        history: int,
        limits: Limits,
        estimate: Callable[[Sequence[Utterance]], int],
        now: Moment,
    ) -> Begun | None:
        """
        Take up the turn that is open; or, where there is none, open one over
        all the pending events.  It is then ``generating``, and what it may
        cost is set aside, if the limits allow.

        :param history: the most utterances to return beside the turn's own.
        :param estimate: counts the tokens that a reply may cost at most; may
            be called in another thread.

        :return: ``None`` where there is nothing to answer.
        """

    async def open(conversation: int) -> Situation:
        """
        Open a turn over all the pending events, if none is open; it is then
        ``ready``.
        """

    async def apologize(turn: Turn, part: Part) -> Situation:
        """
        Add an apology to a turn for which there is no answer yet, once.

        :param part: may be ``sending`` already.
        """

    async def park(turn: Turn, rest: Tick, why: str, tokens: int) -> Situation:
        """
        Let a turn that is ``generating`` rest until *rest*.

        :param why: there is no answer yet.
        :param tokens: what was spent.
        """

    async def compose(
        turn: Turn, text: str, parts: Sequence[Part], tokens: int, now: Moment
    ) -> Situation:
        """
        Freeze the answer of a turn that is ``generating``: its events are
        done, the history goes on, its parts exist.

        :param parts: in order; the first one may be ``sending`` already.
        """

    async def fail(
        turn: Turn,
        reason: str,
        notice: Part,
        now: Moment,
        tokens: int | None,
        farewell: bool = False,
    ) -> Situation:
        """
        Give up a turn: its events are dead, and the person gets *notice*.

        :param tokens: what was spent since the turn was taken up; ``None``:
            what was set aside for it, as where a call was cut off.
        :param farewell: the thread is to be passed on after *notice*, which is
            remembered until :meth:`passed_on`.
        """

    async def passed_on(conversation: int) -> Situation:
        """
        Note that a thread was passed on.
        """

    async def refuse(turn: Turn, limit: Limit, notice: Part, now: Moment) -> Situation:
        """
        Give up a turn since a limit is reached; the person gets *notice* once
        in the time for which the limit holds.
        """

    async def lapse(situation: Situation, reason: str) -> Situation:
        """
        Give up, in silence, the turn that is open, or else the events that
        wait for one; unless the person was heard of since *situation*.
        """

    async def change(before: Part, after: Part) -> Situation:
        """
        Put *after* in the place of *before*, if that is still its state.

        If an answer's part ends other than sent, those behind it expire; with
        the last part the turn closes.
        """

    async def take_over(conversation: int, until: int) -> Situation:
        """
        Let the bot be quiet in a conversation, and withdraw what it was about
        to say, since somebody else has the thread.

        :param until: milliseconds, by Meta's clock.
        """

    async def claimed(mids: Collection[Mid], part: str) -> frozenset[Mid]:
        """
        Say which *mids* are known to be of parts other than *part*.
        """

    async def interrupted(
        bot: BotName,
        now: Moment,
        since: int | None = None,
        floor: int | None = None,
        before: int | None = None,
    ) -> Gap:
        """
        Keep that something may have been missed, until :meth:`repaired`; of
        several such times, the earliest counts.

        :param since: from when on, in milliseconds by Meta's clock; ``None``:
            since the last event that was delivered.
        :param floor: nothing older is ever to be looked at.
        :param before: what came at this time, in milliseconds, or later is not
            that last event; ``None``: whatever came may be.
        """

    async def lacked(bot: BotName, now: Moment) -> None:
        """
        Keep that Meta was found not to tell of all that the bot needs, until
        :meth:`told`.
        """

    async def told(bot: BotName, now: Moment, at: int | None) -> Gap | None:
        """
        Keep that Meta was found to tell of all that the bot needs.

        Where it was not so meanwhile, something may have been missed since it
        was last found so; which is kept as by :meth:`interrupted`.

        :param at: when, in milliseconds by Meta's clock; ``None``: nobody
            knows.

        :return: what is not :meth:`repaired`, if anything.
        """

    async def repaired(bot: BotName, gap: Gap) -> None:
        """
        Keep that nothing is missed any more, unless something may have been
        missed since longer than that.
        """

    async def recollect(
        bot: BotName, page: PageId, psid: Psid, since: int
    ) -> Recollection:
        """
        Read what is known of a conversation.

        :param since: from when on, in milliseconds by Meta's clock.
        """

    async def record_missed(
        bot: BotName,
        page: PageId,
        psid: Psid,
        since: int,
        judge: Callable[[Recollection], Sequence[Arrival]],
        now: Moment,
    ) -> tuple[Sequence[Arrival], Recorded]:
        """
        Keep what was missed in a conversation, judged by what is known of it
        at that moment.

        :param since: as for :meth:`recollect`.
        :param judge: says what was missed; may be called in another thread.

        :return: what was missed, and what :meth:`record` returns of it.
        """

    async def ids_agree(bot: BotName) -> bool:
        """
        Say whether it was proved that the IDs of messages in threads are those
        of webhooks.
        """

    async def note_ids_agree(bot: BotName) -> None:
        """
        Keep that it is proved.
        """

    async def remembered_page(bot: BotName, token: str) -> PageId | None:
        """
        Read the Page that *token* (a fingerprint of it) was found to be of.
        """

    async def remember_page(bot: BotName, token: str, page: PageId) -> None:
        """
        Keep the Page that *token* (a fingerprint of it) is of.
        """


class Presence(Enum):
    """
    What a person may see of the bot beside its words.
    """

    SEEN = "seen"
    TYPING = "typing"


class IMessenger(Interface):
    """
    One Page's way to the people who write to it.
    """

    pressed = Attribute(
        "Called with a :class:`~.pacing.Pressure` whenever an answer, to whatever"
        " was asked, tells how near a limit is; set by who sends."
    )

    async def send(conversation: Conversation, text: str, metadata: str) -> Outcome:
        """
        Try once to send a message.

        :param text: 1 to 2,000 UTF-16 units.
        :param metadata: comes back in the message's echo.

        :return: what came of it; nothing is raised.
        """

    async def look_up(conversation: Conversation) -> LookedUp:
        """
        Read the Page's own among the newest messages of a conversation.

        :raises Unavailable: for now.
        :raises Refused: for good, as where a permission is missing.
        """

    async def pass_on(conversation: Conversation, app: str) -> None:
        """
        Pass a thread to another app, such as the Page's inbox, as far as it
        goes: nothing is raised.
        """

    async def show(conversation: Conversation, presence: Presence) -> None:
        """
        Let the person see that we read, or write; as far as it goes: nothing
        is raised.
        """
