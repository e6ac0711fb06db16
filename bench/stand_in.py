"""
What stands in for the world: the Graph API and the LLM, which answer at once
or, the LLM, ``--delay`` seconds later or never (``--hang``); and people who
write to the Page and read what comes back.

Says in a line on which port it listens.  Told in a line of JSON what
:meth:`People.write` is to do, it does that, says ``begin`` and ``end`` around
what is measured of it, and then in a line of JSON what came of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from attrs import define, field

from bench.report import percentile
from bench.webhooks import PAGE, delivery, sender, whole

# Seconds that the last answers may take.
_PATIENCE = 30.0

# Connections that may wait to be accepted.
_BACKLOG = 4096

#: What the LLM says.
ANSWER = "Yes, from ten to four. You are very welcome to drop by."

_RECIPIENT = re.compile(rb'"recipient": *\{"id": *"([0-9]+)"')

_COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1795012345,
    "model": "gpt-4o-mini",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": ANSWER},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 80, "completion_tokens": 14, "total_tokens": 94},
}


def _answer(document: object) -> bytes:
    body = json.dumps(document).encode()
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )


_COMPLETED = _answer(_COMPLETION)
_IDENTIFIED = _answer({"id": PAGE, "name": "Bench"})


@define(eq=False)
class People:
    """
    People of whom each says one thing and waits for the answer.

    :ivar waiting: since when, for each who has no answer.
    :ivar latencies: from writing to the answer, in seconds.
    :ivar unexpected: answers to people who have one.
    :ivar actions: signs, such as that a message was seen.
    :ivar thought: what the LLM took, in seconds, where it takes any time.
    :ivar _among: as for :func:`~bench.webhooks.sender`.
    :ivar _again: whoever has an answer makes room for somebody new.
    """

    waiting: dict[bytes, float] = field(factory=dict)
    latencies: list[float] = field(factory=list)
    unexpected: int = 0
    actions: int = 0
    thought: list[float] = field(factory=list)

    _again: bool = False
    _count: int = 0
    _among: int = 0
    _said: int = 0
    _last: float = 0.0
    _idle: list[Delivering] = field(factory=list)
    _unsent: deque[bytes] = field(factory=deque)
    _connecting: asyncio.Task[None] | None = None

    async def write(
        self,
        *,
        port: int,
        people: int,
        seconds: float,
        warm_up: float,
        rate: float,
        first: int,
        among: int,
    ) -> dict[str, Any]:
        """
        Let people write for a while.

        :param port: of the daemon.
        :param people: so many at a time, over a connection each.
        :param warm_up: seconds before what is measured.
        :param rate: so many write per second, whether or not others wait; 0:
            whoever has an answer makes room for somebody new.
        :param first: the number of the first message.

        :return: how many were answered in that while, its length, and more.
        """
        loop = asyncio.get_running_loop()
        for _ in range(people):
            await self._connect(loop, port)
        self._count, self._among = first, among
        begun = time.perf_counter()
        self._again = not rate
        for _ in range(0 if rate else people):
            self._say()
        await self._pace(begun, warm_up, rate)
        print("begin", flush=True)
        start, before = time.perf_counter(), len(self.latencies)
        await self._pace(begun, warm_up + seconds, rate)
        answered = self.latencies[before:]
        measured = time.perf_counter() - start
        print("end", flush=True)
        self._again = False
        deadline = time.perf_counter() + _PATIENCE
        while self.waiting and time.perf_counter() < deadline:
            await asyncio.sleep(0.05)
        # Who came at a rate counts even if the answer came later.
        counted = self.latencies[before:] if rate else answered
        return {
            "answered": len(answered),
            "seconds": measured,
            "p50": percentile(counted, 50),
            "p99": percentile(counted, 99),
            "all": len(self.latencies),
            "last": self._last - begun,
            "unanswered": len(self.waiting),
            "unexpected": self.unexpected,
            "actions": self.actions,
            "thought": percentile(self.thought or [0.0], 50),
        }

    async def _pace(self, begun: float, until: float, rate: float) -> None:
        """
        Wait until so many seconds after *begun*; let people write, at a rate.
        """
        while rate and (due := self._said / rate) < until:
            # At least once: others have their turn in between.
            await asyncio.sleep(max(0.0, begun + due - time.perf_counter()))
            self._say()
        await asyncio.sleep(max(0.0, begun + until - time.perf_counter()))

    async def _connect(self, loop: asyncio.AbstractEventLoop, port: int) -> None:
        def again() -> None:
            self._connecting = loop.create_task(self._connect(loop, port))

        # Nobody listens any more once it is over.
        with suppress(ConnectionRefusedError):
            await loop.create_connection(
                lambda: Delivering(self, again), "127.0.0.1", port
            )

    def hear(self, psid: bytes) -> None:
        """
        Take an answer.
        """
        since = self.waiting.pop(psid, None)
        if since is None:
            self.unexpected += 1
            return
        self._last = time.perf_counter()
        self.latencies.append(self._last - since)
        if self._again:
            self._say()

    def delivered(self, connection: Delivering) -> None:
        """
        Use a connection that has no request under way.
        """
        if self._unsent:
            connection.send(self._unsent.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: Delivering, request: bytes | None) -> None:
        """
        Do without a connection, such as one on which nothing came for long; what
        was under way on it is delivered again, as Meta would.
        """
        if request is None:
            self._idle.remove(connection)
        else:
            self._unsent.append(request)

    def _say(self) -> None:
        request = delivery(self._count, self._among)
        who = sender(self._count, self._among).encode()
        if who in self.waiting:
            sys.exit(f"{who.decode()} writes again before the answer")
        self.waiting[who] = time.perf_counter()
        self._count += 1
        self._said += 1
        if self._idle:
            self._idle.pop().send(request)
        else:
            self._unsent.append(request)


@define(eq=False)
class Delivering(asyncio.Protocol):
    """
    A connection to the daemon's webhook.

    :ivar _again: opens another one in its place.
    """

    _people: People
    _again: Callable[[], None]
    _received: bytes = b""
    _request: bytes | None = None
    _over: bool = False
    _transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._people.delivered(self)

    def connection_lost(self, reason: Exception | None) -> None:
        if not self._over:
            self._people.lost(self, self._request)
            self._again()

    def send(self, request: bytes) -> None:
        """
        Deliver a webhook.
        """
        self._request = request
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not whole(self._received):
            return
        if not self._received.startswith(b"HTTP/1.1 200"):
            sys.exit(f"a webhook was not taken: {self._received[:200]!r}")
        # After so many requests the daemon has had enough of a connection.
        self._over = b"\r\nconnection: close\r\n" in self._received.lower()
        self._received, self._request = b"", None
        if self._over:
            self._transport.close()
            self._again()
        else:
            self._people.delivered(self)


@define(eq=False)
class Remote(asyncio.Protocol):
    """
    A connection to the Graph API or to the LLM.

    :ivar _delay: seconds that the LLM takes; it never answers if they are
        infinitely many.
    """

    _people: People
    _delay: float
    _received: bytes = b""
    _sent: int = 0
    _transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while size := whole(self._received):
            request, self._received = self._received[:size], self._received[size:]
            answer = self._answer(request)
            if answer:
                self._transport.write(answer)

    def _answer(self, request: bytes) -> bytes:
        target = request[: request.index(b"\r\n")]
        if b"/chat/completions" in target:
            return self._complete()
        if b"/messages" not in target:
            return _IDENTIFIED
        recipient = _RECIPIENT.search(request)
        assert recipient is not None
        if b'"sender_action"' in request:
            self._people.actions += 1
            return _answer({"recipient_id": recipient[1].decode()})
        self._people.hear(recipient[1])
        self._sent += 1
        sent = {
            "recipient_id": recipient[1].decode(),
            "message_id": f"m_{id(self):x}.{self._sent:012}",
        }
        return _answer(sent)

    def _complete(self) -> bytes:
        if not self._delay:
            return _COMPLETED
        if not math.isinf(self._delay):
            loop = asyncio.get_running_loop()
            loop.call_later(self._delay, self._completed, time.perf_counter())
        return b""

    def _completed(self, since: float) -> None:
        self._people.thought.append(time.perf_counter() - since)
        self._transport.write(_COMPLETED)


async def _main(delay: float) -> None:
    loop = asyncio.get_running_loop()
    people = People()
    server = await loop.create_server(
        lambda: Remote(people, delay), "127.0.0.1", 0, backlog=_BACKLOG
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        result = await people.write(**json.loads(line))
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--delay", type=float, default=0.0)
    how.add_argument("--hang", dest="delay", action="store_const", const=math.inf)
    asyncio.run(_main(parser.parse_args().delay))
