"""
Why a message is not answered, in an operator's words.

What is not listed here is not shown: a reason may be in the words of an LLM's
server, which may hold what people wrote.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from micamsgr.store.following import MessageSight


@frozen
class Words:
    """
    :ivar todo: what to look at; empty: nothing.
    """

    said: str
    todo: str = ""


@frozen(kw_only=True)
class BotState:
    """
    What a running daemon tells of a bot.

    :ivar stopped: why nothing is sent; empty: it is.
    :ivar alone: the hosts of LLMs that are not asked for now.
    """

    stopped: str = ""
    alone: tuple[str, ...] = ()


NOT_RUNNING = Words(
    "the daemon doesn't run, or has another store",
    "start it: `systemctl start micamessenger`; Meta delivers again what it could not",
)
NO_MESSAGE = Words(
    "no message has come",
    "if you have written: see the lines on webhook, app_subscription,"
    " page_subscription and mode (in development mode only who has a role on the app"
    " is heard), and whether it is the right Page; nothing to do if nobody has",
)
ONLY_OTHERS = Words(
    "Meta delivers, but no message has come",
    "if you have written: see the fields on the lines on app_subscription and"
    " page_subscription: messages must be among them",
)
READ_BACK = Words(
    "a message was read from the thread: Meta has not delivered it",
    "see the lines on webhook, app_subscription and page_subscription",
)
LOST = Words("it is no longer in the store: the person was forgotten, or it was erased")

_RESUME = "wait for handover.quiet_minutes, or use `micamessenger conversation resume`"

IGNORED: Mapping[str, Words] = {
    "human": Words("it is not answered: a human answers in this conversation", _RESUME),
    "standby": Words(
        "it is not answered: another app has the conversation",
        "see the line on routing, and the Page's settings, Conversation routing",
    ),
    "stale": Words("it is not answered: it is older than 48 hours", "write again"),
    "not allowed": Words(
        "it is not answered: whoever wrote it is not listed in allow",
        "add them, or empty allow, and reload; docs/operating.md says how to find"
        " out who it is",
    ),
    "other page": Words(
        "it is not answered: it is of another Page than the bot's",
        "see the lines on page and app_subscription",
    ),
    "erased": Words(
        "it is not answered: it is from before the person was forgotten", "write again"
    ),
}

_WINDOW = Words("Meta's 24-hour window is closed", "write again")
_HUMAN = Words("a human has answered meanwhile", _RESUME)

# Of events, and of parts: why they ended otherwise than well.
DEAD: Mapping[str, Words] = {
    "patience": Words(
        "no answer: the LLM gave none within assistant.patience",
        "see the line on llm, and the log",
    ),
    "window": _WINDOW,
    "human": _HUMAN,
    "thread": Words(
        "another app has the conversation",
        "see the line on routing, and the Page's settings, Conversation routing",
    ),
    "stale": Words("it is too old to be answered", "write again"),
    "operator": Words("an operator gave it up"),
    "erased": Words("the person was forgotten"),
    "unreadable": Words("it could not be read", "see the log"),
    "unresolved": Words(
        "nobody could find out whether it arrived",
        "look into the thread, and see the line on scopes",
    ),
    "sibling": Words("the one before it was not sent"),
    "person": Words(
        "Meta says that this person can't be reached",
        "write from another account; see the line on mode",
    ),
    "message": Words("Meta does not take it as it is", "see the log"),
    **{
        f"limits.{key}": Words(
            f"limits.{key} is reached", "raise it, or wait until tomorrow"
        )
        for key in (
            "person.turns_per_minute",
            "person.turns_per_day",
            "person.tokens_per_day",
            "bot.tokens_per_day",
        )
    },
}


def unknown_reason(each: MessageSight) -> Words:
    """
    Say where the reason is told that is not told here.
    """
    return Words(
        "it is not answered", f"`micamessenger queue show e{each.id}` says why"
    )


def late(waits: str, each: MessageSight, state: BotState) -> Words:
    """
    Say why what should have come has not.

    :param waits: what for; see :mod:`.journey`.
    :param state: how its bot is, as far as that is known.
    """
    turn = f"`micamessenger queue show t{each.turn}`"
    if waits == "turn":
        return Words(
            "it is not taken up yet",
            "an answer before it in the same conversation may be in doubt, which"
            " takes up to 45 s; `micamessenger queue list` shows it",
        )
    if waits in ("llm", "again"):
        if state.alone:
            return Words(
                f"the LLM is left alone, as it failed: {', '.join(state.alone)}",
                "see the line on llm; it is tried again within a minute",
            )
        if each.turn_state == "ready" and not each.tries:
            return Words(
                "the LLM is not asked yet",
                "as many calls as llm_config.concurrency allows may be under way",
            )
        return Words("the LLM has not answered yet", f"see the line on llm, and {turn}")
    if waits == "doubt":
        return Words(
            "it is still not known whether it was sent",
            f"see the lines on scopes and page_subscription, and {turn}",
        )
    if waits == "receipt":
        return Words(
            "Meta has not told that it arrived",
            "look at the phone; message_echoes may be missing on the lines on"
            " app_subscription and page_subscription",
        )
    if waits == "sending":
        return Words("Meta has not answered", "see the line on graph")
    if state.stopped:
        return Words(
            f"nothing of the Page's is sent now: {state.stopped}",
            "see the lines on token, scopes and graph",
        )
    return Words(
        "it is made, and not sent yet",
        f"delivery.rate may hold it back, or a failure before; see the log, and {turn}",
    )
