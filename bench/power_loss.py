"""
Let the power fail: ``python -m bench.power_loss``.

A daemon takes messages while all that it writes and syncs is recorded, and is
killed and started again meanwhile.  Then the store is rebuilt as a loss of
power would leave it, at moments drawn at random, and each message that was
answered 200 before must be there.  ``--weaker`` is the control: with
``synchronous = NORMAL`` some are lost.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Lock

import yaml
from attrs import define, field

from bench.report import progress
from bench.webhooks import PAGE, PATH, SECRET, person
from micamsgr.sandbox.meta import as_json, signature
from tests.disk import Disk
from tests.ports import free_port
from tests.power import Verdict, judge

_ROOT = Path(__file__).resolve().parent.parent

# How many messages are on their way at the same time.
_AT_ONCE = 8

_TWISTD = "from twisted.scripts.twistd import run; run()"

# Between two kills, in seconds.
_LIFE = (0.5, 1.5)


@define(eq=False)
class Run:
    """
    A daemon on an observed disk, and those who write to it.

    :ivar directory: exists, and is empty.
    :ivar weaker: whether it has ``synchronous = NORMAL``.
    :ivar failing: the share of syncs that fail.
    :ivar acknowledged: by the ID of each message that was answered 200, how
        long the record was then.
    :ivar starts: how often the daemon was started.
    """

    directory: Path
    seed: int = 0
    weaker: bool = field(default=False, kw_only=True)
    failing: float = field(default=0.0, kw_only=True)

    acknowledged: dict[str, int] = field(factory=dict, init=False)
    starts: int = field(default=0, init=False)
    disk: Disk = field(init=False)
    _port: int = field(factory=free_port, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _starting: Lock = field(factory=Lock, init=False)
    _over: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        record = self.directory / "record"
        self.disk = Disk(self.directory, self.directory / "mica.db", record)
        self.disk.seed(self.seed)

    def take(self, messages: int, kills: int) -> None:
        """
        Let so many messages be delivered, each again until it is answered 200,
        and kill the daemon so many times meanwhile.
        """
        configuration = {
            "bot_name": "mica",
            # Nobody is there, so that turns are parked again and again.
            "llm_config": {"server": f"http://127.0.0.1:{free_port()}", "api_key": "k"},
            "facebook": {
                "verify_token": "verify me",
                "page_access_token": "EAAB0123456789",
                "secret": SECRET,
                "page_id": PAGE,
                "graph_url": f"http://127.0.0.1:{free_port()}",
            },
            "listen": f"tcp:{self._port}:interface=127.0.0.1",
        }
        (self.directory / "mica.yaml").write_text(yaml.safe_dump(configuration))
        chance = Random(self.seed)
        with self._running(), ThreadPoolExecutor(_AT_ONCE) as people:
            if self.failing:
                self.disk.fail(self.failing)
            writing = [people.submit(self._deliver, n) for n in range(messages)]
            for _ in range(kills):
                time.sleep(chance.uniform(*_LIFE))
                if self._process is not None:
                    self._process.kill()
            for written in writing:
                written.result()
            # What is under way when it ends belongs to the record, too.
            self._over = True
            assert self._process is not None
            self._process.kill()

    def judge(self, cuts: int) -> Verdict:
        """
        Let the power fail so many times, and look what is left.
        """
        rebuilt = self.directory / "rebuilt"
        rebuilt.mkdir(exist_ok=True)
        return judge(
            self.directory / "record",
            self.acknowledged,
            rebuilt / "mica.db",
            cuts=cuts,
            random=Random(self.seed),
        )

    @contextmanager
    def _running(self) -> Iterator[None]:
        self._start()
        try:
            yield
        finally:
            self._over = True
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def _start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        for name in ("STATE_DIRECTORY", "OPENAI_API_KEY"):
            environment.pop(name, None)
        program = ["-m", "tests.weaker"] if self.weaker else ["-c", _TWISTD]
        arguments = ["-n", "micamessenger", "--config", "mica.yaml"]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self.disk.starter, sys.executable, *program, *arguments],
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=environment,
            )
        self.starts += 1

    def _again(self) -> None:
        """
        Start the daemon, if it has ended, as systemd would.
        """
        with self._starting:
            if self._process is not None and self._process.poll() is not None:
                self._start()
        time.sleep(0.05)

    def _deliver(self, number: int) -> None:
        mid = f"m_power-{number:08}"
        message = {
            "sender": {"id": person(number % 50)},
            "recipient": {"id": PAGE},
            "timestamp": int(time.time() * 1000),
            "message": {
                "mid": mid,
                "text": f"message {number} " + "x" * (number % 700),
            },
        }
        entry = {"time": message["timestamp"], "id": PAGE, "messaging": [message]}
        body = as_json({"object": "page", "entry": [entry]})
        headers = {"X-Hub-Signature-256": signature(SECRET, body)}
        while not self._over:
            with suppress(OSError, http.client.HTTPException):
                there = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
                there.request("POST", PATH, body, headers)
                status = there.getresponse().status
                there.close()
                if status == 200:
                    self.acknowledged[mid] = self.disk.recorded
                    return
            self._again()


def main(arguments: Sequence[str]) -> None:
    """
    Run it, and print what came of it in one line.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--cuts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--weaker", action="store_true", help="the control")
    parser.add_argument("--failing", type=float, default=0.0, help="share of syncs")
    parser.add_argument("--directory", type=Path, help="where to work")
    options = parser.parse_args(arguments)
    with TemporaryDirectory(dir=options.directory) as directory:
        run = Run(
            Path(directory),
            options.seed,
            weaker=options.weaker,
            failing=options.failing,
        )
        progress(f"seed {options.seed}: {options.messages} messages")
        run.take(options.messages, options.kills)
        progress(f"{run.disk.recorded >> 20} MiB on record; {options.cuts} cuts")
        verdict = run.judge(options.cuts)
    print(
        json.dumps(
            {
                "seed": options.seed,
                "synchronous": "NORMAL" if options.weaker else "FULL",
                "acknowledged": len(run.acknowledged),
                "starts": run.starts,
                "syncs": run.disk.syncs,
                "failed": run.disk.failed,
                "cuts": verdict.cuts,
                "required": verdict.required,
                "lost": verdict.lost,
                "losing cuts": verdict.losing,
                "damaged": len(verdict.damaged),
            }
        )
    )
    for complaint in verdict.damaged[:5]:
        progress(complaint)
    if not options.weaker and (verdict.lost or verdict.damaged):
        raise SystemExit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
