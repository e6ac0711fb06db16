"""
What stands in for the world: the Graph API and the LLM, which answer at once,
and people who write to the Page and read what comes back.

Says in a line on which port it listens.  Told ``PORT PEOPLE SECONDS``, it
lets so many people at a time write to the daemon on that port, says ``begin``
and ``end`` around so many seconds of it, and then in a line of JSON what came
of it.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from attrs import define, field

from bench.children import WARM_UP
from bench.report import percentile
from bench.webhooks import PAGE, delivery, person, whole

# Seconds that the last answers may take.
_PATIENCE = 10.0

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
    People of whom each says one thing and waits for the answer; whoever has
    it makes room for somebody new.

    :ivar waiting: since when, for each who has no answer.
    :ivar latencies: from writing to the answer, in seconds.
    :ivar unexpected: answers to people who have one.
    """

    waiting: dict[bytes, float] = field(factory=dict)
    latencies: list[float] = field(factory=list)
    unexpected: int = 0

    _writing: bool = False
    _count: int = 0
    _idle: list[Delivering] = field(factory=list)
    _unsent: deque[bytes] = field(factory=deque)
    _connecting: asyncio.Task[None] | None = None

    async def write(self, port: int, people: int, seconds: float) -> dict[str, Any]:
        """
        Let so many at a time write for a while.

        :return: how many were answered in that while, its length, and more.
        """
        loop = asyncio.get_running_loop()
        for _ in range(people):
            await self._connect(loop, port)
        self._writing = True
        for _ in range(people):
            self._say()
        await asyncio.sleep(WARM_UP)
        print("begin", flush=True)
        start, before = time.perf_counter(), len(self.latencies)
        await asyncio.sleep(seconds)
        answered = self.latencies[before:]
        measured = time.perf_counter() - start
        print("end", flush=True)
        self._writing = False
        deadline = time.perf_counter() + _PATIENCE
        while self.waiting and time.perf_counter() < deadline:
            await asyncio.sleep(0.05)
        return {
            "answered": len(answered),
            "seconds": measured,
            "p50": percentile(answered, 50),
            "p99": percentile(answered, 99),
            "all": len(self.latencies),
            "unanswered": len(self.waiting),
            "unexpected": self.unexpected,
        }

    async def _connect(self, loop: asyncio.AbstractEventLoop, port: int) -> None:
        def again() -> None:
            self._connecting = loop.create_task(self._connect(loop, port))

        await loop.create_connection(lambda: Delivering(self, again), "127.0.0.1", port)

    def hear(self, psid: bytes) -> None:
        """
        Take an answer.
        """
        since = self.waiting.pop(psid, None)
        if since is None:
            self.unexpected += 1
            return
        self.latencies.append(time.perf_counter() - since)
        if self._writing:
            self._say()

    def delivered(self, connection: Delivering) -> None:
        """
        Use a connection that has no request under way.
        """
        if self._unsent:
            connection.send(self._unsent.popleft())
        else:
            self._idle.append(connection)

    def _say(self) -> None:
        self.waiting[person(self._count).encode()] = time.perf_counter()
        request = delivery(self._count)
        self._count += 1
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
    _transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._people.delivered(self)

    def send(self, request: bytes) -> None:
        """
        Deliver a webhook.
        """
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not whole(self._received):
            return
        if not self._received.startswith(b"HTTP/1.1 200"):
            sys.exit(f"a webhook was not taken: {self._received[:200]!r}")
        # After so many requests the daemon has had enough of a connection.
        over = b"\r\nconnection: close\r\n" in self._received.lower()
        self._received = b""
        if over:
            self._transport.close()
            self._again()
        else:
            self._people.delivered(self)


@define(eq=False)
class Remote(asyncio.Protocol):
    """
    A connection to the Graph API or to the LLM.

    :ivar _hang: the LLM never answers.
    """

    _people: People
    _hang: bool
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
            return b"" if self._hang else _COMPLETED
        if b"/messages" not in target:
            return _IDENTIFIED
        recipient = _RECIPIENT.search(request)
        assert recipient is not None
        if b'"sender_action"' in request:
            return _answer({"recipient_id": recipient[1].decode()})
        self._people.hear(recipient[1])
        self._sent += 1
        sent = {
            "recipient_id": recipient[1].decode(),
            "message_id": f"m_{id(self):x}.{self._sent:012}",
        }
        return _answer(sent)


async def _main(hang: bool) -> None:
    loop = asyncio.get_running_loop()
    people = People()
    server = await loop.create_server(lambda: Remote(people, hang), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        port, count, seconds = line.split()
        result = await people.write(int(port), int(count), float(seconds))
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    asyncio.run(_main("--hang" in sys.argv))
