"""
The sandbox: a stand-in for Messenger with a page on which one chats, a
stand-in for the Graph API, and a panel that tells what the daemon does.

What one writes goes to the daemon's own listener by HTTP, as from Meta, and
what the daemon answers comes to the stand-in of the Graph API the same way.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Protocol

from attrs import define, field, frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, globalLogPublisher
from twisted.web.http_headers import Headers

from micamsgr.conversation.assistant import IAssistant
from micamsgr.errors import RejectedRequest
from micamsgr.sandbox.addresses import check
from micamsgr.sandbox.chats import NAMES, Bubble, Chat, Mark
from micamsgr.sandbox.graph_api import GraphAPI
from micamsgr.sandbox.journal import Acted, Applied, Fact, Journal, Wrote
from micamsgr.sandbox.memory import Joined, Memory
from micamsgr.sandbox.meta import App, Meta, Page
from micamsgr.sandbox.resources import (
    Action,
    Answer,
    Flip,
    Join,
    SandboxRoot,
    Say,
    Tap,
)
from micamsgr.sandbox.retelling import Line
from micamsgr.sandbox.story import (
    Story,
    delivered,
    delivering,
    person_of,
    read_items,
)
from micamsgr.sandbox.stream import EventStream
from micamsgr.sandbox.switches import Switches, Troubled

# A Page that is not configured gets this ID, and the next ones follow it.
_FIRST_PAGE = 108463527190842

#: The most messages of a thread that are remembered.
MOST_THREAD = 400

# The most deliveries that are remembered.
_MOST_DELIVERIES = 500

# So many people are there when it begins.
_AT_FIRST = 2

# Seconds for one delivery, beside Meta's own patience.
_DEADLINE = 10.0

#: What a person may like to say to the demo assistant, and to any other.
DEMO_SUGGESTIONS = (
    "What can you do?",
    "Show me a long answer",
    "Show me Markdown",
    "Show me a slow answer",
    "Be flaky",
    "Let the LLM fail",
)
SUGGESTIONS = ("Hello!", "Who are you?", "Tell me a long story", "Thank you!")


class Call(Protocol):
    """What is needed of :class:`~micamsgr.httpcall.HTTPCaller`."""

    async def __call__(
        self,
        method: str,
        url: str,
        *,
        headers: Headers,
        body: bytes | None,
        deadline: float,
    ) -> Any: ...


@frozen(kw_only=True)
class SandboxBot:
    """
    A bot that the sandbox serves.

    :ivar page: its Page's ID; ``None``: the sandbox chooses one.
    :ivar alias: names a person in the log.
    :ivar quiet: for how many seconds it says nothing once a human has answered;
        ``None``: not known.
    """

    name: str
    page: str | None
    token: str = field(repr=False)
    secret: str = field(repr=False)
    verify_token: str = field(repr=False)
    alias: Callable[[Any], str]
    quiet: float | None = None


@define(eq=False)
class _Told(Journal):
    """
    A journal that passes facts on, and keeps none.
    """

    tell: Callable[[Fact], None] = field(kw_only=True)

    def add(self, fact: Fact) -> None:
        self.tell(fact)


@define(eq=False)
class Sandbox(Service):
    """
    Serve a page on which people chat with the bots.

    :ivar _clock: for every wait; usually the reactor.
    :ivar _wall: tells the time, in seconds since the epoch.
    :ivar _call: see :meth:`micamsgr.httpcall.HTTPCaller.call`.
    :ivar _bots: at least one.
    :ivar _daemon: the daemon's own URL, by plain HTTP; ``None``: it has none.
    :ivar _address: the page's URL.
    :ivar _announce: told so, once the page can be used.
    :ivar _memory: who was there, and what was said, before a restart.
    :ivar _suggestions: what a person may like to say, for whom finds nothing.
    """

    _clock: IReactorTime
    _random: Random
    _call: Call
    _bots: Sequence[SandboxBot]
    _daemon: str | None
    _address: str | None
    _announce: Callable[[str], None]
    _memory: Memory
    _suggestions: Sequence[str] = field(kw_only=True)
    _wall: Callable[[], float] = field(default=time.time, kw_only=True)

    root: SandboxRoot = field(init=False)
    _switches: Switches = field(factory=Switches, init=False)
    _meta: Meta = field(init=False)
    _stream: EventStream = field(init=False)
    _story: Story = field(init=False)
    # By PSID.
    _chats: dict[str, Chat] = field(factory=dict, init=False)
    _aliases: dict[str, str] = field(factory=dict, init=False)
    # How often the same bytes were delivered, by their digest.
    _deliveries: OrderedDict[bytes, int] = field(factory=OrderedDict, init=False)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        check(self._daemon, self._address, len(self._bots))
        journal = _Told(tell=self._note)
        self._meta = Meta(
            self._clock,
            self._random,
            journal,
            self._post,
            self._get,
            habits=self._switches.habits(),
            skew=self._wall() - self._clock.seconds(),
        )
        for number, bot in enumerate(self._bots):
            app = App(
                f"70{number}",
                bot.secret,
                callback=self._callback(bot),
                verify_token=bot.verify_token,
            )
            page = bot.page or str(_FIRST_PAGE + number)
            self._meta.pages[page] = Page(page, bot.token, app, name=bot.name)
        run = self._random.randbytes(6).hex()
        self._stream = EventStream(self._clock, run, self._state)
        self._story = Story(
            self._meta.now,
            self._aliases.get,
            lambda line: self._stream.tell("line", line),
            {bot.name: bot.quiet for bot in self._bots},
        )
        graph = GraphAPI(
            self._clock,
            self._random,
            self._meta,
            faults=self._switches.spoil,
            echoes=self._switches.spoil_echo,
        )
        self.root = SandboxRoot(graph, self._stream, self._do)

    def troubled(self, assistant: IAssistant, pause: float = 0.0) -> IAssistant:
        """
        Put the troubles of the page's switches around an assistant.

        :param pause: seconds by which each answer comes later, where it would
            come faster than anybody could see that it is being written.
        """
        return Troubled(assistant, self._switches, self._clock, pause)

    def startService(self) -> None:
        super().startService()
        globalLogPublisher.addObserver(self._story)
        self._recall()
        for bot in self._bots[:1]:
            while len(self._chats) < _AT_FIRST:
                self._join(bot.name)
        verifying = Deferred.fromCoroutine(self._verify())
        verifying.addErrback(
            lambda why: self._log.failure("a defect", why, event="defect")
        )

    def stopService(self) -> None:
        super().stopService()
        globalLogPublisher.removeObserver(self._story)
        self._stream.stop()

    async def _verify(self) -> None:
        """
        Ask each webhook whether it is the app's, as Meta does when an app is
        set up.
        """
        for bot in self._bots:
            agreed = await self._meta.verify(self._callback(bot), bot.verify_token)
            self._story.add(
                Line(
                    station="webhook",
                    title="The webhook is verified"
                    if agreed
                    else "The webhook's verification failed",
                    detail=bot.name,
                    tone="good" if agreed else "bad",
                )
            )
        self._announce(f"{self._address}/")

    def _callback(self, bot: SandboxBot) -> str:
        return f"{self._daemon}/v1/facebook/webhook/{bot.name}"

    # What Meta does

    def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Deferred[int]:
        return Deferred.fromCoroutine(self._deliver(url, body, headers))

    async def _deliver(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        digest = hashlib.sha256(body).digest()
        attempt = self._deliveries[digest] = self._deliveries.get(digest, 0) + 1
        while len(self._deliveries) > _MOST_DELIVERIES:
            self._deliveries.popitem(last=False)
        self._story.add(delivering(body, attempt))
        began, status = self._clock.seconds(), None
        try:
            sent = Headers({name: [value] for name, value in headers.items()})
            answer = await self._call(
                "POST", url, headers=sent, body=body, deadline=_DEADLINE
            )
            status = int(answer.status)
        finally:
            took = self._clock.seconds() - began
            self._story.add(delivered(body, status, took))
        if status == 200:
            for item in read_items(body):
                said = item.get("message") or item.get("postback") or {}
                self._mark(person_of(item), Mark.DELIVERED, said.get("mid"))
        return status

    def _get(self, url: str) -> Deferred[tuple[int, bytes]]:
        async def get() -> tuple[int, bytes]:
            answer = await self._call(
                "GET", url, headers=Headers(), body=None, deadline=_DEADLINE
            )
            return answer.status, answer.body

        return Deferred.fromCoroutine(get())

    def _note(self, fact: Fact) -> None:
        """
        Show a fact to those whom it concerns.
        """
        if isinstance(fact, Wrote | Applied) and fact.psid in self._chats:
            self._memory.add(fact)
            self._show(fact)
        elif isinstance(fact, Acted):
            self._acted(fact)
        self._story.fact(fact)

    def _show(self, fact: Wrote | Applied) -> None:
        page, chat = self._meta.pages[fact.page], self._chats[fact.psid]
        del page.threads[fact.psid][:-MOST_THREAD]
        by = "person"
        if isinstance(fact, Applied):
            by = "bot" if fact.app_id == page.app.id else "human"
            self._mark(fact.psid, Mark.SEEN)
        bubble = Bubble(mid=fact.mid, by=by, text=fact.text, at=fact.at)
        chat.add(bubble)
        self._stream.tell("bubble", {"psid": chat.psid, **bubble.document()})

    def _acted(self, fact: Acted) -> None:
        chat = self._chats.get(fact.psid)
        if chat is None:
            return
        if fact.action == "mark_seen":
            self._mark(fact.psid, Mark.SEEN)
        else:
            chat.typing = fact.action == "typing_on"
            document = {"psid": chat.psid, "typing": chat.typing}
            self._stream.tell("typing", document)

    def _mark(self, psid: str, mark: Mark, mid: str | None = None) -> None:
        chat = self._chats.get(psid)
        mids = [] if chat is None else chat.mark(mark, mid)
        if mids:
            document = {"psid": psid, "mids": mids, "mark": mark.name.lower()}
            self._stream.tell("mark", document)

    # What one does on the page

    def _do(self, action: Action) -> None:
        if isinstance(action, Join):
            self._join(action.bot)
        elif isinstance(action, Flip):
            self._switches.flip(action.trouble, action.on)
            self._meta.habits = self._switches.habits()
            self._stream.tell("switches", self._switches.positions())
        else:
            self._act(action, self._chat(action.psid))

    def _act(self, action: Say | Tap | Answer, chat: Chat) -> None:
        if isinstance(action, Answer):
            self._meta.human(chat.page, chat.psid, action.text)
        elif isinstance(action, Tap):
            self._meta.postback(chat.page, chat.psid, action.payload, action.title)
        else:
            reply = (
                {}
                if action.payload is None
                else {"quick_reply": {"payload": action.payload}}
            )
            self._meta.message(chat.page, chat.psid, action.text, **reply)

    def _chat(self, psid: str) -> Chat:
        try:
            return self._chats[psid]
        except KeyError:
            raise RejectedRequest(404, "no such person") from None

    def _join(self, name: str) -> None:
        bot = next((bot for bot in self._bots if bot.name == name), None)
        if bot is None or len(self._chats) >= len(NAMES):
            raise RejectedRequest(409, "no such bot, or no room for one more")
        joined = Joined(
            at=self._meta.now(),
            page=list(self._meta.pages)[self._bots.index(bot)],
            psid=str(self._random.randrange(10**16, 9 * 10**16)),
            name=NAMES[len(self._chats)],
        )
        self._memory.add(joined)
        self._welcome(joined, bot)

    def _welcome(self, joined: Joined, bot: SandboxBot) -> None:
        psid = joined.psid
        chat = Chat(psid, joined.name, bot.name, joined.page)
        self._chats[psid] = chat
        self._aliases[bot.alias(psid)] = psid
        self._meta.pages[joined.page].people[psid] = joined.at
        self._stream.tell("person", chat.document())

    def _recall(self) -> None:
        """
        Go on where an earlier run ended.
        """
        bots = dict(zip(self._meta.pages, self._bots, strict=True))
        for fact in self._memory.recall():
            if isinstance(fact, Joined):
                if fact.page in bots and len(self._chats) < len(NAMES):
                    self._welcome(fact, bots[fact.page])
            elif fact.psid in self._chats:
                page = self._meta.pages[fact.page]
                page.threads.setdefault(fact.psid, []).append(fact)
                if isinstance(fact, Wrote):
                    page.people[fact.psid] = fact.at
                self._show(fact)
                self._mark(fact.psid, Mark.DELIVERED)

    def _state(self) -> dict[str, object]:
        """
        Make what a page needs that begins.
        """
        return {
            "bots": [bot.name for bot in self._bots],
            "people": [chat.document() for chat in self._chats.values()],
            "room": len(NAMES),
            "switches": self._switches.positions(),
            "suggestions": list(self._suggestions),
            "lines": self._story.lines(),
        }
