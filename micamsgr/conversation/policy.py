"""
What the operator decides about conversations; see ``docs/configuration.md``.

Durations are seconds.
"""

from __future__ import annotations

from enum import Enum

from attrs import frozen


class Unresolved(Enum):
    """
    What becomes of a part in doubt where no evidence can be had.

    RESEND it, once; HOLD it until the 24-hour window closes; DROP it.
    """

    RESEND = "resend"
    HOLD = "hold"
    DROP = "drop"


@frozen(kw_only=True)
class Delivery:
    """
    How parts are sent, and what is done in doubt.

    :ivar rate: most messages per second and Page; 0 lifts the limit.
    :ivar deadline: the most that one Send API call may take, from its start
        to the last byte of the answer.
    :ivar quarantine: from an attempt's intent until a look-up may prove that
        it never arrived; longer than *deadline*.
    :ivar lookup_lag: the least time between the two look-ups that must agree.
    :ivar lookup_rate: most look-ups per second and Page.
    """

    rate: float = 30.0
    deadline: float = 15.0
    quarantine: float = 30.0
    lookup_lag: float = 10.0
    lookup_rate: float = 2.0
    unresolved: Unresolved = Unresolved.RESEND


@frozen(kw_only=True)
class Handover:
    """
    When a human answers from the Page's inbox.

    :ivar quiet: for how long the bot then says nothing in that conversation.
    :ivar by: ``"inbox"``, ``"any"``, or the IDs of the apps whose echoes are
        a human's.
    :ivar wake: what an agent writes to wake the bot at once; ``None``: no
        such word.
    :ivar pass_to: the app to which the thread is passed where a turn has
        failed; ``None``: it is kept.
    """

    quiet: float = 1800.0
    by: str | tuple[str, ...] = "inbox"
    wake: str | None = None
    pass_to: str | None = None


@frozen(kw_only=True)
class Manners:
    """
    How the assistant behaves towards a person who waits.

    :ivar history_messages: most utterances of the past that the LLM is given.
    :ivar history_characters: most characters of them.
    :ivar apology_after: from a message until its lateness is announced.
    :ivar patience: from a message until its turn has failed.
    :ivar fallback: what a person reads when a turn has failed.
    """

    history_messages: int = 40
    history_characters: int = 24000
    apology_after: float = 20.0
    apology_text: str = "One moment please, I am still thinking about your message."
    patience: float = 900.0
    fallback: str = (
        "Sorry, I can't answer right now. Please try again in a little while."
    )


@frozen(kw_only=True)
class Limits:
    """
    What one person, and all people together, may use; 0 lifts a limit.

    :ivar person_turns_per_minute: most turns that one person may start.
    :ivar person_tokens_per_day: most tokens of the LLM, asked and answered,
        that one person may use.
    :ivar bot_tokens_per_day: the same, for all people who write to one bot.
    :ivar text: what a person reads where a limit is reached.
    """

    person_turns_per_minute: int = 60
    person_turns_per_day: int = 1000
    person_tokens_per_day: int = 200_000
    bot_tokens_per_day: int = 5_000_000
    text: str = (
        "That is all that I can answer for now. Please write again a little later."
    )
