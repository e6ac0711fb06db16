"""
How each kind of value is read.

A reader takes a :class:`~micamsgr.config.document.Node` and returns a value,
or raises :exc:`~micamsgr.config.document.ConfigError`.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from twisted.internet.endpoints import serverFromString
from twisted.internet.testing import MemoryReactor

from micamsgr.config.document import Node, gather
from micamsgr.config.values import Secret

T = TypeVar("T")
Reader = Callable[[Node], T]

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "KiB": 2**10,
    "MB": 10**6,
    "MiB": 2**20,
    "GB": 10**9,
    "GiB": 2**30,
}
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}
_AMOUNT = re.compile(r"(-?[0-9]{1,15}(?:\.[0-9]{1,15})?) ?([A-Za-z]*)")
_PLACEHOLDER = re.compile(
    r"\{?(your-[\w-]+|page-access-token)\}?|(bearer )?x{3,}|\.{3}", re.I
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_COLON = re.compile(r"(?<!\\):")
_EXAMPLE = "tcp:8080:interface=127.0.0.1"
# What a socket of systemd's is named by: its domain and one more.
_SOCKET = re.compile(r"domain=(INET6?|UNIX)|index=[0-9]{1,3}|name=[^=]+")
_SOCKETS = ({"domain", "index"}, {"domain", "name"})


def optional(read: Reader[T]) -> Reader[T | None]:
    """Let a key be given with nothing after it, which is ``None``."""
    return lambda node: None if node.null else read(node)


def each(read: Reader[T]) -> Reader[tuple[T, ...]]:
    """Read a list; one value counts as a list of one, nothing as none."""
    return lambda node: gather(partial(read, item) for item in node.items())


def word(wanted: str, pattern: str = r"\S+") -> Reader[str]:
    """
    Read text that is the whole of *pattern*.

    What can't be seen, such as a zero-width space that came along when the
    text was copied, is refused.
    """

    def read(node: Node) -> str:
        text = node.text(wanted)
        if not text.isprintable() or not re.fullmatch(pattern, text):
            raise node.refusal(f"expected {wanted}")
        return text

    return read


def prose(wanted: str) -> Reader[str]:
    """Read text of any number of lines."""

    def read(node: Node) -> str:
        text = node.text(wanted)
        if re.search(r"[\0-\x08\x0b-\x1f\x7f\ud800-\udfff]", text):
            raise node.refusal("holds a control character; take it away")
        if text.isspace():
            raise node.refusal(f"empty; put {wanted} here")
        return text

    return read


def message(node: Node) -> str:
    """
    Read what is to be sent as one message: at most 2000 UTF-16 units.

    Source: docs/messenger-platform.md, section 4.2.
    """
    text = prose("what the person is to read")(node)
    if len(text.encode("utf-16-le")) > 2 * 2000:
        raise node.refusal("expected at most 2000 characters, which Meta allows")
    return text


def is_placeholder(node: Node) -> bool:
    """
    Say whether what stands there is still what the guide has in its place.
    """
    return bool(_PLACEHOLDER.fullmatch(node.braced() or node.peek()))


def secret(wanted: str, where: str = "", *, pattern: str = r"[!-~]+") -> Reader[Secret]:
    """
    Read text that is never shown.

    :param where: it is found.
    :param pattern: by default visible ASCII without spaces.
    """

    def read(node: Node) -> Secret:
        held = "" if is_placeholder(node) else node.text(wanted, where)
        if not held:
            put = f"put {wanted} here{where and ', '}{where}"
            raise node.refusal(f"still the guide's placeholder; {put}")
        if held != held.strip():
            raise node.refusal("white space at an end; take it away")
        if not held.isprintable() or not re.fullmatch(pattern, held):
            raise node.refusal(
                f"a space or another character that {wanted} never holds; copy it again"
            )
        return Secret(held)

    return read


def headers(node: Node) -> dict[str, Secret]:
    """Read HTTP headers that are to be sent as they stand."""
    members, faults = node.members()

    def header(name: str, value: Node) -> tuple[str, Secret]:
        if not _HEADER_NAME.fullmatch(name):
            raise value.refusal("not a name that an HTTP header may have")
        if name.lower() == "authorization":
            wanted = "Bearer and the key of your LLM provider"
        else:
            wanted = "the header's value"
        return name, secret(wanted, pattern=r"[ -~]+")(value)

    readings = (partial(header, *member) for member in members.items())
    return dict(gather(readings, faults))


def _amount(node: Node, wanted: str, units: dict[str, int]) -> float:
    match = _AMOUNT.fullmatch(node.text(wanted))
    if match is None or match[2] not in units:
        raise node.refusal(f"expected {wanted}")
    return float(match[1]) * units[match[2]]


def number(
    least: float = 0,
    most: float = math.inf,
    *,
    above: float = -math.inf,
    wanted: str = "a number",
    units: dict[str, int] | None = None,
) -> Reader[float]:
    """Read a number within bounds, *above* exclusive."""
    bounds = [f"{least:g} or more"] if above < least else [f"above {above:g}"]
    bounds += [f"at most {most:g}"] if most < math.inf else []
    whole = f"{wanted}, {' and '.join(bounds)}"

    def read(node: Node) -> float:
        value = _amount(node, whole, units or {"": 1})
        if not max(least, above) <= value <= most or value == above:
            raise node.refusal(f"expected {whole}")
        return value

    return read


def duration(least: float = 0, *, above: float = -math.inf) -> Reader[float]:
    """Read seconds, or a number with ``s``, ``m``, ``h`` or ``d``."""
    wanted = "seconds, or a duration such as 10s, 15m, 12h or 30d"
    return number(least, above=above, wanted=wanted, units=_SECONDS)


def count(least: int, wanted: str = "a whole number") -> Reader[int]:
    read = number(least, wanted=wanted)

    def whole(node: Node) -> int:
        value = read(node)
        if value != int(value):
            raise node.refusal(f"expected {wanted}")
        return int(value)

    return whole


def size(least: int) -> Reader[int]:
    """Read bytes, or a number with a unit such as ``MiB`` or ``kB``."""
    read = number(least, wanted="bytes, or a size such as 64KiB or 3MiB", units=_BYTES)
    return lambda node: int(read(node))


def boolean(node: Node) -> bool:
    value = _BOOLEANS.get(node.text("true or false").lower())
    if value is None:
        raise node.refusal("expected true or false")
    return value


def choice(*names: str, remark: str = "") -> Reader[str]:
    """Read one of some words."""
    wanted = f"{', '.join(names[:-1])} or {names[-1]}{remark}"
    return word(wanted, "|".join(names))


def _url(node: Node, wanted: str) -> SplitResult:
    text = word(wanted, r"(?i:https?)://[!-~]+")(node)
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise node.refusal(f"expected {wanted}") from None
    if not url.hostname or port == 0 or url.fragment:
        raise node.refusal(f"expected {wanted}")
    if "@" in url.netloc:
        raise node.refusal("expected no name or password in the URL")
    if any(mark in url.hostname for mark in "{}<>"):
        raise node.refusal(f"still a placeholder in it; put {wanted} here")
    if not _is_host(url.hostname):
        raise node.refusal(
            "no name that a host can have: letters, digits and hyphens, in parts of at"
            " most 63, with one dot between them; or give its address"
        )
    return url


def _is_host(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return len(name) <= 253 and bool(_HOST.fullmatch(name))
    return True


def url(example: str) -> Reader[str]:
    """Read an HTTP URL, less the slashes at its end."""

    def read(node: Node) -> str:
        wanted = f"a URL such as {example}"
        found = _url(node, wanted)
        if found.query:
            raise node.refusal(f"expected {wanted}, without a ? in it")
        return found.geturl().rstrip("/")

    return read


def chat_url(node: Node) -> str:
    """
    Read an LLM server, and work out what chat completions are POSTed to.

    The server may be given with a slash at its end, ``/v1``, or the full path.
    """
    server = _url(node, "a URL such as https://api.openai.com")
    path = server.path.rstrip("/")
    if not path.endswith("/chat/completions"):
        path += "/chat/completions" if path.endswith("/v1") else "/v1/chat/completions"
    return server._replace(path=path).geturl()


def network(node: Node) -> str:
    wanted = "an IP address or network such as 10.0.0.0/8"
    text = word(wanted)(node)
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise node.refusal(f"expected {wanted}") from None


def file_path(node: Node) -> str:
    """Read a path, relative to the configuration file; made absolute."""
    path = word("the path of a file", ".+")(node)
    return str(node.source.directory.absolute() / path)


def store(node: Node) -> str:
    """
    Read where things are kept: by default ``mica.db``.

    :return: absolute path, relative to $STATE_DIRECTORY if there is one.
    """
    wanted = "sqlite: and the path of a file, such as sqlite:mica.db"
    text = "sqlite:mica.db" if node.absent else word(wanted, ".+")(node)
    scheme, _, path = text.partition(":")
    if scheme in ("postgresql", "postgres"):
        raise node.refusal(f"PostgreSQL is not built yet; put {wanted} here")
    if scheme != "sqlite" or not path or path.startswith(":") or path.endswith("/"):
        raise node.refusal(f"expected {wanted}")
    # systemd separates several with colons.
    state = node.source.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    directory = Path(state) if state else node.source.directory
    return str(directory.absolute() / path)


def endpoint(node: Node) -> str:
    """
    Read a Twisted server endpoint string, opening nothing.

    :return: with a backlog of 1024 where a TCP endpoint names none.
    """
    wanted = f"a Twisted endpoint string such as {_EXAMPLE}"
    text = word(wanted, ".+")(node)
    kind, *arguments = _COLON.split(text)
    if kind in ("ssl", "tls"):
        raise node.refusal("expected tcp:, for TLS is put on it under tls.listen")
    named = {argument.partition("=")[0] for argument in arguments if "=" in argument}
    if kind == "systemd":
        # Twisted's own parser asks systemd for the socket at once.
        if not all(map(_SOCKET.fullmatch, arguments)) or named not in _SOCKETS:
            raise node.refusal("expected systemd:domain=INET:name=https")
        return text
    if kind in ("tcp", "tcp6"):
        port = arguments[0] if arguments else ""
        if not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
            raise node.refusal(f"expected a port from 0 to 65535, as in {_EXAMPLE}")
        if "backlog" not in named and len(arguments) - len(named) < 3:
            text += ":backlog=1024"
    try:
        serverFromString(MemoryReactor(), text)
    except Exception:  # whatever a plug-in's parser raises
        raise node.refusal(f"expected {wanted}") from None
    return text


def loopback(node: Node) -> str:
    """Read an endpoint that nobody but this machine reaches."""
    text = endpoint(node)
    local = r"(unix:|.*:(interface=)?(127(\.[0-9]{1,3}){3}|localhost|\\:\\:1)(:|$))"
    if not re.match(local, text):
        raise node.refusal(f"must be on loopback, such as {_EXAMPLE}")
    return text
