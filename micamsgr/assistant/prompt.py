"""
What the LLM is told: the operator's instructions, and as much of the
conversation as the budget allows.  Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby, takewhile

from micamsgr.conversation.assistant import Role, Utterance

# Said to the LLM, never to a person.
_HUMAN_WROTE = "[a human colleague wrote] "
_PAGE_BEGAN = "[the Page wrote first]"

_LEAST_PRESENT = 4000

# Characters: as much as one message in Messenger may have.
_SHORT = 2000


def messages(
    instructions: str,
    utterances: Sequence[Utterance],
    *,
    history_messages: int,
    history_characters: int,
) -> list[dict[str, str]]:
    """
    Compose the messages of a chat completion.

    The present turn is what the person said last, since anybody else spoke.
    It comes first in the budget of characters, and the past gets what it
    leaves, in whole utterances, the newest of them.  A present turn that
    exceeds the budget by itself loses its beginning.

    What a person wrote is only ever in the ``user`` role.  After the system
    prompt the roles alternate, beginning with ``user``, because some servers
    insist on it: neighbors of one role are joined with a newline, answers
    whose question did not fit are left out, and where the Page itself began
    the conversation a note in brackets stands before it.

    :param instructions: the system prompt; none is sent where it is blank.
    :param utterances: oldest first.
    :param history_messages: most utterances of the past.
    :param history_characters: most characters of all utterances; the present
        turn is allowed 4000 at least.

    :return: objects with ``role`` and ``content``, oldest first.
    """
    present = _present(utterances)
    past = utterances[: len(utterances) - len(present)]
    now = "\n".join(utterance.text for utterance in present)
    now = now[-max(history_characters, _LEAST_PRESENT) :]
    recent = _recent(past, history_messages, history_characters - len(now))

    told = [("system", instructions)] if instructions.strip() else []
    if recent and recent[0].role is not Role.PERSON:
        told.append(("user", _PAGE_BEGAN))
    told += [_told(utterance) for utterance in recent]
    if present:
        told.append(("user", now))
    return [
        {"role": role, "content": "\n".join(content for _, content in run)}
        for role, run in groupby(told, key=lambda pair: pair[0])
    ]


def shorter(told: Sequence[Mapping[str, str]]) -> Sequence[Mapping[str, str]]:
    """
    Leave out the oldest half of a conversation, for a model that can't take in
    as much.

    That is half of all characters but those of the system prompt, in whole
    messages, and what has then lost its question.  The present turn stays
    whole; but if it is most of it the past goes, and if it is long also its
    first half.

    :param told: what :func:`messages` made.

    :return: the same where nothing can be left out.
    """
    first = 1 if told and told[0]["role"] == "system" else 0
    system, past, present = told[:first], told[first:-1], told[first:][-1:]
    said = sum(len(message["content"]) for message in (*past, *present))
    before = sum(len(message["content"]) for message in past)
    if before * 4 < said:
        return [*system, *map(_second_half, present)]
    dropped = 0
    while past and (dropped * 2 < said or past[0]["role"] != "user"):
        dropped += len(past[0]["content"])
        past = past[1:]
    return [*system, *past, *present]


def _second_half(message: Mapping[str, str]) -> Mapping[str, str]:
    content = message["content"]
    # What is shorter no model finds too long; without half of it, it would be
    # another question.
    kept = content if len(content) <= _SHORT else content[len(content) // 2 :]
    return {**message, "content": kept}


def _present(utterances: Sequence[Utterance]) -> Sequence[Utterance]:
    said = takewhile(lambda u: u.role is Role.PERSON, reversed(utterances))
    return utterances[len(utterances) - len(list(said)) :]


def _recent(
    past: Sequence[Utterance], count: int, characters: int
) -> Sequence[Utterance]:
    """
    Find the newest utterances that fit.

    :return: nothing, or what begins with the person; or else *past* as a
        whole, where it is shorter than *count* and so surely the whole
        conversation.
    """
    first = len(past)
    while first > max(len(past) - count, 0):
        characters -= len(past[first - 1].text)
        if characters < 0:
            break
        first -= 1
    if first == 0 and len(past) < count:
        return past
    while first < len(past) and past[first].role is not Role.PERSON:
        first += 1
    return past[first:]


def _told(utterance: Utterance) -> tuple[str, str]:
    if utterance.role is Role.PERSON:
        return "user", utterance.text
    if utterance.role is Role.HUMAN:
        return "assistant", _HUMAN_WROTE + utterance.text
    return "assistant", utterance.text
