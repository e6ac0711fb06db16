"""
What becomes of the messages that come, told a line each as it happens: from
two looks at the store follows what has happened in between.

Nothing here waits, and nothing here knows what was said or who said it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import evolve, field, frozen

from micamsgr.store.following import MessageSight, Sight

from .findings import Verdict
from .journey_words import (
    LOST,
    NO_MESSAGE,
    NOT_RUNNING,
    ONLY_OTHERS,
    READ_BACK,
    BotState,
    Words,
    late,
)
from .milestones import Milestone, attempt, milestones

# Seconds after which what has not come should be looked into: a message, and
# then each of what follows.
_NO_MESSAGE = 60.0
_LATE: Mapping[str, float] = {
    "turn": 10.0,
    "llm": 20.0,
    "again": 60.0,
    "send": 10.0,
    "sending": 20.0,
    "doubt": 60.0,
    "receipt": 20.0,
}

# For so many seconds others are waited for where one receipt has come.
_LINGER = 5.0

# For so many seconds a store may not be readable, as while it is made.
_UNREADABLE = 5.0

_OK, _WARNING, _FAILED = Verdict.OK, Verdict.WARNING, Verdict.FAILED


@frozen(kw_only=True)
class Line:
    """
    What has happened, or has not happened in time.

    :ivar stage: ``webhook``, ``turn``, ``answer``, ``send``, ``receipt``,
        ``delivery`` or ``read``; ``daemon`` and ``store`` for what is about
        none of the messages.
    :ivar message: which, from 1; ``None``: about none.
    :ivar id: by which the operator's commands know it, such as ``e12``.
    :ivar seconds: since what happened before it; of ``webhook``, since the
        person wrote it.
    :ivar todo: what to look at; empty: nothing.
    """

    stage: str
    verdict: Verdict
    said: str
    message: int | None = None
    bot: str = ""
    id: str = ""
    seconds: float | None = None
    todo: str = ""


@frozen(kw_only=True)
class Told:
    """
    What was told of one message.

    :ivar number: from 1.
    :ivar marks: what of it.
    :ivar at: when the last of it was, in seconds.
    :ivar sent: whether Meta has taken all of the answer.
    :ivar proven: when it was known that the answer arrived.
    :ivar ended: how it ended.
    :ivar again: whether another message of the person may end better.
    :ivar doubted: the attempts at parts that were in doubt.
    """

    number: int
    marks: frozenset[str] = frozenset()
    at: float = 0.0
    sent: bool = False
    proven: float | None = None
    ended: Verdict | None = None
    again: bool = False
    doubted: frozenset[str] = frozenset()


@frozen(kw_only=True)
class Story:
    """
    What was told so far.

    :ivar began: when, in seconds.
    :ivar messages: by their numbers in the store.
    :ivar marks: what was told that is about none of them.
    :ivar stopped: since when no daemon runs, if none does.
    :ivar unreadable: since when the store can't be read, if it can't.
    """

    began: float
    messages: Mapping[int, Told] = field(factory=dict)
    marks: frozenset[str] = frozenset()
    stopped: float | None = None
    unreadable: float | None = None

    @property
    def over(self) -> bool:
        """Whether there is nothing more to wait for."""
        if "unreadable" in self.marks:
            return True
        told = list(self.messages.values())
        if any(each.ended is _OK for each in told):
            return True
        final = [each for each in told if not each.again]
        return bool(final) and all(each.ended is not None for each in final)

    def status(self, *, interrupted: bool = False) -> int:
        """
        Sum it up as an exit status: 0 where an answer was sent and has
        arrived; 2 where something failed, or an answer did not come in time; 1
        where nobody can tell.

        :param interrupted: whether whoever waits gave up before the time.
        """
        told = list(self.messages.values())
        if any(each.proven is not None for each in told):
            return 0
        if any(each.ended is _FAILED for each in told) or "unreadable" in self.marks:
            return 2
        if interrupted:
            return 1
        unanswered = any(each.ended is None and not each.sent for each in told)
        return 2 if unanswered or self.stopped is not None else 1


def wants_states(story: Story, sight: Sight, now: float) -> bool:
    """
    Say whether it would help to know how the daemon is: something is late that
    it may know the reason of.
    """
    return any(
        told.ended is None
        and _overdue(told, now, milestones(each, told.doubted))
        in ("send", "llm", "again")
        for each, told in _followed(story, sight)
    )


def go_on(
    story: Story, sight: Sight, now: float, states: Mapping[str, BotState] | None = None
) -> tuple[Story, list[Line]]:
    """
    Tell what has happened since the last look.

    :param now: seconds, by any clock that is never set.
    :param states: how the daemon's bots are, by name, where that is known.

    :return: what was told by now; and the lines to tell, oldest first.
    """
    story, lines = _surroundings(story, sight, now)
    messages = dict(story.messages)
    for each, told in _followed(story, sight):
        # Of two of one person's the second one counts only if the first one
        # had ended, which may just have been.
        if each.id in messages or _follows(each, sight, messages):
            told = evolve(told, number=told.number or len(messages) + 1)
            messages[each.id], more = _tell(told, each, now, states or {})
            lines += more
    seen = {each.id for each in sight.messages}
    if sight.runs and not sight.problem and sight.last is not None:
        for id, told in messages.items():
            if id not in seen and told.ended is None:
                messages[id] = evolve(told, ended=_WARNING, again=True)
                lines.append(_line(told, id, "", LOST, "webhook", _WARNING))
    return evolve(story, messages=messages), lines


def _surroundings(story: Story, sight: Sight, now: float) -> tuple[Story, list[Line]]:
    lines: list[Line] = []
    marks = set(story.marks)
    stopped, unreadable = story.stopped, story.unreadable
    if sight.problem:
        unreadable = now if unreadable is None else unreadable
        if now - unreadable >= _UNREADABLE and "unreadable" not in marks:
            marks.add("unreadable")
            todo = "run it as the daemon's user, or as root; see the line on store"
            said = f"the store can't be read: {sight.problem}"
            lines.append(Line(stage="store", verdict=_FAILED, said=said, todo=todo))
    else:
        unreadable = None
    if not sight.problem and not sight.runs and stopped is None:
        stopped = now
        lines.append(_about_none("daemon", _FAILED, NOT_RUNNING))
    elif sight.runs and stopped is not None:
        said, seconds = "the daemon runs again", now - stopped
        lines.append(Line(stage="daemon", verdict=_OK, said=said, seconds=seconds))
        stopped = None
    if sight.read_back and "read back" not in marks:
        marks.add("read back")
        lines.append(_about_none("webhook", _WARNING, READ_BACK))
    silent = not sight.messages and not story.messages and stopped is None
    if silent and now - story.began >= _NO_MESSAGE and "none" not in marks:
        marks.add("none")
        words = ONLY_OTHERS if sight.others else NO_MESSAGE
        line = _about_none("webhook", _WARNING, words)
        lines.append(evolve(line, seconds=now - story.began))
    story = evolve(
        story, marks=frozenset(marks), stopped=stopped, unreadable=unreadable
    )
    return story, lines


def _about_none(stage: str, verdict: Verdict, words: Words) -> Line:
    return Line(stage=stage, verdict=verdict, said=words.said, todo=words.todo)


def _followed(story: Story, sight: Sight) -> Iterator[tuple[MessageSight, Told]]:
    """
    Give those of which something is to be told, and what was.
    """
    for each in sight.messages:
        told = story.messages.get(each.id)
        if told is None:
            yield each, Told(number=0)
        elif told.ended is None:
            yield each, told


def _follows(each: MessageSight, sight: Sight, messages: Mapping[int, Told]) -> bool:
    """
    Say whether a message is the first of its person's that is to be followed:
    what they write next is answered with it, or after it.
    """
    if each.conversation is None:
        return True
    before = {it.id for it in sight.messages if it.conversation == each.conversation}
    return all(told.again for id, told in messages.items() if id in before)


def _tell(
    told: Told, each: MessageSight, now: float, states: Mapping[str, BotState]
) -> tuple[Told, list[Line]]:
    lines: list[Line] = []
    marks = milestones(each, told.doubted)
    for mark in marks:
        if mark.name in told.marks:
            continue
        first = not told.marks
        seconds = max(0.0, each.late) if first else now - told.at
        lines.append(
            Line(
                stage=mark.stage,
                verdict=mark.verdict,
                said=mark.said,
                message=told.number,
                bot=each.bot,
                id=f"e{each.id}",
                seconds=seconds,
                todo=mark.todo,
            )
        )
        told = evolve(told, marks=told.marks | {mark.name}, at=now)
    doubts = {attempt(it) for it in each.parts if it.state == "unknown"}
    told = evolve(told, doubted=told.doubted | doubts)
    overdue = _overdue(told, now, marks)
    if overdue is not None:
        words = late(overdue, each, states.get(each.bot, BotState()))
        line = _line(told, each.id, each.bot, words, _stage(overdue), _WARNING)
        lines.append(evolve(line, seconds=now - told.at))
        told = evolve(told, marks=told.marks | {f"late {overdue}"})
    return _end(told, each, now, marks), lines


def _line(
    told: Told, id: int, bot: str, words: Words, stage: str, verdict: Verdict
) -> Line:
    return Line(
        stage=stage,
        verdict=verdict,
        said=words.said,
        message=told.number,
        bot=bot,
        id=f"e{id}",
        todo=words.todo,
    )


def _stage(waits: str) -> str:
    """Name the stage that has not come."""
    others = {"llm": "answer", "again": "answer", "turn": "turn", "receipt": "receipt"}
    return others.get(waits, "send")


def _overdue(told: Told, now: float, marks: Sequence[Milestone]) -> str | None:
    """
    Say what is waited for in vain, if that was not told.
    """
    waits = marks[-1].waits
    if not waits or any(mark.name not in told.marks for mark in marks):
        return None
    if f"late {waits}" in told.marks or now - told.at < _LATE[waits]:
        return None
    return waits


def _end(
    told: Told, each: MessageSight, now: float, marks: Sequence[Milestone]
) -> Told:
    last = marks[-1]
    told = evolve(told, sent=last.waits == "receipt")
    if each.state == "ignored" and last.verdict is not _OK:
        return evolve(told, ended=last.verdict, again=True)
    if last.verdict is _FAILED:
        return evolve(told, ended=_FAILED)
    if "late receipt" in told.marks:
        return evolve(told, ended=_WARNING)
    if last.stage in ("receipt", "delivery", "read"):
        told = evolve(told, proven=now if told.proven is None else told.proven)
        assert told.proven is not None
        if each.read or now - told.proven >= _LINGER:
            return evolve(told, ended=_OK)
    return told
