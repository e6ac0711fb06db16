"""
Meta, the Graph API and a language model on loopback ports, in the process of
the test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, TextIO, TypeVar

from attrs import define, field
from treq.client import HTTPClient
from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import (
    IDelayedCall,
    IListeningPort,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.task import deferLater
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import (
    URI,
    Agent,
    HTTPConnectionPool,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from micamsgr.sandbox.graph_api import GraphAPI
from micamsgr.sandbox.journal import Applied, Journal
from micamsgr.sandbox.language_model import LanguageModel
from micamsgr.sandbox.meta import App, Meta, Page, as_json, signature
from tests.ports import free_port

#: The ``Authorization`` header that the language model wants.
LLM_KEY = "Bearer sk-planted-LLM+key/7"

T = TypeVar("T")


@implementer(IReactorTime)
@define(eq=False)
class Timers:
    """
    The reactor's clock, whose delayed calls can be given up all at once.
    """

    _reactor: Any
    _calls: list[DelayedCall] = field(factory=list, init=False)
    _stopped: bool = field(default=False, init=False)

    def seconds(self) -> float:
        return float(self._reactor.seconds())

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any
    ) -> IDelayedCall:
        call = self._reactor.callLater(delay, callable, *args, **kw)
        self._calls = [it for it in self._calls if it.active()]
        self._calls.append(call)
        if self._stopped:
            call.cancel()
        return call  # type: ignore[no-any-return]

    def getDelayedCalls(self) -> list[IDelayedCall]:
        return [it for it in self._calls if it.active()]

    def stop(self) -> None:
        """Give up what is to come, and what is asked for from now on."""
        self._stopped = True
        for call in self._calls:
            if call.active():
                call.cancel()


@implementer(IAgentEndpointFactory)
@define(eq=False)
class Loopback:
    """
    Connect to addresses, without the timers of an attempt at a name.
    """

    _reactor: Any

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        host = uri.host.decode("ascii")
        return TCP4ClientEndpoint(self._reactor, host, uri.port, timeout=5)


@define(eq=False)
class Client:
    """
    Speak HTTP to the daemon, with a connection for each request.
    """

    _reactor: Any
    _http: HTTPClient = field(init=False)
    _in_flight: set[Deferred[Any]] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        pool = HTTPConnectionPool(self._reactor, persistent=False)
        loopback = Loopback(self._reactor)
        agent = Agent.usingEndpointFactory(self._reactor, loopback, pool)
        self._http = HTTPClient(agent)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Deferred[int]:
        """
        Make a POST.

        :return: the status of the answer.
        """
        sent = Headers({name: [value] for name, value in headers.items()})
        calling = self._http.post(url, data=body, headers=sent)
        return self._tracked(calling).addCallback(lambda answer: answer[0])

    def get(self, url: str) -> Deferred[tuple[int, bytes]]:
        """
        Make a GET.

        :return: the status and body of the answer.
        """
        return self._tracked(self._http.get(url))

    def form(self, url: str, **fields: str) -> Deferred[tuple[int, bytes]]:
        """
        POST a form as a browser does.

        :return: the status and body of the answer.
        """
        return self._tracked(self._http.post(url, data=fields))

    def notify(self, url: str, secret: str, document: object) -> Deferred[int]:
        """
        POST a notification as Meta writes and signs it.
        """
        body = as_json(document)
        signed = {"X-Hub-Signature-256": signature(secret, body)}
        return self.post(url, body, {"Content-Type": "application/json", **signed})

    def stop(self) -> None:
        """Give up what is in flight."""
        for calling in list(self._in_flight):
            calling.cancel()

    def _tracked(self, calling: Deferred[Any]) -> Deferred[tuple[int, bytes]]:
        reading = Deferred.fromCoroutine(_read(calling))
        self._in_flight.add(reading)

        def ended(result: T) -> T:
            self._in_flight.discard(reading)
            return result

        return reading.addBoth(ended)


async def _read(calling: Deferred[Any]) -> tuple[int, bytes]:
    response = await calling
    return response.code, await response.content()


@define(eq=False)
class Listening:
    """
    A site, and where it listens; it can be shut and opened again.
    """

    _reactor: Any
    _site: WrappingFactory[ProtocolWrapper]
    port: int = 0
    _listening: IListeningPort | None = field(default=None, init=False)

    def open(self) -> None:
        """Listen, each time on the same port."""
        listening = self._reactor.listenTCP(
            self.port or free_port(), self._site, interface="127.0.0.1"
        )
        self._listening, self.port = listening, listening.getHost().port

    async def shut(self) -> None:
        """
        Refuse new connections, and end those that there are.
        """
        if self._listening is not None:
            await maybeDeferred(self._listening.stopListening)
        self._listening = None
        for connection in list(self._site.protocols):
            connection.transport.abortConnection()
        while self._site.protocols:
            await deferLater(self._reactor, 0.01)


@define(eq=False)
class StandIns:
    """
    The stand-ins, once they have been started.

    :ivar graph_url: for ``facebook.graph_url``.
    :ivar llm_url: for ``llm_config.server``.
    """

    _reactor: Any
    seed: int = 0
    _journal_file: TextIO | None = None

    journal: Journal = field(init=False)
    client: Client = field(init=False)
    meta: Meta = field(init=False)
    graph: GraphAPI = field(init=False)
    model: LanguageModel = field(init=False)
    graph_url: str = field(default="", init=False)
    llm_url: str = field(default="", init=False)
    _timers: Timers = field(init=False)
    # What listens, by the root of its site.
    _sites: dict[Resource, Listening] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        random = Random(self.seed)
        self._timers = Timers(self._reactor)
        self.journal = Journal(self._journal_file)
        self.client = Client(self._reactor)
        post, get = self.client.post, self.client.get
        self.meta = Meta(self._timers, random, self.journal, post, get)
        self.graph = GraphAPI(self._timers, random, self.meta)
        self.model = LanguageModel(
            self._timers, random, self.journal, authorization=LLM_KEY
        )

    def start(self) -> None:
        """Listen, on ports that the system chooses."""
        self.graph_url = self._listen(self.graph)
        self.llm_url = self._listen(self.model)

    def site(self, root: Resource) -> Listening:
        """
        Find where one of the stand-ins listens.
        """
        return self._sites[root]

    def open_page(
        self, callback: str, page: str = "108463527190842", app: App | None = None
    ) -> Page:
        """
        Open a Page.

        :param app: whose it is; by default of one of its own.
        :param callback: where that one is notified.
        """
        app = app or App(f"7{page}", f"secret-of-{page}", callback=callback)
        opened = self.meta.pages[page] = Page(page, f"token-of-{page}", app)
        return opened

    def said(self, psid: str) -> list[str]:
        """
        Say what reached a person, oldest first.
        """
        return [said.text for said in self.journal.of(Applied) if said.psid == psid]

    async def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        """
        Wait for facts in the journal.

        :raises twisted.internet.defer.TimeoutError: where they are not there
            in time.
        """
        await self.journal.until(condition).addTimeout(seconds, self._reactor)

    async def stop(self) -> None:
        """
        Stop, and leave neither timers nor connections behind.
        """
        self._timers.stop()
        self.client.stop()
        for site in self._sites.values():
            await site.shut()

    def _listen(self, resource: Resource) -> str:
        site: WrappingFactory[ProtocolWrapper] = WrappingFactory(Site(resource))
        listening = self._sites[resource] = Listening(self._reactor, site)
        listening.open()
        return f"http://127.0.0.1:{listening.port}"
