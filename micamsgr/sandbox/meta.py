"""
A stand-in for Meta itself: apps, Pages, the people who write to them, and
the webhooks by which an app is told.

Source: docs/messenger-platform.md, sections 1 to 3 and 6.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice, repeat
from random import Random
from typing import Any
from urllib.parse import urlencode

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from micamsgr.sandbox.accounts import FIELDS, App, Page, User
from micamsgr.sandbox.journal import Applied, Journal, Posted, Subscribed, Wrote

__all__ = ["FIELDS", "PAGE_INBOX", "App", "Habits", "Meta", "Page"]

#: The app ID of the inbox in which a Page's staff answer; section 3.2.
PAGE_INBOX = "263902037430900"

# Meta counts a notification as failed that is not answered by then, in
# seconds; section 2.4.
_DEADLINE = 5.0

Post = Callable[[str, bytes, Mapping[str, str]], Deferred[int]]
Get = Callable[[str], Deferred[tuple[int, bytes]]]


@frozen(kw_only=True)
class Habits:
    """
    How Meta delivers.  Chances are from 0.0 to 1.0, times in seconds.

    :ivar window: for how long events are gathered into one POST.
    :ivar doubles: the chance that a POST is made a second time although it
        succeeded.
    :ivar reorders: the chance that an event is held back.
    :ivar spread: the most by which a double or an event held back is late.
    :ivar retries: the waits before each further attempt; the last of them is
        repeated.
    :ivar attempts: after so many a notification is given up; ``None``: never.
    :ivar patience: after this long without a success the app is unsubscribed
        from the Page.
    """

    window: float = 0.0
    doubles: float = 0.0
    reorders: float = 0.0
    spread: float = 2.0
    retries: tuple[float, ...] = (0.0, 0.0, 2.0, 5.0, 15.0, 30.0, 60.0)
    attempts: int | None = None
    patience: float = 3600.0


@frozen
class _Event:
    page: Page
    channel: str
    item: Mapping[str, Any]


@define(eq=False, repr=False)
class Meta:
    """
    Tell apps what happens to their Pages.

    What happens is in the thread and the journal at once; an app is told of
    it if the Page is subscribed to it and the app has a callback.

    :ivar _clock: for every wait; its ``seconds()`` are taken as Unix time.
    :ivar _post: makes one POST and gives the status of the answer.
    :ivar _get: makes one GET and gives the status and body of the answer.
    :ivar pages: by ID; a test opens its Pages by putting them here.
    :ivar users: those who have a role on Pages, by ID; likewise.
    :ivar habits: may be replaced at any time.
    :ivar skew: by how many seconds Meta's clock is ahead of ours.
    """

    _clock: IReactorTime
    _random: Random
    journal: Journal
    _post: Post
    _get: Get
    habits: Habits = field(factory=Habits, kw_only=True)
    skew: float = field(default=0.0, kw_only=True)

    pages: dict[str, Page] = field(factory=dict, init=False)
    users: dict[str, User] = field(factory=dict, init=False)
    _gathered: list[_Event] = field(factory=list, init=False)
    _gathering: bool = field(default=False, init=False)

    _log = Logger()

    def now(self) -> float:
        """Tell the time by Meta's clock, in seconds since the epoch."""
        return self._clock.seconds() + self.skew

    def new_id(self, prefix: str) -> str:
        """Make an ID such as Meta gives, that nothing else has."""
        text = base64.urlsafe_b64encode(self._random.randbytes(48)).decode("ascii")
        return f"{prefix}_{text}"

    # What people do

    def message(self, page: str, psid: str, text: str | None, **more: object) -> str:
        """
        Let a person write to a Page.

        :param text: ``None`` for a message without, such as a picture.
        :param more: further members of ``message``, such as ``quick_reply``.

        :return: the message's mid.
        """
        mid = self.new_id("m")
        message = {"mid": mid, **({} if text is None else {"text": text}), **more}
        self._wrote(page, psid, mid, text or "")
        self._did(page, psid, "messages", message=message)
        return mid

    def postback(self, page: str, psid: str, payload: str, title: str = "") -> str:
        """
        Let a person tap a button.

        :return: the postback's mid.
        """
        mid = self.new_id("m")
        self._wrote(page, psid, mid, title)
        postback = {"mid": mid, "title": title, "payload": payload}
        self._did(page, psid, "messaging_postbacks", postback=postback)
        return mid

    def read(self, page: str, psid: str) -> None:
        """Let a person see all that the Page has written."""
        read = {"watermark": int(self.now() * 1000)}
        self._did(page, psid, "message_reads", read=read)

    def delivery(self, page: str, psid: str, *mids: str) -> None:
        """Let messages of the Page reach a person's device."""
        delivery = {"mids": mids, "watermark": int(self.now() * 1000)}
        self._did(page, psid, "message_deliveries", delivery=delivery)

    def human(self, page: str, psid: str, text: str, app_id: str = PAGE_INBOX) -> str:
        """
        Let one of the Page's staff, or another app, write to a person.

        :return: the message's mid.
        """
        said = self.say(page, psid, text, app_id=app_id)
        self.echo(said)
        return said.mid

    # What the Page says

    def say(
        self,
        page: str,
        psid: str,
        text: str,
        *,
        metadata: str | None = None,
        app_id: str,
    ) -> Applied:
        """
        Put a message of the Page into the person's thread, telling nobody.
        """
        said = Applied(
            at=self.now(),
            page=page,
            psid=psid,
            mid=self.new_id("m"),
            text=text,
            metadata=metadata,
            app_id=app_id,
        )
        self.pages[page].threads.setdefault(psid, []).append(said)
        self.journal.add(said)
        return said

    def echo(
        self,
        said: Applied,
        *,
        app_id: bool = True,
        metadata: bool = True,
        delay: float = 0.0,
    ) -> None:
        """
        Tell the app what the Page said.

        :param app_id: whether to say which app said it.
        :param metadata: whether to give the metadata, if there was any.
        :param delay: seconds to wait first.
        """
        message: dict[str, object] = {"mid": said.mid, "is_echo": True}
        if said.text:
            message["text"] = said.text
        if app_id:
            message["app_id"] = int(said.app_id)
        if metadata and said.metadata is not None:
            message["metadata"] = said.metadata
        item = {
            "sender": {"id": said.page},
            "recipient": {"id": said.psid},
            "timestamp": int(said.at * 1000),
            "message": message,
        }
        tell = partial(self.event, said.page, item, about="message_echoes")
        if delay > 0.0:
            self._clock.callLater(delay, tell)
        else:
            tell()

    # What the app is told

    def event(
        self,
        page: str,
        item: Mapping[str, Any],
        *,
        about: str = "messages",
        channel: str = "messaging",
    ) -> None:
        """
        Deliver one event of any shape.

        :param item: an element of the entry's *channel*.
        :param about: the field that the Page must be subscribed to.
        """
        if not self.pages[page].told_of(about):
            return
        event = _Event(self.pages[page], channel, item)
        if self._random.random() < self.habits.reorders:
            self._clock.callLater(self._lateness(), self._gather, event)
        else:
            self._gather(event)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Put the events of the block into one POST for each app."""
        self._gathering = True
        try:
            yield
        finally:
            self._flush()

    def raw(self, page: str, body: bytes, signed: bool = True) -> Deferred[int | None]:
        """
        Make one POST of exactly these bytes.

        :return: the status of the answer; ``None`` where none came in time.
        """
        app = self.pages[page].app
        return Deferred.fromCoroutine(self._attempt(app, body, 1, signed))

    async def verify(self, callback: str, verify_token: str) -> bool:
        """
        Ask a callback whether it is the app's, and say whether it agreed.
        """
        challenge = str(self._random.randrange(10**9, 2**31))
        query = [
            ("hub.mode", "subscribe"),
            ("hub.challenge", challenge),
            ("hub.verify_token", verify_token),
        ]
        # Meta's own samples differ in the order.
        self._random.shuffle(query)
        try:
            answer = await self._get(f"{callback}?{urlencode(query)}").addTimeout(
                _DEADLINE, self._clock
            )
        except Exception as error:
            self._log.debug(
                "no answer, verifying: {why}",
                event="sandbox.not_verified",
                why=type(error).__name__,
            )
            return False
        return answer == (200, challenge.encode("ascii"))

    def _wrote(self, page: str, psid: str, mid: str, text: str) -> None:
        wrote = Wrote(at=self.now(), page=page, psid=psid, mid=mid, text=text)
        self.pages[page].people[psid] = wrote.at
        self.pages[page].threads.setdefault(psid, []).append(wrote)
        self.journal.add(wrote)

    def _did(self, page: str, psid: str, about: str, **what: object) -> None:
        people = {"sender": {"id": psid}, "recipient": {"id": page}}
        item = {**people, "timestamp": int(self.now() * 1000), **what}
        self.event(page, item, about=about)

    def _lateness(self) -> float:
        return self._random.uniform(0.0, self.habits.spread)

    def _gather(self, event: _Event) -> None:
        self._gathered.append(event)
        if self._gathering:
            return
        if self.habits.window > 0.0:
            self._gathering = True
            self._clock.callLater(self.habits.window, self._flush)
        else:
            self._flush()

    def _flush(self) -> None:
        events, self._gathered, self._gathering = self._gathered, [], False
        for app in dict.fromkeys(event.page.app for event in events):
            theirs = [event for event in events if event.page.app is app]
            body = as_json(_envelope(theirs, int(self.now() * 1000)))
            pages = list(dict.fromkeys(event.page for event in theirs))
            self._begin(app, pages, body)
            if self._random.random() < self.habits.doubles:
                self._clock.callLater(self._lateness(), self._begin, app, pages, body)

    def _begin(self, app: App, pages: list[Page], body: bytes) -> None:
        delivering = Deferred.fromCoroutine(self._deliver(app, pages, body))
        delivering.addErrback(
            lambda failure: self._log.failure(
                "a defect, delivering", failure, event="defect"
            )
        )

    async def _deliver(self, app: App, pages: list[Page], body: bytes) -> None:
        waits = chain(self.habits.retries, repeat(self.habits.retries[-1]))
        for attempt, wait in enumerate(islice(waits, self.habits.attempts), 1):
            if not app.callback or not any(page.fields for page in pages):
                return
            if await self._attempt(app, body, attempt) == 200:
                for page in pages:
                    page.failing_since = None
                return
            for page in pages:
                self._failed(page)
            if wait > 0.0:
                await deferLater(self._clock, wait)

    def _failed(self, page: Page) -> None:
        if page.failing_since is None:
            page.failing_since = self.now()
        elif page.fields and self.now() - page.failing_since >= self.habits.patience:
            page.fields.clear()
            page.failing_since = None
            self.journal.add(Subscribed(at=self.now(), page=page.id, fields=()))

    async def _attempt(
        self, app: App, body: bytes, attempt: int, signed: bool = True
    ) -> int | None:
        headers = {"Content-Type": "application/json"}
        headers["User-Agent"] = "facebookexternalua"
        if signed:
            headers["X-Hub-Signature-256"] = signature(app.secret, body)
        url = app.callback
        status: int | None
        try:
            status = await self._post(url, body, headers).addTimeout(
                _DEADLINE, self._clock
            )
        except Exception as error:
            # Meta makes no difference between one failure and another.
            self._log.debug(
                "no answer to a delivery: {why}",
                event="sandbox.not_delivered",
                why=type(error).__name__,
            )
            status = None
        self.journal.add(
            Posted(at=self.now(), url=url, body=body, attempt=attempt, status=status)
        )
        return status


def signature(secret: str, body: bytes) -> str:
    """
    Sign a body as ``X-Hub-Signature-256`` has it.

    Source: docs/messenger-platform.md, section 2.3.
    """
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def as_json(document: object) -> bytes:
    """
    Write JSON as Meta does: ASCII alone, with every slash escaped.

    Source: docs/messenger-platform.md, section 2.3.
    """
    text = json.dumps(document, separators=(",", ":"))
    return text.replace("/", "\\/").encode("ascii")


def _envelope(events: list[_Event], at: int) -> dict[str, object]:
    """
    Put events of one app into one notification, an entry for each Page.

    :param at: milliseconds since the epoch.

    Source: docs/messenger-platform.md, section 2.1.
    """
    entries: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for event in events:
        entries.setdefault((event.page.id, event.channel), []).append(event.item)
    return {
        "object": "page",
        "entry": [
            {"time": at, "id": page, channel: items}
            for (page, channel), items in entries.items()
        ],
    }
