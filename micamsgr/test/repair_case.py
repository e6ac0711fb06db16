"""
A Page at Meta, as the Graph API shows it, and a bot that looks after it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from math import isnan
from typing import Any
from urllib.parse import parse_qs, urlsplit

from attrs import define, field
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from micamsgr.conversation.events import Event, PageId, Psid
from micamsgr.conversation.pacing import TokenBucket
from micamsgr.conversation.policy import Handover
from micamsgr.conversation.reception import arrival
from micamsgr.errors import OutcomeUnknown
from micamsgr.httpcall import Answer
from micamsgr.messenger.catch_up import CatchUp
from micamsgr.messenger.graph import GraphMessenger
from micamsgr.messenger.repair import Repair
from micamsgr.messenger.subscriptions import Subscriptions
from micamsgr.testing import BOT, PAGE, FixedClocks, memory_store

APP = "731904582216637"

#: What a Page is subscribed to, if all is well.
NEEDED = ["messages", "messaging_postbacks", "message_echoes"]

#: How an answer looks that tells of a missing permission.
DENIED = (403, {"error": {"code": 200, "message": "Requires a permission"}})


@define(eq=False)
class PageAtMeta:
    """
    Answer the Graph API's calls about one Page.

    :ivar fields: what the app is told of; ``None``: it is not subscribed.
    :ivar threads: by PSID: mid, seconds since the epoch, text, by the Page.
    :ivar trouble: by what a path ends with, what comes instead of an answer.
    :ivar asked: when, how and what was asked, oldest first.
    :ivar prefix: what the IDs of messages begin with, beside those of webhooks.
    :ivar cuts: the answer to a change never comes, though it is made.
    :ivar lag: how old a message is before its thread shows it, in seconds.
    """

    _clock: Clock
    _now: Callable[[], float]
    fields: list[str] | None = field(factory=lambda: list(NEEDED))
    threads: dict[str, list[tuple[str, float, str, bool]]] = field(factory=dict)
    trouble: dict[str, Any] = field(factory=dict)
    asked: list[tuple[float, str, str]] = field(factory=list)
    prefix: str = ""
    cuts: bool = False
    lag: float = 0.0

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Headers,
        body: bytes | None,
        deadline: float,
    ) -> Answer:
        path = urlsplit(url).path
        query = {name: it[0] for name, it in parse_qs(urlsplit(url).query).items()}
        assert query.pop("appsecret_proof")
        edge = path.rpartition("/")[2]
        self.asked.append((self._clock.seconds(), method, f"{edge} {query}"))
        trouble = self.trouble.get(query.get("user_id", edge))
        if isinstance(trouble, Exception):
            raise trouble
        status, document = trouble or (200, self._answer(method, edge, query))
        if self.cuts and method == "POST":
            raise OutcomeUnknown("cut off")
        return Answer(status, Headers(), json.dumps(document).encode())

    def _answer(self, method: str, edge: str, query: dict[str, str]) -> Any:
        if edge == "subscribed_apps":
            if method == "POST":
                self.fields = query["subscribed_fields"].split(",")
                return {"success": True}
            fields = self.fields
            app = {"id": APP, "name": "Mica", "subscribed_fields": fields}
            return {"data": [] if fields is None else [app]}
        assert (method, edge) == ("GET", "conversations"), edge
        psid = query.get("user_id")
        if psid is not None:
            shown = self._now() - self.lag
            theirs = [it for it in self.threads[psid] if not it[1] > shown]
            messages = [self._message(psid, *it) for it in theirs][::-1]
            return {"data": [{"id": "t", "messages": {"data": messages[:20]}}]}
        newest = sorted(self.threads, key=lambda it: -self.threads[it][-1][1])
        begin, size = int(query.get("after", "0")), int(query["limit"])
        listed = [self._thread(psid) for psid in newest[begin : begin + size]]
        more = begin + size < len(newest)
        following = "https://elsewhere.example/?access_token=x&after="
        paging = {"next": f"{following}{begin + size}"} if more else {}
        return {"data": listed, "paging": paging}

    def _thread(self, psid: str) -> dict[str, Any]:
        people = [{"id": psid, "name": "A person"}, {"id": PAGE, "name": "The Page"}]
        updated = _time(self.threads[psid][-1][1])
        return {"id": "t", "updated_time": updated, "participants": {"data": people}}

    def _message(
        self, psid: str, mid: str, at: float, text: str, by_page: bool
    ) -> dict[str, Any]:
        return {
            "id": self.prefix + mid,
            "created_time": _time(at),
            "from": {"id": PAGE if by_page else psid},
            "to": {"data": [{"id": psid if by_page else PAGE}]},
            "message": text,
        }

    def edges(self) -> list[str]:
        """
        Take what was asked: the method and what was asked for.
        """
        asked, self.asked[:] = list(self.asked), []
        return [f"{method} {what.partition(' ')[0]}" for _, method, what in asked]


def _time(at: float) -> str:
    if isnan(at):
        return "nobody knows"
    moment = datetime.fromtimestamp(int(at), timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S+0000")


class RepairCase(SynchronousTestCase):
    """
    A bot whose Page is looked after.

    :ivar options: how the catching up differs from the default.
    :ivar page: which Page is the bot's, as far as it knows.
    """

    repairs = True
    app: str | None = APP

    def setUp(self) -> None:
        self.clock = Clock()
        self.clocks = FixedClocks(self.clock)
        self.store = memory_store()
        self.meta = PageAtMeta(self.clock, self.now)
        self.options: dict[str, Any] = {}
        self.page: PageId | None = PAGE
        self.woken: list[int] = []
        self.hushed: list[int] = []
        self.look_ups = TokenBucket(2.0)
        self.events: list[LogEvent] = []
        hear: Any = self.events.append
        globalLogPublisher.addObserver(hear)
        self.addCleanup(globalLogPublisher.removeObserver, hear)

    def now(self) -> float:
        """
        Tell the time by Meta's clock, in seconds since the epoch.
        """
        return self.clocks.now().wall / 1000

    def graph(self) -> GraphMessenger:
        """
        Make what asks the Graph API.
        """
        return GraphMessenger(
            self.meta.call, "https://g.test/v25.0", "token", "secret", 15.0, _ignore
        )

    def start(self) -> Repair:
        """
        Start looking after the Page.
        """
        graph = self.graph()
        catch_up = CatchUp(
            BOT,
            self.clock,
            self.clocks.now,
            self.store,
            graph,
            self.look_ups,
            lambda psid: f"person {psid[-1]}",
            self.woken.extend,
            self.hushed.append,
            **self.options,
        )
        repair = Repair(
            BOT,
            self.clock,
            self.clocks.now,
            self.store,
            Subscriptions(BOT, graph, self.app, self.repairs),
            catch_up,
            lambda: self.page,
            lambda: 0.0,
        )
        repair.startService()
        self.addCleanup(self.stop, repair)
        return repair

    def stop(self, repair: Repair) -> None:
        """
        Stop, and leave no timer behind.
        """
        if repair.running:
            repair.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def deliver(self, *events: Event) -> None:
        """
        Let webhooks deliver events.
        """
        now = self.clocks.now()
        taken = [
            arrival(event, bot=BOT, ours=True, now=now, handover=Handover())
            for event in events
        ]
        self.successResultOf(self.store.record(taken, now))

    def write(
        self,
        psid: Psid,
        text: str,
        mid: str,
        ago: float = 0.0,
        by_page: bool = False,
    ) -> None:
        """
        Let somebody write, and nobody deliver it.
        """
        said = (mid, self.now() - ago, text, by_page)
        self.meta.threads.setdefault(psid, []).append(said)

    def wait(self, seconds: float) -> None:
        """
        Let so much time pass, in small steps.
        """
        self.clock.pump([0.25] * int(seconds * 4))

    def logged(self, level: str) -> list[str]:
        """
        Take the texts of what was logged at a level.
        """
        events, self.events[:] = list(self.events), []
        return [formatEvent(it) for it in events if it["log_level"].name == level]

    def kept(self) -> list[tuple[str, str, str | None]]:
        """
        Tell text, state and reason of what people said, in order of arrival.
        """
        query = "SELECT text, state, reason FROM event WHERE kind <> 'echo' ORDER BY id"
        return self.store.database.connection.execute(query).fetchall()


def _ignore(date: str | None) -> None:
    pass
