"""
What 2,000 slow clients do to the others: they are connected at once, over
plain HTTP and TLS, and never come to an end with what they do.

Meanwhile webhooks come at a steady rate. All is on loopback, which is exempt
from the limit on connections from one address.
"""

from __future__ import annotations

import json
import ssl
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import define, field

from bench.children import WARM_UP, Child, daemon, module, running
from bench.holders import kinds
from bench.report import machine, options, percentile, progress, table
from bench.secure import deliver, pair, unchecked
from bench.webhooks import delivery
from tests.ports import free_port

#: Clients that are slow.
CLIENTS = 2000

#: Webhooks per second, over connections that stay open.
STEADY = 100
CONNECTIONS = 10

# And over a new connection with TLS each.
_NEW = 5

_TOKEN = "verify me"

# Seconds before each of them connects: all are there before the first is cut.
_PAUSE = 0.004

# Far from those of the driver.
_FIRST = 10_000_000


@define(eq=False)
class Newcomers:
    """
    Deliver a webhook over a new TLS connection now and then.

    :ivar seconds: from the connection to the answer, of each.
    """

    _port: int
    _context: ssl.SSLContext
    seconds: list[float] = field(factory=list)
    _over: threading.Event = field(factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """
        Deliver no more.
        """
        self._over.set()
        self._thread.join()

    def deliver(self) -> None:
        """
        Deliver one.
        """
        deliver(self._port, delivery(_FIRST + time.monotonic_ns()), self._context)

    def _run(self) -> None:
        while not self._over.wait(1.0 / _NEW):
            begun = time.perf_counter()
            self.deliver()
            self.seconds.append(time.perf_counter() - begun)


def _drive(port: int, seconds: float, first: int) -> tuple[object, ...]:
    most = int((WARM_UP + seconds) * STEADY)
    return (
        *module("driver", port, "--connections", CONNECTIONS),
        *("--seconds", seconds, "--rate", STEADY, "--first", first, "--most", most),
    )


def _result(driver: Child, seconds: float) -> dict[str, Any]:
    driver.line(WARM_UP + seconds + 30.0)
    driver.line(WARM_UP + seconds + 30.0)
    result: dict[str, Any] = json.loads(driver.line())
    if set(result["statuses"]) != {"200"}:
        raise SystemExit(f"not all were answered 200: {result['statuses']}")
    return result


def main(arguments: Sequence[str]) -> None:
    """
    Measure, and print.
    """
    given = options(__doc__, arguments, seconds=30.0, rounds=1, broken=["no_deadlines"])
    names = list(kinds(_TOKEN))
    each = -(-CLIENTS // len(names))
    groups = {
        "plain": [name for name in names if kinds(_TOKEN)[name].tls is False],
        "TLS": [name for name in names if kinds(_TOKEN)[name].tls is not False],
    }
    with ExitStack() as stack:
        scratch = TemporaryDirectory(prefix="bench-", dir=given.directory)
        directory = Path(stack.enter_context(scratch))
        print(f"slow clients: {each} of each of {len(names)} kinds")
        print(machine(directory), flush=True)
        stand_in = stack.enter_context(running(*module("stand_in", "--hang")))
        remote = f"http://127.0.0.1:{stand_in.line()}"
        tls_port = free_port()
        tls = {"listen": f"tcp:{tls_port}:interface=127.0.0.1"}
        child, port = stack.enter_context(
            daemon(
                directory / "0",
                remote,
                broken=given.broken,
                tls=tls | pair(directory),
            )
        )

        progress("without them")
        with running(*_drive(port, 5.0, 0)) as driver:
            driver.line()
            driver.tell("go")
            alone = _result(driver, 5.0)

        progress("with them")
        driver = stack.enter_context(running(*_drive(port, given.seconds, 1_000_000)))
        driver.line()
        before, sizes = child.memory(), {}
        newcomers = Newcomers(tls_port, unchecked())
        driver.tell("go")
        holding: dict[str, Child] = {}
        for group, members in groups.items():
            begun = child.memory()
            holding[group] = stack.enter_context(
                running(
                    *module("holders", port, tls_port, "--each", each),
                    *("--token", _TOKEN, "--seconds", 45.0, "--pause", _PAUSE),
                    *("--kinds", *members),
                )
            )
            holding[group].line()
            # Behind all of them, so that they have been taken.
            newcomers.deliver()
            sizes[group] = (child.memory() - begun) / (each * len(members))
        meanwhile = _result(driver, given.seconds)
        newcomers.stop()
        found = [
            kind for held in holding.values() for kind in json.loads(held.line(60.0))
        ]
        after = child.memory()
        log = (directory / "0" / "log").read_text()

    rows = [["", "clients", "deadline", "cut", "first", "median", "last"]]
    for kind in found:
        times = [kind["first"], kind["median"], kind["last"]]
        rows.append(
            [
                kind["kind"],
                f"{kind['clients']:,}",
                f"{kind['late']:.0f} s",
                f"{kind['cut']:,}",
                *("-" if seconds is None else f"{seconds:.1f} s" for seconds in times),
            ]
        )
    print()
    print(table(rows))
    clients = sum(kind["clients"] for kind in found)
    cut = [kind for kind in found if kind["last"] is not None]
    late = max((kind["last"] - kind["late"] for kind in cut), default=0.0)
    uncut = clients - sum(kind["cut"] for kind in found)
    new = newcomers.seconds
    print(
        f"\nmemory: {before / 1024:.0f} MiB before, {after / 1024:.0f} MiB after; per"
        f" client {sizes['plain']:.0f} KiB plain, {sizes['TLS']:.0f} KiB with TLS"
    )
    print(
        f"new TLS connections, {len(new)} of them: p50 {percentile(new, 50) * 1e3:.1f}"
        f" ms, p99 {percentile(new, 99) * 1e3:.1f} ms"
    )
    print(
        f"slow clients: {clients:,}, {uncut} not cut, the last {late:.1f} s after its"
        f" deadline; {meanwhile['answered']} webhooks at {STEADY}/s meanwhile:"
        f" p50 {meanwhile['p50'] * 1e3:.1f} ms, p99 {meanwhile['p99'] * 1e3:.1f} ms"
        f" (without them {alone['p50'] * 1e3:.1f} and {alone['p99'] * 1e3:.1f})"
    )
    if "Traceback" in log or uncut or late > 10.0 or meanwhile["p99"] > 0.1:
        raise SystemExit("that is not as it should be")


if __name__ == "__main__":
    main(sys.argv[1:])
