"""
What the daemon answers to bodies that nobody would send: payloads that others
captured, mutated at random, with good signatures and bad ones.

Each is answered as an oracle says that shares no code with it, and the daemon
grows no larger. The seed is printed; the same one sends the same bodies.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from attrs import define, field

from bench.children import daemon, module, running
from bench.report import machine, progress
from bench.webhooks import PATH, SECRET, delivery, whole
from micamsgr.test.mutations import Mutations, Posted, samples

#: Connections, with a request each under way.
CONNECTIONS = 8

# Seconds that an answer may take.
_PATIENCE = 20.0

# MiB by which the daemon may grow from the first fifth on.
_GROWTH = 10.0


def request(posted: Posted, random: Random) -> bytes:
    """
    Make the request that brings a body: of a length that is told, or in chunks.
    """
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\n".encode()
    if posted.signature is not None:
        head += b"X-Hub-Signature-256: %b\r\n" % posted.signature
    body = posted.body
    if random.random() < 0.8:
        return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    size = random.randrange(200, 70_000)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    return b"%bTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % (
        head,
        b"".join(chunks),
    )


@define(eq=False)
class Line:
    """
    A connection; another one, where the server has had enough of it.
    """

    _port: int
    _socket: socket.socket | None = field(default=None, init=False)

    def send(self, data: bytes) -> None:
        """
        Send a request.
        """
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port))
            self._socket.settimeout(_PATIENCE)
        self._socket.sendall(data)

    def status(self) -> int:
        """
        Read the answer.

        :raises AssertionError: where there is none.
        """
        assert self._socket is not None
        received = b""
        while not whole(received):
            more = self._socket.recv(65536)
            if not more:
                raise AssertionError(f"no answer but {received!r}")
            received += more
        if b"\r\nconnection: close\r\n" in received.lower():
            self.close()
        return int(received[9:12])

    def close(self) -> None:
        """
        Hang up.
        """
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def fuzz(
    port: int,
    secret: bytes,
    seed: int,
    bodies: int,
    told: Callable[[int], None] = lambda _: None,
) -> Counter[int]:
    """
    Post so many bodies.

    :param told: how many have been answered, now and then.

    :return: how many were answered which status.

    :raises AssertionError: where one is answered otherwise than it should be.
    """
    random = Random(seed)
    made = Mutations(random, secret, samples())
    lines = [Line(port) for _ in range(CONNECTIONS)]
    statuses: Counter[int] = Counter()
    for begin in range(0, bodies, CONNECTIONS):
        sent = [(line, made.next()) for line in lines[: bodies - begin]]
        for line, posted in sent:
            line.send(request(posted, random))
        for number, (line, posted) in enumerate(sent, begin):
            status = line.status()
            if status != posted.status:
                raise AssertionError(
                    f"seed {seed}, number {number}: {status} instead of"
                    f" {posted.status}, {posted.signature!r}, {posted.body[:2000]!r}"
                )
            statuses[status] += 1
        if begin % 1000 == 0:
            told(begin)
    for line in lines:
        line.close()
    return statuses


def main(arguments: Sequence[str]) -> None:
    """
    Run once, and print.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bodies", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=Random().randrange(10**9))
    parser.add_argument("--directory", type=Path, help="the disk for the store")
    parser.add_argument("--broken", action="append", default=[], choices=["stumbling"])
    given = parser.parse_args(arguments)
    print(f"fuzz: {given.bodies:,} bodies, seed {given.seed}")
    with (
        TemporaryDirectory(prefix="bench-", dir=given.directory) as scratch,
        running(*module("stand_in", "--hang")) as stand_in,
    ):
        directory = Path(scratch)
        print(machine(directory), flush=True)
        remote = f"http://127.0.0.1:{stand_in.line()}"
        # Nobody is answered, for it is not turns that are tried here.
        with daemon(directory / "0", remote, broken=given.broken, allow=["1"]) as (
            child,
            port,
        ):
            sizes: list[tuple[int, float]] = []

            def tell(answered: int) -> None:
                sizes.append((answered, child.memory() / 1024))
                progress(f"{answered:,} answered, {sizes[-1][1]:.0f} MiB")

            begun = time.monotonic()
            try:
                found = fuzz(port, SECRET.encode(), given.seed, given.bodies, tell)
            except AssertionError as error:
                raise SystemExit(f"that is not as it should be: {error}") from None
            took = time.monotonic() - begun
            last = Line(port)
            last.send(delivery(1))
            sane = last.status() == 200
            end = child.memory() / 1024
            log = (directory / "0" / "log").read_text(errors="replace")
    begin = next(size for answered, size in sizes if answered >= given.bodies // 5)
    print(
        f"fuzz: {given.bodies:,} bodies in {took:.0f} s; answered"
        f" {', '.join(f'{status}: {found[status]:,}' for status in sorted(found))};"
        f" {log.count('Traceback')} tracebacks; memory {begin:.0f} MiB after a fifth,"
        f" {end:.0f} MiB at the end"
    )
    if not sane or "Traceback" in log or end - begin > _GROWTH:
        raise SystemExit("that is not as it should be")


if __name__ == "__main__":
    main(sys.argv[1:])
