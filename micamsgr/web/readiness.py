"""
Whether the daemon can do its work: what is known, and what follows from it.

Only what the daemon knows anyway is looked at, so that the question costs
nothing and may be asked every second.  What is said are fixed words: no error
of anybody else's, which might hold what must not be shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

from attrs import frozen

#: The longest that the oldest event may wait for its answer, in seconds.  An
#: LLM may take 60, and its turn may be put off once.
LONGEST_WAIT = 120.0

#: A certificate that expires sooner is warned of, in seconds.
SOON = 7 * 86400.0

#: Less room than this on the store's disk is warned of, in bytes.
LITTLE = 1 << 30

#: By how many seconds this machine's clock may differ from Meta's before that
#: is warned of.
OFF = 60.0

_LOG = "the log says why"

_NEW_TOKEN = (
    "generate a new token at developers.facebook.com, Messenger, put it into"
    " facebook.page_access_token, and reload the daemon"
)
_LASTING = "one made from a long-lived user token does not expire"


class Status(Enum):
    """
    Of these only FAILED means that the daemon is not ready.

    WARNING: it is well, and will not stay so.  UNKNOWN: nobody has found out
    yet, or it can't be found out; the daemon works all the same.
    """

    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"
    FAILED = "failed"


class Subscribed(Enum):
    """
    Whether Meta tells the app what happens on a Page; NOT_SAID: it was asked,
    and does not say.
    """

    YES = "yes"
    NO = "no"
    NOT_SAID = "not said"
    NOT_ASKED = "not asked"


@frozen(kw_only=True)
class BotFacts:
    """
    What is known of a bot.

    :ivar token: whether the Graph API took the token the last time; ``None``
        where it was not asked since the start, or since there is this one.
    :ivar unproved: whether it refused the proof of the app's secret the last
        time.
    :ivar other_page: whether the token is of another Page than configured.
    :ivar refused: whether the Graph API refused the Page as such, as where a
        permission is missing, and nothing got through since.
    :ivar other_app: whether the token is of another app than asked about it,
        *expired* whether its time is over, *invalid* whether it is not valid
        for whatever other reason, so far as the app was told.
    :ivar expires: in how many seconds the token does; ``None`` where that is
        not soon, or not known.
    :ivar access: in how many seconds its access to data does, or has done, then
        0 or less; likewise.
    :ivar missing: the permissions that it lacks, by Meta's names.
    :ivar stopped: for how many seconds nothing is sent; ``None``: it is.
    :ivar away: whether that is since the Graph API was not reached.
    :ivar llm_shut: whether each of its LLM's endpoints is left alone.
    """

    bot: str
    token: bool | None = None
    unproved: bool = False
    other_page: bool = False
    refused: bool = False
    other_app: bool = False
    expired: bool = False
    invalid: bool = False
    expires: float | None = None
    access: float | None = None
    missing: Sequence[str] = ()
    subscribed: Subscribed = Subscribed.NOT_ASKED
    stopped: float | None = None
    away: bool = False
    llm_shut: bool = False


@frozen(kw_only=True)
class Facts:
    """
    What is known of the daemon.

    :ivar serving: whether it listens, and is not about to stop.
    :ivar stuck: why nobody can tell that the store's thread lives; ``None``
        where it does.
    :ivar store: why the store takes nothing new; ``None`` where it does.
    :ivar expires: in how many seconds the certificate does, of several the
        first to; ``None`` without TLS.
    :ivar oldest: since how many seconds the oldest event has no answer; 0
        where there is none, ``None`` where that is not known.
    :ivar free: how many bytes are free on the store's disk; ``None``: not known.
    :ivar ahead: by how many seconds this machine's clock is ahead of Meta's;
        ``None`` where that is not known.
    """

    serving: bool
    stuck: str | None
    store: str | None
    expires: float | None
    oldest: float | None
    bots: Sequence[BotFacts]
    free: int | None = None
    ahead: float | None = None


@frozen
class Check:
    """
    One thing that has to be well.

    :ivar bot: whose; ``None`` where it is the whole daemon's.
    :ivar means: what is the case.
    :ivar todo: what to do about it; empty where that is nothing.
    """

    name: str
    bot: str | None
    status: Status
    means: str
    todo: str = ""

    @property
    def ok(self) -> bool:
        """Whether the daemon is ready, for all that this tells."""
        return self.status is not Status.FAILED


def readiness(facts: Facts) -> tuple[Check, ...]:
    """
    List what has to be well, and whether it is; in the same order each time.
    """
    return (
        Check("serving", None, *_serving(facts)),
        Check("store", None, *_store(facts)),
        *_certificate(facts),
        Check("clock", None, *_clock(facts)),
        Check("backlog", None, *_backlog(facts)),
        *(check for bot in facts.bots for check in _bot(bot)),
    )


_Said = tuple[Status, str, str]


def _serving(facts: Facts) -> _Said:
    if facts.serving:
        return Status.OK, "deliveries are taken", ""
    return (
        Status.FAILED,
        "the daemon is stopping: what is in flight finishes, nothing new is taken",
        "wait for its next start; Meta delivers again what it could not",
    )


def _store(facts: Facts) -> _Said:
    if facts.stuck is not None:
        return (
            Status.FAILED,
            f"the store's thread can't be told to live: {facts.stuck}",
            "look at the disk, and restart the daemon if that is well; nothing is lost",
        )
    if facts.store is not None:
        return (
            Status.FAILED,
            f"deliveries are answered 503: {facts.store}",
            f"make room, or mend the disk; {_LOG}, and docs/disk.md what follows",
        )
    if facts.free is not None and facts.free < LITTLE:
        return (
            Status.WARNING,
            f"{facts.free >> 20} MiB are free on the disk: when it is full, deliveries"
            " are answered 503",
            "make room on the disk, or shorten retention",
        )
    return Status.OK, "what is delivered can be kept", ""


def _certificate(facts: Facts) -> Iterator[Check]:
    left = facts.expires
    if left is None:
        return
    said = Status.OK, f"valid for {left / 86400:.0f} more days", ""
    todo = "renew it, and find out why that did not happen by itself"
    if left <= 0.0:
        said = Status.FAILED, "expired: Meta delivers nothing to its names", todo
    elif left < SOON:
        said = Status.WARNING, f"expires in {left / 86400:.1f} days", todo
    yield Check("certificate", None, *said)


def _clock(facts: Facts) -> _Said:
    if facts.ahead is None:
        return (
            Status.UNKNOWN,
            "what time it is for Meta is not known yet",
            "nothing, if this was the start; else see whether the Graph API can be"
            " reached",
        )
    if abs(facts.ahead) > OFF:
        return (
            Status.WARNING,
            f"this machine's clock is {abs(facts.ahead):.0f} s"
            f" {'ahead of' if facts.ahead > 0 else 'behind'} Meta's, which is used"
            " instead",
            "set it right, and keep it so: `timedatectl set-ntp true`",
        )
    return Status.OK, "this machine's clock agrees with Meta's", ""


def _backlog(facts: Facts) -> _Said:
    if facts.oldest is None:
        return (
            Status.UNKNOWN,
            "how long people wait is not known: the store was not read for a while",
            f"nothing, if this was the start; else {_LOG}",
        )
    if facts.oldest < LONGEST_WAIT:
        return Status.OK, f"nobody waits longer than {LONGEST_WAIT:.0f} s", ""
    return (
        Status.FAILED,
        f"somebody waits for an answer since {facts.oldest:.0f} s",
        f"see what else is not well here, warnings, too; {_LOG}",
    )


def _bot(facts: BotFacts) -> Iterator[Check]:
    yield Check("token", facts.bot, *_token(facts))
    yield Check("subscribed", facts.bot, *_SUBSCRIBED[facts.subscribed])
    yield Check("sending", facts.bot, *_sending(facts))
    yield Check("llm", facts.bot, *_llm(facts))


def _token(facts: BotFacts) -> _Said:
    if facts.expired:
        return (
            Status.FAILED,
            "the token has expired: nothing can be sent",
            f"{_NEW_TOKEN}; {_LASTING}",
        )
    if facts.other_app:
        return (
            Status.FAILED,
            "the token is another app's than facebook.app_id: the proof and the"
            " signatures don't fit, and nothing is sent or taken",
            "take app_id, secret and token from one and the same app",
        )
    if facts.token is False:
        return (
            Status.FAILED,
            "the Graph API refuses the token: nothing can be sent",
            "put a good one at facebook.page_access_token, and reload",
        )
    if facts.unproved:
        return (
            Status.FAILED,
            "the Graph API refuses the proof made with facebook.secret: nothing can be"
            " sent",
            "copy the app secret from developers.facebook.com, App settings, Basic, to"
            " facebook.secret, and reload",
        )
    if facts.other_page:
        return (
            Status.FAILED,
            "the token is of another Page than facebook.page_id names",
            "correct facebook.page_access_token or facebook.page_id, and reload",
        )
    if facts.invalid:
        return (
            Status.FAILED,
            "the token is not valid: nothing can be sent",
            f"{_NEW_TOKEN}; a changed password or a lost role on the Page ends a token",
        )
    if facts.refused:
        return (
            Status.FAILED,
            "the Graph API refuses what the Page sends: nothing is sent but to try",
            f"check the app's permissions and the Page's Support Inbox; {_LOG}",
        )
    warnings = list(_token_warnings(facts))
    if warnings:
        means, todo = ("; ".join(it) for it in zip(*warnings, strict=True))
        return Status.WARNING, means, todo
    if facts.token is None:
        return (
            Status.UNKNOWN,
            "the Graph API has not said whether the token is good",
            "nothing, if this was the start; else see whether it can be reached",
        )
    return Status.OK, "the Graph API takes the token", ""


def _token_warnings(facts: BotFacts) -> Iterator[tuple[str, str]]:
    """
    Say what will come of the token, and what to do.
    """
    if facts.expires is not None:
        yield (
            f"the token expires in {facts.expires / 86400:.1f} days: then nothing can"
            " be sent",
            f"{_NEW_TOKEN}; {_LASTING}",
        )
    if facts.missing:
        yield (
            f"the token lacks {', '.join(facts.missing)}",
            "generate the token anew and allow that for this Page; the public needs"
            " Advanced Access",
        )
    if facts.access is not None:
        left = f"expires in {facts.access / 86400:.1f} days"
        yield (
            "the token's access to data"
            f" {'has expired' if facts.access <= 0.0 else left}",
            "log in to the app with the account that made the token, and allow it"
            " again",
        )


_SUBSCRIBED: dict[Subscribed, _Said] = {
    Subscribed.YES: (Status.OK, "Meta tells the bot what it needs to know", ""),
    Subscribed.NO: (
        Status.FAILED,
        "Meta does not tell the bot what people write",
        "subscribe the app to the Page, or let subscriptions.repair be true",
    ),
    Subscribed.NOT_SAID: (
        Status.UNKNOWN,
        "the Graph API does not say whether the app is subscribed to the Page",
        "give the token the permission pages_manage_metadata",
    ),
    Subscribed.NOT_ASKED: (
        Status.UNKNOWN,
        "whether the app is subscribed to the Page was not found out yet",
        "nothing, if this was the start; else see whether the Graph API can be reached",
    ),
}


def _sending(facts: BotFacts) -> _Said:
    if facts.stopped is None:
        return Status.OK, "nothing keeps the Page from sending", ""
    if facts.away:
        return (
            Status.WARNING,
            "the Graph API can't be reached: nothing is sent but to try, every 15 s",
            "see whether this machine resolves and reaches facebook.graph_url, and"
            " whether metastatus.com tells of an outage; it goes on by itself",
        )
    if facts.refused:
        return (
            Status.WARNING,
            "nothing is sent but to try, as the Graph API refuses the Page",
            "do what the check of the token says",
        )
    return (
        Status.WARNING,
        f"a limit of the Graph API is kept: nothing is sent for {facts.stopped:.0f} s",
        f"nothing, if that is seldom; else lower delivery.rate; {_LOG}",
    )


def _llm(facts: BotFacts) -> _Said:
    if facts.llm_shut:
        return (
            Status.FAILED,
            "the LLM, with each of its fallbacks, is left alone, as it failed",
            f"see whether it is up, and its key and account; {_LOG}",
        )
    return Status.OK, "the LLM is asked", ""
