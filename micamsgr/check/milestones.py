"""
What has become of a message, as far as one look at the store shows it.

Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from attrs import evolve, frozen

from micamsgr.store.following import MessageSight, PartSight

from .findings import Verdict
from .journey_words import DEAD, IGNORED, Words, unknown_reason

_OK, _WARNING, _FAILED = Verdict.OK, Verdict.WARNING, Verdict.FAILED


@frozen(kw_only=True)
class Milestone:
    """
    Something that has become of a message.

    :ivar name: it is told once by it.
    :ivar waits: what is waited for from then on: ``turn``, ``llm``, ``again``
        (the LLM, after it failed), ``send``, ``sending``, ``doubt`` or
        ``receipt``; empty: nothing.
    """

    name: str
    stage: str
    verdict: Verdict
    said: str
    todo: str = ""
    waits: str = ""


def attempt(part: PartSight) -> str:
    """
    Name the last attempt at a part.
    """
    return f"{part.id} {part.attempt}"


def milestones(each: MessageSight, doubted: Collection[str]) -> list[Milestone]:
    """
    List what has become of a message, in the order in which it happens; at
    least one.

    :param doubted: the attempts that were in doubt; see :func:`attempt`.
    """
    marks = [
        Milestone(
            name="webhook",
            stage="webhook",
            verdict=_OK,
            said="Meta delivered it, and it is kept",
            waits="turn",
        )
    ]
    if each.state == "ignored":
        words = IGNORED.get(each.reason or "") or unknown_reason(each)
        verdict = _FAILED if each.reason == "other page" else _WARNING
        return [*marks, _ending("ignored", "turn", words, verdict)]
    if each.turn is not None:
        marks += _of_turn(each)
    if each.state == "dead":
        words = DEAD.get(each.reason or "") or unknown_reason(each)
        return [*marks, _ending("dead", "answer", words, _FAILED)]
    answer = [part for part in each.parts if part.kind == "answer"]
    if not answer:
        return marks
    count = "1 message" if len(answer) == 1 else f"{len(answer)} messages"
    said = f"the assistant has answered, in {count}"
    marks.append(
        Milestone(name="answer", stage="answer", verdict=_OK, said=said, waits="send")
    )
    for number, part in enumerate(answer, 1):
        marks += _of_part(part, f"message {number} of {len(answer)}")
        if marks[-1].verdict is _FAILED:
            return marks
    if all(part.state == "sent" for part in answer):
        marks[-1] = evolve(marks[-1], waits="receipt")
        marks += _of_receipt(each, answer, doubted)
    return marks


def _ending(name: str, stage: str, words: Words, verdict: Verdict) -> Milestone:
    return Milestone(
        name=name, stage=stage, verdict=verdict, said=words.said, todo=words.todo
    )


def _of_turn(each: MessageSight) -> Iterator[Milestone]:
    said = f"the bot has taken it up, as t{each.turn}"
    yield Milestone(name="turn", stage="turn", verdict=_OK, said=said, waits="llm")
    if each.tries:
        yield Milestone(
            name=f"again {each.tries}",
            stage="answer",
            verdict=_WARNING,
            said=f"the LLM gave no answer, {each.tries} times; it is asked again",
            todo="see the line on llm, and"
            f" `micamessenger queue show t{each.turn}` for the reason",
            waits="again",
        )
    for part in each.parts:
        if part.kind != "answer" and part.state == "sent":
            said = f"meanwhile something else was sent: the {part.kind}"
            yield Milestone(
                name=f"{part.kind} sent",
                stage="send",
                verdict=_OK,
                said=said,
                waits="again" if each.tries else "llm",
            )


def _of_part(part: PartSight, which: str) -> Iterator[Milestone]:
    if part.state == "sent":
        yield Milestone(
            name=f"sent {part.id}",
            stage="send",
            verdict=_OK,
            said=f"Meta has taken {which}",
            waits="send",
        )
    elif part.state in ("refused", "dead", "expired"):
        words = DEAD.get(part.reason or "")
        said = words.said if words else "the reason is not one that is known here"
        yield Milestone(
            name=f"{part.state} {part.id}",
            stage="send",
            verdict=_FAILED,
            said=f"{which} was not sent: {said}",
            todo=f"{words.todo if words else 'see the log'};"
            f" `micamessenger queue show {part.id}`",
        )
    elif part.state == "unknown":
        yield Milestone(
            name=f"unknown {attempt(part)}",
            stage="send",
            verdict=_WARNING,
            said=f"{which} may have been sent or not: Meta did not say",
            todo="wait: an echo, or two looks into the thread, settle it, mostly"
            " within 45 s",
            waits="doubt",
        )
    elif part.state == "sending":
        yield Milestone(
            name=f"sending {attempt(part)}",
            stage="send",
            verdict=_OK,
            said=f"{which} is being sent",
            waits="sending",
        )
    elif part.attempt:
        yield Milestone(
            name=f"composed {attempt(part)}",
            stage="send",
            verdict=_WARNING,
            said=f"{which} was not taken; it is tried again",
            todo="see the lines on graph and token, and the log",
            waits="send",
        )


def _of_receipt(
    each: MessageSight, answer: Sequence[PartSight], doubted: Collection[str]
) -> Iterator[Milestone]:
    if all(part.echoed for part in answer):
        said = "Meta's echo tells that all of it is in the conversation"
        yield Milestone(name="echo", stage="receipt", verdict=_OK, said=said)
    elif all(part.echoed or attempt(part) in doubted for part in answer):
        said = "a look into the thread shows that all of it is there"
        yield Milestone(name="thread", stage="receipt", verdict=_OK, said=said)
    if each.delivered:
        said = "Meta tells that it reached the person's device"
        yield Milestone(name="delivered", stage="delivery", verdict=_OK, said=said)
    if each.read:
        said = "Meta tells that the person has seen it"
        yield Milestone(name="read", stage="read", verdict=_OK, said=said)
