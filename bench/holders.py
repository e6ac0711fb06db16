"""
Clients that hold connections: they do what they are waited for so slowly that
it never comes to an end, or not at all, and don't mind what they are told.

Says ``open`` once all are connected; drips, a byte a second each, until the
last one has been cut off or the time is over; and says in a line of JSON when
each kind was.
"""

from __future__ import annotations

import argparse
import json
import resource
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from statistics import median
from urllib.parse import quote

from attrs import define, field, frozen

from bench.webhooks import PATH

# So short that what the server writes soon waits in the server.
_RECEIVED = 4096
_SEGMENT = 536

_CHALLENGE = "x" * 14_000
_ASKED = {False: 12, True: 24}

# Milliseconds in which a server that reads on has done so.
_PATIENCE = 100

_HEAD = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\n".encode()
_GONE = select.EPOLLHUP | select.EPOLLERR


@frozen
class Kind:
    """
    What clients of one kind do.

    :ivar begin: what they send at once.
    :ivar drip: what they send each second; nothing: they are silent.
    :ivar late: seconds after which the server has had enough.
    :ivar tls: whether they speak TLS; ``None``: on a port for it, they don't
        get so far.
    :ivar reads: whether they read.
    """

    begin: bytes
    drip: bytes
    late: float
    tls: bool | None = False
    reads: bool = True


def kinds(token: str) -> dict[str, Kind]:
    """
    Make all kinds.

    :param token: by which Meta's question is answered, at length.
    """
    question = (
        f"GET {PATH}?hub.mode=subscribe&hub.verify_token={quote(token)}"
        f"&hub.challenge={_CHALLENGE} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    ).encode()
    made = {"handshake": Kind(b"\x16\x03\x01\x02\0\x01\0", b"x", 5.0, tls=None)}
    for tls, name in ((False, ""), (True, " over TLS")):
        made |= {
            f"silence{name}": Kind(b"", b"", 10.0, tls),
            f"headers{name}": Kind(_HEAD, b"x", 10.0, tls),
            f"body{name}": Kind(
                _HEAD + b"Content-Length: 1000000\r\n\r\n", b"x", 10.0, tls
            ),
            f"chunks{name}": Kind(
                _HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
                b"1\r\nx\r\n",
                10.0,
                tls,
            ),
            # 10 s where much waits for them; else they are idle.
            f"reading{name}": Kind(question * _ASKED[tls], b"", 30.0, tls, reads=False),
        }
    return made


@define(eq=False)
class Holder:
    """
    One client.

    :ivar rest: what it still has to send at once; a server that stops to read
        keeps it from that.
    :ivar since: when the server began to wait.
    :ivar told: how long after that it said that it is over, where it did.
    :ivar cut: and how long after it cut off the connection.
    """

    kind: Kind
    socket: socket.socket
    rest: memoryview
    since: float = field(factory=time.monotonic)
    told: float | None = None
    cut: float | None = None

    def drip(self) -> None:
        """
        Send a little more; to one that said it is over, anything.
        """
        piece = self.kind.drip or (b"x" if self.told is not None else b"")
        if not self.kind.reads:
            self._receive(1)
        if self.rest:
            self.begin()
        elif piece:
            self._send(piece)

    def begin(self) -> None:
        """
        Send what is to be sent at once, as far as the server takes it.
        """
        # No more at once than TLS sends in one piece.
        while self.rest and (sent := self._send(self.rest[:16384])):
            self.rest = self.rest[sent:]

    def happened(self, events: int) -> None:
        """
        Note what became of the connection.
        """
        after = time.monotonic() - self.since
        if events & _GONE:
            self.cut = after
        elif events & select.EPOLLRDHUP and self.told is None:
            self.told = after

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self.socket.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except OSError:
            self.happened(select.EPOLLERR)
            return 0

    def _receive(self, count: int) -> None:
        try:
            self.socket.recv(count)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self.happened(select.EPOLLERR)


def connect(kind: Kind, port: int, context: ssl.SSLContext) -> Holder:
    """
    Let a client connect, and do what it does at once.
    """
    plain = socket.socket()
    if not kind.reads:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVED)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT)
    plain.settimeout(20.0)
    plain.connect(("127.0.0.1", port))
    connected = context.wrap_socket(plain) if kind.tls else plain
    connected.setblocking(False)
    holder = Holder(kind, connected, memoryview(kind.begin))
    holder.begin()
    writable = select.poll()
    writable.register(connected, select.POLLOUT)
    while holder.rest and writable.poll(_PATIENCE):
        holder.begin()
    return holder


@define(eq=False)
class Watch:
    """
    What is held, and what becomes of it.
    """

    _poll: select.epoll = field(factory=select.epoll)
    _held: dict[int, Holder] = field(factory=dict)

    def add(self, holder: Holder) -> None:
        """
        Watch one more.
        """
        self._held[holder.socket.fileno()] = holder
        self._poll.register(holder.socket, select.EPOLLRDHUP)

    def look(self, seconds: float) -> None:
        """
        Wait no longer than so for something to happen, and note it.
        """
        for number, events in self._poll.poll(max(0.0, seconds)):
            self._held[number].happened(events)
            # That it is over is said as often as one asks.
            self._poll.modify(number, 0)
        for number in [n for n, it in self._held.items() if it.cut is not None]:
            self._poll.unregister(number)
            self._held.pop(number).socket.close()

    def hold(self, seconds: float) -> None:
        """
        Drip until all are cut off, or the time is over.
        """
        end = time.monotonic() + seconds
        # Who drips next: one after another, each once a second.
        turns = deque(
            (time.monotonic() + turn / len(self._held), holder)
            for turn, holder in enumerate(self._held.values())
        )
        while self._held and (now := time.monotonic()) < end:
            while turns and turns[0][0] <= now:
                due, holder = turns.popleft()
                if holder.cut is None:
                    holder.drip()
                    turns.append((due + 1.0, holder))
            self.look((min(turns[0][0], end) if turns else end) - now)


def summary(name: str, holders: list[Holder]) -> dict[str, object]:
    """
    Say what became of the clients of one kind.
    """
    cut = [holder.cut for holder in holders if holder.cut is not None]
    told = [holder.told for holder in holders if holder.told is not None]
    return {
        "kind": name,
        "clients": len(holders),
        "late": holders[0].kind.late,
        "told": median(told) if told else None,
        "cut": len(cut),
        "first": min(cut, default=None),
        "median": median(cut) if cut else None,
        "last": max(cut, default=None),
    }


def main() -> None:
    """
    Run once.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("tls_port", type=int)
    parser.add_argument("--each", type=int, required=True, help="clients of a kind")
    parser.add_argument("--token", required=True)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--pause", type=float, default=0.0, help="before each client")
    parser.add_argument("--kinds", nargs="*", help="by default all")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    wanted: Mapping[str, Kind] = {
        name: kind
        for name, kind in kinds(options.token).items()
        if not options.kinds or name in options.kinds
    }
    watch = Watch()
    held: dict[str, list[Holder]] = {name: [] for name in wanted}
    for _ in range(options.each):
        for name, kind in wanted.items():
            # Not to measure how long a rush takes.
            time.sleep(options.pause)
            port = options.port if kind.tls is False else options.tls_port
            held[name].append(connect(kind, port, context))
            watch.add(held[name][-1])
            watch.look(0.0)
    print("open", flush=True)
    watch.hold(options.seconds)
    results = [summary(name, holders) for name, holders in held.items()]
    print(json.dumps(results), flush=True)


if __name__ == "__main__":
    main()
