"""
What the daemon does when it is told to.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from micamsgr.conversation.moment import Moment
from micamsgr.conversation.policy import Delivery
from micamsgr.errors import Declined, StoreUnavailable
from micamsgr.store import conversations, queue
from micamsgr.store.conversations import Whose
from micamsgr.store.database import Transact, Work
from micamsgr.store.erasure import PSID
from micamsgr.store.queue import Decided

from .delays import explained

T = TypeVar("T")

#: The most that is listed, of each kind.
MOST = 1000

# Seconds for which a message that an operator sends is waited for, and between
# two looks at what has become of it.
_SENDING, _LOOK = 10.0, 0.2

_ID = re.compile("[A-Za-z0-9_-]{1,64}")
_NAME = re.compile("[A-Za-z0-9._-]{1,64}")
_SURROGATE = re.compile("[\ud800-\udfff\0]")

# How a part ends that nobody reads.
_UNDELIVERED = ("refused", "expired", "dead")

# The most that an operator may say at once, in characters, and the longest
# pause that is not for good, in seconds.
_LONGEST_TEXT, _LONGEST_PAUSE = 20_000, 366 * 86400


@frozen(kw_only=True)
class Voice:
    """
    What is needed of a bot.

    :ivar wake: told of conversations in which there may be something to do.
    :ivar hush: told of one in which a human answers.
    :ivar try_again: told of one that is to try, whatever it waits for.
    :ivar quiet: for how many seconds the bot is quiet after a human's words.
    :ivar stopped: for how many seconds nothing is sent, and why; ``None``: it
        is.
    """

    wake: Callable[[Sequence[int]], None]
    hush: Callable[[int], None]
    try_again: Callable[[int], None]
    delivery: Delivery
    quiet: float
    stopped: Callable[[], tuple[float, str] | None]


@define(eq=False)
class Commands:
    """
    Do what is wanted, one method for each command.

    :ivar _clock: for every wait; usually the reactor.
    :ivar _now: reads the clocks.
    :ivar _write: commits.
    :ivar _read: may take its time: nobody else waits for it.
    :ivar _voices: gives the bots that there are, by name.
    :ivar _split: cuts a text into messages, as many as it takes.
    :ivar _most_parts: the most messages that an operator may send at once.
    :ivar _status: tells how the daemon is.
    :ivar _reload: puts the configuration in force that the file says now, and
        says what has changed; may raise :exc:`~micamsgr.errors.Declined`.
    :ivar _configuration: says whether what the file says is in force; changes
        nothing.
    :ivar _entropy: makes so many random bytes.
    """

    _clock: IReactorTime
    _now: Callable[[], Moment]
    _write: Transact
    _read: Transact
    _voices: Callable[[], Mapping[str, Voice]]
    _split: Callable[[str], Sequence[str]]
    _most_parts: int
    _status: Callable[[], Awaitable[Mapping[str, Any]]]
    _reload: Callable[[], Mapping[str, Any]]
    _configuration: Callable[[], Mapping[str, Any]]
    _entropy: Callable[[int], bytes]

    _known: Mapping[str, Callable[[Given], Awaitable[Mapping[str, Any]]]] = field(
        init=False
    )

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._known = {
            "status": self._tell_status,
            "reload": self._do_reload,
            "configuration": self._tell_configuration,
            "queue.list": self._list,
            "queue.show": self._show,
            "queue.retry": self._retry,
            "queue.drop": self._drop,
            "conversation.show": self._show_conversation,
            "conversation.pause": self._pause,
            "conversation.resume": self._resume,
            "send": self._send,
        }

    async def __call__(
        self, command: str, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """
        Do what a command wants.

        :raises Declined: where it can't be done; then nothing was.
        :raises StoreUnavailable: where the store fails.
        """
        work = self._known.get(command)
        if work is None:
            raise Declined(f"the daemon knows no command {command[:40]!r}")
        return await work(Given(arguments))

    async def _tell_status(self, given: Given) -> Mapping[str, Any]:
        return await self._status()

    async def _do_reload(self, given: Given) -> Mapping[str, Any]:
        return self._reload()

    async def _tell_configuration(self, given: Given) -> Mapping[str, Any]:
        return self._configuration()

    async def _list(self, given: Given) -> Mapping[str, Any]:
        limit = given.number("limit", 100, MOST)
        listed = await self._read(lambda database: queue.list_queue(database, limit))
        return self._explain(listed)

    async def _show(self, given: Given) -> Mapping[str, Any]:
        id = given.word("id", _ID)
        shown = await self._read(lambda database: queue.show(database, id))
        what = shown["what"]
        if what != "event":
            shown[what] = self._explain({"parts": [shown[what]]})["parts"][0]
        return self._explain(shown)

    def _explain(self, listed: Mapping[str, Any]) -> dict[str, Any]:
        """
        Say of turns and parts why they wait.
        """
        now, voices = self._now(), self._voices()
        stopped = {name: voice.stopped() for name, voice in voices.items()}
        explained_too = {
            name: [
                explained(it, now, stopped.get(it["bot"]), it["bot"] in voices)
                for it in listed[name]
            ]
            for name in ("turns", "parts", "undelivered")
            if name in listed
        }
        return {**listed, **explained_too}

    async def _retry(self, given: Given) -> Mapping[str, Any]:
        id, now = given.word("id", _ID), self._now()
        voices = self._voices()

        def delivery(bot: str) -> Delivery:
            return _voice(voices, bot).delivery

        decided = await self._decide(
            lambda database: queue.retry(database, id, now, delivery), "retried", id
        )
        voice, said = voices[decided.bot], decided.said.split("\n")
        voice.try_again(decided.conversation)
        self._wake(decided.bot, decided.conversation)
        seconds, why = voice.stopped() or (0.0, "")
        if seconds > 0.0:
            said.append(f"before {seconds:.0f} s are over nothing is sent: {why}")
        return {"said": said}

    async def _drop(self, given: Given) -> Mapping[str, Any]:
        id = given.word("id", _ID)
        decided = await self._decide(
            lambda database: queue.drop(database, id), "dropped", id
        )
        self._wake(decided.bot, decided.conversation)
        return {"said": decided.said.split("\n")}

    async def _decide(self, work: Work[Decided], what: str, id: str) -> Decided:
        decided = await self._write(work)
        self._log.info(
            "an operator has {what} {id} of {bot}",
            event="operator.decided",
            what=what,
            id=id,
            bot=decided.bot,
        )
        return decided

    def _wake(self, bot: str, conversation: int) -> None:
        voice = self._voices().get(bot)
        if voice is not None and conversation:
            voice.wake([conversation])

    async def _show_conversation(self, given: Given) -> Mapping[str, Any]:
        whose, most = given.person(), given.number("limit", 40, MOST)
        shown = await self._read(
            lambda database: conversations.show(database, whose, most)
        )
        return shown | {
            "paused": shown["quiet_until"] > self._now().wall,
            "forever": shown["quiet_until"] >= conversations.FOREVER,
        }

    async def _pause(self, given: Given) -> Mapping[str, Any]:
        whose = given.person()
        seconds = given.number("seconds", 0, _LONGEST_PAUSE)
        until = self._now().wall + seconds * 1000 if seconds else conversations.FOREVER
        found = await self._write(
            lambda database: conversations.pause(database, whose, until)
        )
        self._hush(found)
        self._say("paused", found)
        return found | {"quiet_until": until, "forever": not seconds}

    async def _resume(self, given: Given) -> Mapping[str, Any]:
        whose = given.person()
        found = await self._write(
            lambda database: conversations.resume(database, whose)
        )
        self._wake(found["bot"], found["id"])
        self._say("resumed", found)
        was_paused = found["quiet_until"] > self._now().wall
        return found | {"quiet_until": 0, "was_paused": was_paused}

    async def _send(self, given: Given) -> Mapping[str, Any]:
        whose, texts = given.person(), self._split(given.text("text", _LONGEST_TEXT))
        if not texts:
            raise Declined("there is nothing to say")
        if len(texts) > self._most_parts:
            raise Declined(
                f"that would be {len(texts)} messages; at most {self._most_parts} may"
                " be sent at once"
            )
        return await _to_the_end(self._speak(whose, texts))

    async def _speak(self, whose: Whose, texts: Sequence[str]) -> Mapping[str, Any]:
        now, voices = self._now(), self._voices()
        found, parts = await self._write(
            lambda database: conversations.speak(
                database,
                whose,
                texts,
                now,
                lambda bot: _voice(voices, bot).quiet,
                self._entropy,
            )
        )
        self._hush(found)
        self._say("answered", found)
        became = await self._until_ended(parts)
        in_vain = all(part["state"] in _UNDELIVERED for part in became)
        left = []
        if in_vain:
            left = await self._write(
                lambda database: conversations.take_back(database, found)
            )
        stopped = voices[found["bot"]].stopped()
        return {
            **{name: found[name] for name in ("bot", "page", "psid")},
            "parts": became,
            "quiet_until": None if in_vain else found["quiet"],
            "unanswered": len(left),
            "unanswered_ids": left[:MOST],
            "paused": None if stopped is None else stopped[1],
        }

    async def _until_ended(self, parts: Sequence[str]) -> list[dict[str, Any]]:
        """
        Wait a little for what becomes of parts.
        """
        end = self._clock.seconds() + _SENDING
        while True:
            became = await self._read(
                lambda database: conversations.become_of(database, parts)
            )
            states = {part["state"] for part in became}
            if not states & {"composed", "sending"} or self._clock.seconds() >= end:
                return became
            await deferLater(self._clock, _LOOK)

    def _hush(self, found: Mapping[str, Any]) -> None:
        voice = self._voices().get(found["bot"])
        if voice is not None:
            voice.hush(found["id"])
            voice.wake([found["id"]])

    def _say(self, what: str, found: Mapping[str, Any]) -> None:
        self._log.info(
            "an operator has {what} in conversation {conversation} of {bot}",
            event="operator.spoke",
            what=what,
            conversation=found["id"],
            bot=found["bot"],
        )


def _to_the_end(working: Coroutine[Any, Any, T]) -> Deferred[T]:
    """
    Wait for something that is done to its end, also if whoever waits goes away.
    """
    result: Deferred[T] = Deferred()

    def settle(outcome: T | Failure) -> Failure | None:
        if isinstance(outcome, Failure):
            if not result.called:
                result.errback(outcome)
            elif not outcome.check(Declined, StoreUnavailable):
                return outcome
        elif not result.called:
            result.callback(outcome)
        return None

    Deferred.fromCoroutine(working).addBoth(settle)
    return result


def _voice(voices: Mapping[str, Voice], bot: str) -> Voice:
    if bot not in voices:
        raise Declined(
            f"bot {bot} is not in the configuration any more: nobody would do it"
        )
    return voices[bot]


@frozen
class Given:
    """
    What a command was given.  Every method raises
    :exc:`~micamsgr.errors.Declined` for what is not as it should be.
    """

    _arguments: Mapping[str, Any]

    def word(self, name: str, pattern: re.Pattern[str]) -> str:
        """
        Read a word.
        """
        value = self._arguments.get(name)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise Declined(f"{name}: expected {pattern.pattern}")
        return value

    def number(self, name: str, default: int, most: int) -> int:
        """
        Read a number, from 0 or 1 on where the default is such.
        """
        value = self._arguments.get(name, default)
        least = min(1, default)
        if type(value) is not int or not least <= value <= most:
            raise Declined(f"{name}: expected a number from {least} to {most}")
        return value

    def text(self, name: str, longest: int) -> str:
        """
        Read what is to be said.
        """
        value = self._arguments.get(name)
        if not isinstance(value, str) or not value.strip():
            raise Declined("there is nothing to say")
        if _SURROGATE.search(value):
            raise Declined("that is no text: it has bytes that are no UTF-8, or zeros")
        if len(value) > longest:
            raise Declined(f"that is longer than {longest} characters")
        return value

    def person(self) -> Whose:
        """
        Read whom it is about.
        """
        psid = self.word("psid", re.compile(PSID))
        bot, page = (
            None if self._arguments.get(name) is None else self.word(name, _NAME)
            for name in ("bot", "page")
        )
        return Whose(psid=psid, bot=bot, page=page)
