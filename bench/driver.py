"""
The load: distinct signed webhooks over connections that stay open, with TLS
or without; or over another connection each.

Prepares them all, says ``ready``, waits for a line, and sends them; says
``begin`` and ``end`` around what is measured, and in a line of JSON what came
of it.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import ssl
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence

from attrs import define, field

from bench.children import WARM_UP
from bench.report import percentile
from bench.secure import unchecked
from bench.webhooks import delivery, whole

_PATIENCE = 10.0


@define(eq=False)
class Connection:
    """
    An open connection, with one request under way or none.

    :ivar context: of TLS, if it is spoken.
    :ivar due: when the request was to be sent.
    :ivar over: whether the server said that it takes no more on it.
    """

    port: int
    context: ssl.SSLContext | None = None
    socket: socket.socket = field(init=False)
    due: float = 0.0
    received: bytes = b""
    over: bool = False

    def __attrs_post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """
        Connect; again, if it was.

        :raises SystemExit: where another TLS than 1.3 is agreed upon.
        """
        self.socket = socket.create_connection(("127.0.0.1", self.port), _PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context is not None:
            secure = self.context.wrap_socket(self.socket)
            if secure.version() != "TLSv1.3" or secure.session_reused:
                raise SystemExit(f"not a new TLS 1.3 session: {secure.version()}")
            self.socket = secure
        # A ticket of TLS makes a socket readable that has nothing to be read.
        self.socket.setblocking(False)
        self.over = False

    def read(self) -> bytes:
        """
        Take what has come, if anything has.

        :raises SystemExit: where nothing will.
        """
        data = b""
        try:
            while more := self.socket.recv(65536):
                data += more
                # What TLS holds already does not make the socket readable.
                if not isinstance(self.socket, ssl.SSLSocket):
                    return data
                if not self.socket.pending():
                    return data
        except (BlockingIOError, ssl.SSLWantReadError):
            return data
        raise SystemExit("the server hung up")


@define(eq=False)
class Load:
    """
    :ivar _rate: requests per second, whether or not the server keeps up; or
        0: each connection sends its next one when it has the answer.
    :ivar _seconds: how long to measure, if there are requests for so long.
    :ivar _warm_up: how long to send before.
    :ivar _fresh: each request has a connection of its own.
    :ivar statuses: of all answers, warm-up included.
    :ivar latencies: from when a request was due, in seconds.
    :ivar cpu: seconds of processor time.
    """

    _requests: Sequence[bytes]
    _rate: float
    _seconds: float
    _warm_up: float = WARM_UP
    _fresh: bool = False

    statuses: Counter[str] = field(factory=Counter, init=False)
    answered: int = field(default=0, init=False)
    seconds: float = field(default=0.0, init=False)
    latencies: list[float] = field(factory=list, init=False)
    cpu: float = field(default=0.0, init=False)

    _sent: int = field(default=0, init=False)
    _begin: float = field(default=0.0, init=False)
    _end: float = field(default=0.0, init=False)

    def run(self, connections: Sequence[Connection]) -> None:
        """
        Send, until the time is over or there is no more, and all is answered.
        """
        # Of the two, select() waits more precisely; epoll costs less.
        selector = (
            selectors.SelectSelector() if self._rate else selectors.DefaultSelector()
        )
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        # In turn, so that all of them are used.
        idle = deque(connections)
        start = now = time.perf_counter()
        self._begin = start + self._warm_up
        self._end = self._begin + self._seconds
        begun = False
        while True:
            if not begun and now >= self._begin:
                begun = True
                print("begin", flush=True)
                self.cpu = -time.process_time()
            wait = _PATIENCE
            while self._sent < len(self._requests) and now < self._end:
                due = start + self._sent / self._rate if self._rate else now
                if due > now:
                    wait = due - now
                    break
                if not idle:
                    break
                self._send(idle.popleft(), due)
                now = time.perf_counter()
            else:
                if len(idle) == len(connections):
                    break
            ready = selector.select(wait)
            now = time.perf_counter()
            if not ready and wait == _PATIENCE:
                raise SystemExit("no answer in time")
            answered = [key.data for key, _ in ready if self._receive(key.data, now)]
            for connection in answered:
                if connection.over or self._fresh:
                    selector.unregister(connection.socket)
                    connection.socket.close()
                    connection.open()
                    selector.register(
                        connection.socket, selectors.EVENT_READ, connection
                    )
            idle.extend(answered)
        self.cpu += time.process_time()
        print("end", flush=True)
        self.seconds = min(now, self._end) - self._begin

    def _send(self, connection: Connection, due: float) -> None:
        connection.due = due
        connection.socket.sendall(self._requests[self._sent])
        self._sent += 1

    def _receive(self, connection: Connection, now: float) -> bool:
        connection.received += connection.read()
        if not whole(connection.received):
            return False
        self.statuses[connection.received[9:12].decode()] += 1
        # After so many requests a server may have had enough of a connection.
        connection.over = b"\r\nconnection: close\r\n" in connection.received.lower()
        if connection.due >= self._begin:
            self.latencies.append(now - connection.due)
        if self._begin <= now <= self._end:
            self.answered += 1
        connection.received = b""
        return True


def main() -> None:
    """
    Run once.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--most", type=int, required=True)
    parser.add_argument("--among", type=int, default=0)
    parser.add_argument("--warm-up", type=float, default=WARM_UP)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    options = parser.parse_args()
    numbers = range(options.first, options.first + options.most)
    load = Load(
        [delivery(number, options.among) for number in numbers],
        options.rate,
        options.seconds,
        options.warm_up,
        options.fresh,
    )
    context = unchecked() if options.tls else None
    connections = [
        Connection(options.port, context) for _ in range(options.connections)
    ]
    print("ready", flush=True)
    sys.stdin.readline()
    load.run(connections)
    result = {
        "statuses": load.statuses,
        "answered": load.answered,
        "seconds": load.seconds,
        "p50": percentile(load.latencies, 50),
        "p99": percentile(load.latencies, 99),
        "cpu": load.cpu,
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
