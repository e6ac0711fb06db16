"""
What is asked, and how an answer is read.

Nothing here waits, prints or opens a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from micamsgr.check.subscribed import WEBHOOK
from micamsgr.config.document import ConfigError, Node, Source
from micamsgr.config.readers import Reader, chat_url, endpoint, secret, url, word

#: What makes the demo of an LLM's server.
DEMO = "demo"

_ID = "[0-9]{1,20}"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_WHOLE_HEADER = re.compile(r"([A-Za-z0-9-]+):\s+(\S.*)")

# Environment variables that hold secrets, so that no list of processes does.
APP_SECRET, TOKEN, LLM_KEY = "MICA_APP_SECRET", "MICA_TOKEN", "MICA_LLM_KEY"


class Unfit(ValueError):
    """An answer is none; says why, and shows nothing of it."""


@frozen(kw_only=True)
class Question:
    """
    Something that the operator has to say.

    :ivar name: of the answer.
    :ivar asked: what it is, as one would ask for it.
    :ivar hint: where it is found, or what it is for.
    :ivar given: how a program says it.
    :ivar read: makes the answer of what was typed; may raise :exc:`Unfit`.
    :ivar hidden: whether it is a secret.
    :ivar default: what it is where nothing was typed; ``None``: something must
        be.
    """

    name: str
    asked: str
    hint: str
    given: str
    read: Callable[[str], str]
    hidden: bool = False
    default: str | None = None


def read_by(reader: Reader[Any], text: str) -> Any:
    """
    Read a text as the configuration would.

    :raises Unfit: it would not.
    """
    nowhere = Node(Source("", Path("/"), {}), "", None, None)
    try:
        return reader(nowhere.standing(text.replace("${", "$${")))
    except ConfigError as error:
        raise Unfit(error.faults[0].problem) from None


def public_url(text: str) -> str:
    """
    Read where Meta reaches us; the whole callback URL, or a domain alone, will
    do.
    """
    text = text.strip().partition(WEBHOOK)[0]
    if text and "://" not in text:
        text = f"https://{text}"
    return str(read_by(url("https://bot.example.org"), text))


def needs_https(public: str, graph: str) -> bool:
    """
    Say whether a public URL is of no use, as Meta calls none without TLS; a
    stand-in on this machine does.
    """
    near = urlsplit(graph).hostname in _LOOPBACK
    return urlsplit(public).scheme.lower() != "https" and not near


def llm_server(text: str) -> str:
    """Read an LLM's server, or the word that stands for the demo."""
    text = text.strip()
    if text.lower() == DEMO:
        return DEMO
    read_by(chat_url, text)
    return text


def header_of(name: str, text: str) -> tuple[str, str]:
    """
    Make the header that carries a key.

    :param name: of the header, unless *text* is a whole one.
    :param text: as it was typed: a key, or what follows the header's name, or
        a whole header.
    """
    text = text.strip()
    whole = _WHOLE_HEADER.fullmatch(text)
    if whole:
        name, text = whole.groups()
    if name.lower() == "authorization" and text and " " not in text:
        text = f"Bearer {text}"
    return name, text


def _llm_key(text: str) -> str:
    _, value = header_of("", text)
    if value:
        read_by(secret("the LLM's key", pattern=r"[ -~]+"), value)
    return text.strip()


def _secret(wanted: str) -> Callable[[str], str]:
    reader = secret(wanted)
    return lambda text: str(read_by(reader, text.strip()).value)


def _word(wanted: str, pattern: str) -> Callable[[str], str]:
    reader = word(wanted, pattern)
    return lambda text: str(read_by(reader, text.strip()))


def _file(text: str) -> str:
    return str(Path(text.strip()).expanduser().absolute()) if text.strip() else ""


_DASHBOARD = "at developers.facebook.com, your app, App settings, Basic"

PUBLIC_URL = Question(
    name="public_url",
    asked="Public URL",
    hint="Where Meta is to reach this server, such as https://bot.example.org: a"
    " domain of yours with a certificate, or the address of a tunnel.",
    given="--public-url",
    read=public_url,
)
BOT = Question(
    name="bot",
    asked="Name of the bot",
    hint="It becomes the end of the webhook's URL.",
    given="--bot",
    read=_word("letters, digits, dots, hyphens or underscores", "[A-Za-z0-9._-]{1,64}"),
    default="mica",
)
APP_ID = Question(
    name="app_id",
    asked="App ID",
    hint=f"A number; you find it {_DASHBOARD}. No app yet? There, “Create App”,"
    " and choose messaging.",
    given="--app-id",
    read=_word("the app's number, digits only", _ID),
)
APP_SECRET_ = Question(
    name="app_secret",
    asked="App secret",
    hint=f"You find it {_DASHBOARD}, “Show”.",
    given=f"the environment variable {APP_SECRET}, or --app-secret-file",
    read=_secret("the app secret"),
    hidden=True,
)
TOKEN_ = Question(
    name="token",
    asked="Access token",
    hint="A Page's: your app, Messenger, link your Page, “Generate Token”. Or your"
    " own: Tools, Graph API Explorer, with pages_show_list, pages_messaging,"
    " pages_manage_metadata and pages_read_engagement; the Page's is then fetched.",
    given=f"the environment variable {TOKEN}, or --token-file",
    read=_secret("the token"),
    hidden=True,
)
LLM_SERVER = Question(
    name="llm_server",
    asked="URL of the LLM's server",
    hint="Any that speaks OpenAI's chat completions; or demo, which needs none.",
    given="--llm-server",
    read=llm_server,
    default="https://api.openai.com",
)
LLM_MODEL = Question(
    name="llm_model",
    asked="Model",
    hint="",
    given="--llm-model",
    read=_word("the name of a model", r"\S(.*\S)?"),
    default="gpt-4o-mini",
)
LLM_HEADER = Question(
    name="llm_header",
    asked="Header that carries the key",
    hint="",
    given="--llm-header",
    read=_word("the name of a header", "[A-Za-z0-9!#$%&'*+.^_`|~-]+"),
    default="Authorization",
)
LLM_KEY_ = Question(
    name="llm_key",
    asked="Key of the LLM",
    hint="Nothing where the server wants none. As Authorization, a key alone gets"
    " “Bearer” before it.",
    given=f"the environment variable {LLM_KEY}, or --llm-key-file",
    read=_llm_key,
    hidden=True,
    default="",
)
CERTIFICATE = Question(
    name="certificate",
    asked="Certificate file",
    hint="The chain, in PEM, where the daemon itself is to do TLS. Nothing where a"
    " web server or a tunnel before it does; it then listens on 127.0.0.1:8080.",
    given="--certificate",
    read=_file,
    default="",
)
PRIVATE_KEY = Question(
    name="private_key",
    asked="Its private key",
    hint="",
    given="--private-key",
    read=_file,
)
PAGE = Question(
    name="page",
    asked="Which Page",
    hint="",
    given="--page",
    read=_word("its number in the list, or its ID", _ID),
)


def listen(text: str) -> str:
    """Read where plain HTTP is spoken."""
    read_by(endpoint, text)
    return text


def graph_url(text: str) -> str:
    """Read where the Graph API is."""
    return str(read_by(url("https://graph.facebook.com"), text))


api_version = _word("a version such as v25.0", r"v[0-9]{1,3}\.[0-9]{1,3}")
