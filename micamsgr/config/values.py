"""
Everything that the operator decides, as frozen values.

Durations are seconds and sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from micamsgr.conversation.events import BotName, PageId
from micamsgr.conversation.policy import Delivery, Handover, Limits, Manners

OPENAI = "https://api.openai.com/v1/chat/completions"


@frozen
class Secret:
    """
    Text that neither ``repr`` nor ``str`` shows.
    """

    value: str = field(repr=False)


@frozen(kw_only=True)
class LanguageModel:
    """
    One LLM, and how it is called.

    :ivar provider: ``openai`` (any compatible server) or ``demo``.
    :ivar url: what chat completions are POSTed to.
    :ivar headers: sent as they stand.
    :ivar api_key: sent as Bearer where *headers* has no ``Authorization``.
    :ivar parameters: further members of the request, by the API's names; only
        those that the operator set.
    :ivar timeout: the most that one call may take.
    :ivar concurrency: the most calls at once, per bot.
    :ivar fallbacks: tried in this order; all ``openai``, and without fallbacks
        of their own.
    """

    provider: str = "openai"
    url: str = OPENAI
    model: str = "gpt-4o-mini"
    headers: Mapping[str, Secret] = field(factory=dict)
    api_key: Secret | None = None
    parameters: Mapping[str, object] = field(factory=dict)
    timeout: float = 60.0
    concurrency: int = 200
    fallbacks: tuple[LanguageModel, ...] = ()


@frozen(kw_only=True)
class Facebook:
    """
    A Page, and the app through which it is reached.

    :ivar secret: the app secret.
    :ivar page_id: ``None``: asked of the Graph API.
    :ivar graph_url: without a slash at its end.
    """

    verify_token: Secret
    page_access_token: Secret
    secret: Secret
    page_id: PageId | None = None
    app_id: str | None = None
    graph_url: str = "https://graph.facebook.com"
    api_version: str = "v25.0"
    mark_seen: bool = True


@frozen(kw_only=True)
class Assistant:
    """
    What the LLM is told, and how it behaves towards people.

    :ivar instructions: the system prompt.
    """

    instructions: str = (
        "You are the friendly assistant of this Facebook Page. Answer the person"
        " who writes to the Page briefly, in plain text without markup, and in"
        " the person's own language. If you don't know something, say so; never"
        " invent facts about the Page or its owner."
    )
    manners: Manners = field(factory=Manners)


@frozen
class Subscriptions:
    """
    :ivar repair: subscribe the Page again when Meta has dropped us.
    """

    repair: bool = True


@frozen(kw_only=True)
class Bot:
    """
    One assistant on one Page.

    :ivar allow: PSIDs; if there are any, only they are answered.
    """

    name: BotName
    llm: LanguageModel
    facebook: Facebook
    assistant: Assistant = field(factory=Assistant)
    handover: Handover = field(factory=Handover)
    delivery: Delivery = field(factory=Delivery)
    limits: Limits = field(factory=Limits)
    subscriptions: Subscriptions = field(factory=Subscriptions)
    allow: tuple[str, ...] = ()


@frozen(kw_only=True)
class CertificatePair:
    """
    A certificate and its key.

    :ivar certificate: absolute path of the chain, in PEM.
    :ivar private_key: absolute path, in PEM.
    """

    certificate: str
    private_key: str


@frozen(kw_only=True)
class TLS(CertificatePair):
    """
    Where HTTPS is spoken, and how; the certificate is that for names which no
    further one is for.

    :ivar listen: Twisted endpoint strings, to which TLS is yet to be added.
    :ivar further: for those who ask for their names.
    :ivar modern: whether only TLS 1.3 is spoken.
    :ivar hsts: whole seconds for which browsers are to come only by TLS; 0:
        they are told nothing.
    """

    listen: tuple[str, ...] = ("tcp:443:backlog=1024",)
    further: tuple[CertificatePair, ...] = ()
    modern: bool = False
    hsts: float = 730 * 86400.0


@frozen
class Admin:
    """
    :ivar listen: Twisted endpoint strings; empty: off.
    """

    listen: tuple[str, ...] = ()


@frozen
class Sandbox:
    """
    :ivar listen: Twisted endpoint strings, on loopback only; empty: off.
    """

    listen: tuple[str, ...] = ()


@frozen(kw_only=True)
class Clients:
    """
    What those who connect to us may take.

    :ivar connections: most at once.
    :ivar per_address: most at once from one address, unless it is loopback or
        a trusted proxy.
    :ivar trusted_proxies: IP addresses and networks.
    :ivar body: most bytes of one request.
    :ivar unverified: most bytes, of all requests together, held before their
        signatures are checked.
    """

    connections: int = 10_000
    per_address: int = 256
    trusted_proxies: tuple[str, ...] = ()
    body: int = 3 << 20
    unverified: int = 64 << 20


@frozen(kw_only=True)
class Log:
    """
    :ivar level: ``debug``, ``info``, ``warn``, ``error`` or ``critical``.
    :ivar format: ``text`` or ``json``.
    :ivar texts: whether what people wrote is logged.
    """

    level: str = "info"
    format: str = "text"
    texts: bool = False


@frozen(kw_only=True)
class Retention:
    """
    For how long things are kept.

    :ivar texts: what was said.
    :ivar raw: what could not be read.
    :ivar ledger: what was done, without texts.
    """

    texts: float = 30 * 86400.0
    raw: float = 7 * 86400.0
    ledger: float = 400 * 86400.0


@frozen(kw_only=True)
class Config:
    """
    A whole configuration; there is at least one bot.

    :ivar listen: Twisted endpoint strings for plain HTTP.
    :ivar store: absolute path of the SQLite file.
    :ivar public_url: what Meta calls, without a slash at its end.
    :ivar places: by endpoint string, each of them: the file, line and key that
        name it.
    :ivar warnings: for the operator, a line each.
    :ivar without_effect: dotted keys that the file gives, and whose feature
        is not built yet.
    """

    bots: tuple[Bot, ...]
    store: str
    listen: tuple[str, ...] = ()
    tls: TLS | None = None
    admin: Admin = field(factory=Admin)
    clients: Clients = field(factory=Clients)
    log: Log = field(factory=Log)
    sandbox: Sandbox = field(factory=Sandbox)
    retention: Retention = field(factory=Retention)
    public_url: str | None = None
    places: Mapping[str, str] = field(factory=dict, eq=False)
    warnings: tuple[str, ...] = ()
    without_effect: tuple[str, ...] = ()
