"""
A run: the daemon, those that it talks to, and what goes wrong.
"""

from __future__ import annotations

import re
import signal
from collections import Counter
from random import Random
from typing import Any

from attrs import define, evolve, field
from twisted.logger import LogEvent, LogLevel, LogPublisher, formatEvent

from micamsgr.clock import Clocks
from micamsgr.composition import build
from micamsgr.config import Config
from micamsgr.conversation.outcomes import InDoubt
from micamsgr.sandbox import language_model as llm
from micamsgr.sandbox.graph_api import GraphAPI
from micamsgr.sandbox.journal import Journal, Wrote
from micamsgr.sandbox.meta import App, Habits, Meta, Page
from micamsgr.tap import Daemon
from tests import excuses, oracle
from tests.simulation import outages, states, waits
from tests.simulation.caller import Caller
from tests.simulation.disk import Disk
from tests.simulation.faults import Faults
from tests.simulation.machine import Process, Timeline
from tests.simulation.neighbors import WORD, QuietSite, named, reply
from tests.simulation.network import Wires
from tests.simulation.plan import LONGEST, Cause, Life, Plan, psid
from tests.simulation.settings import (
    APOLOGY,
    GRAPH,
    KEY,
    MICA,
    MODEL,
    PAGE,
    QUIET,
    SECRET,
    TOKEN,
    VERIFY,
    configuration,
)

#: What Meta's clock shows when a run begins.
EPOCH = 1_795_362_617.0

# The longest that it may take until all is done, once nothing goes wrong any
# more, in seconds of simulated time.
_PATIENCE = 4 * 3600.0

# What comes late or twice has come by then.
_AFTERMATH = 30.0

# How long a stop may take: what is in flight has 10 seconds, and then there may
# be some slow commits.
_STOPPING = 50.0

# What a stop leaves is not waited for: connections that clients keep open.
_OF_CLIENTS = re.compile("Timeout|abortConnection|LimitedChannel|resolveHostName")

# How late an answer may be to somebody whom nothing concerns.
_PROMPT = 8.0

# How long it may take to say that an answer is late, once that is due: after a
# start the daemon waits 2 seconds for the answer itself.
_SAYING = 4.0

# So long after the last thing that went wrong its consequences are over: the
# second pause of a Page in a row lasts 120 seconds, and whose message began it
# is tried again up to 60 seconds after the others.
_RECOVERY = 180.0

_HIDDEN = re.compile(f"{TOKEN}|{SECRET}|{KEY}|{VERIFY}|{WORD.pattern}|A human")


@define(eq=False, repr=False)
class World:
    """
    All there is in a run.

    :ivar trace: what happened, if it is to be noted.
    :ivar counts: how often what happened.
    :ivar problems: what should not have happened.
    """

    plan: Plan
    trace: list[tuple[object, ...]] | None = None

    config: Config = field(init=False)
    timeline: Timeline = field(factory=Timeline, init=False)
    journal: Journal = field(factory=Journal, init=False)
    wires: Wires = field(init=False)
    disk: Disk = field(init=False)
    meta: Meta = field(init=False)
    graph: GraphAPI = field(init=False)
    model: llm.LanguageModel = field(init=False)
    page: Page = field(init=False)
    faults: Faults = field(init=False)
    counts: Counter[str] = field(factory=Counter, init=False)
    problems: list[str] = field(factory=list, init=False)

    _process: Process | None = field(default=None, init=False)
    _root: Daemon | None = field(default=None, init=False)
    _lives: list[Life] = field(init=False)
    _life: Life | None = field(default=None, init=False)
    # How many of each cause there were in this life.
    _passed: Counter[Cause] = field(factory=Counter, init=False)
    _ghost: bool = field(default=False, init=False)
    _heard: LogPublisher = field(factory=LogPublisher, init=False)
    _ups: list[waits.Up] = field(factory=list, init=False)
    _began: float = field(default=0.0, init=False)
    _told_to_stop: float | None = field(default=None, init=False)
    _boots: int = field(default=1, init=False)
    _booted: float = field(default=0.0, init=False)
    _wrong: float = field(default=0.0, init=False)
    _starts: int = field(default=0, init=False)
    _calmed: bool = field(default=False, init=False)
    _leaving: bool = field(default=False, init=False)
    _overdue: bool = field(default=False, init=False)
    _hangup: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        seed = self.plan.seed
        self._hangup = signal.getsignal(signal.SIGHUP)
        self.config = configuration(self.plan)
        faults = self.faults = Faults(self.plan, self.counts, self.timeline.seconds)
        self._lives = list(self.plan.lives)
        self.wires = Wires(self.timeline, faults.weather(), self._written, self.note)
        self.disk = Disk(faults.condition(), self._committed, self.note)
        states.watch(self.disk.database)
        others = Process(self.timeline, self.wires, "others")
        chance = Random(f"others {seed}")
        caller = Caller(others)
        self.meta = Meta(
            others, chance, self.journal, caller.post, caller.get, skew=EPOCH
        )
        self.meta.habits = self.plan.habits
        self.graph = GraphAPI(
            others, chance, self.meta, strict_rates=True, proof_required=True
        )
        self.graph.faults, self.graph.echoes = faults.spoil, faults.spoil_echo
        self.graph.lookup_lag = self.plan.lookup_lag
        self.graph.thread_id = self.plan.thread_ids.of
        self.model = llm.LanguageModel(
            others, chance, self.journal, authorization=f"Bearer {KEY}"
        )
        self.model.reply, self.model.faults = reply, faults.spoil_answer
        for port, resource in ((GRAPH, self.graph), (MODEL, self.model)):
            self.wires.listen(others, port, QuietSite(resource, reactor=others))
        callback = f"http://{'10.0.0.1'}:{MICA}/v1/facebook/webhook/mica"
        app = App("710846352719084", SECRET, callback=callback, verify_token=VERIFY)
        self.page = self.meta.pages[PAGE] = Page(PAGE, TOKEN, app)
        for message in self.plan.messages:
            self.timeline.callLater(message.at, self._write, message)
        for at, wrong in self.plan.jumps:
            self.timeline.callLater(at, self._jump, wrong)

    def note(self, *what: object) -> None:
        """
        Note in the trace what happens.
        """
        if self.trace is not None:
            self.trace.append((round(self.timeline.rightNow, 6), *what))

    def adjust(self, **changes: Any) -> None:
        """
        Change how the daemon is to deliver.
        """
        bots = [
            evolve(bot, delivery=evolve(bot.delivery, **changes))
            for bot in self.config.bots
        ]
        self.config = evolve(self.config, bots=tuple(bots))

    # The run

    def run(self) -> None:
        """
        Let it all happen, and note what should not have happened.
        """
        self._start()
        while self.timeline.rightNow < self.plan.until:
            self._step()
        self._calm()
        self._settle()
        if self.plan.after_all:
            given_up = outages.deliver_after_all(self.meta, PAGE)
            self.counts["webhooks delivered after all"] += given_up
            self._settle()
        self._leave()
        self._judge()

    def _step(self) -> None:
        self._ghost = False
        self.timeline.step()
        self._pass(Cause.EVENT)

    def _calm(self) -> None:
        """From now on nothing goes wrong."""
        self.note("calm")
        self._lives = []
        self._calmed = True
        self.meta.habits = Habits(retries=self.plan.habits.retries)
        self.faults.end()

    def _settle(self) -> None:
        end = self.timeline.rightNow + _PATIENCE
        while not self._at_rest():
            if self.timeline.rightNow > end:
                self._overdue = True
                break
            self._pass_time(5.0)
        self._pass_time(_AFTERMATH)
        while not self._at_rest() and self.timeline.rightNow <= end:
            self._pass_time(5.0)

    def _pass_time(self, seconds: float) -> None:
        end = self.timeline.rightNow + seconds
        while self.timeline.calls and self.timeline.calls[0].getTime() <= end:
            self._step()
        self.timeline.rightNow = end

    def _at_rest(self) -> bool:
        if self._process is None or oracle.unfinished(self.disk.database):
            return False
        if self.plan.outage:
            return outages.over(self.page, self.disk.database, self._readable)
        # What was read from a thread may be delivered after all.
        accepted = outages.accepted(self.journal)
        return all(wrote.mid in accepted for wrote in self.journal.of(Wrote))

    @property
    def _readable(self) -> bool:
        """Whether threads can be read at all."""
        return not self.plan.lookups_denied

    def _leave(self) -> None:
        self._leaving = True
        self._stop()
        end = self.timeline.rightNow + _STOPPING
        while self._process is not None and self.timeline.rightNow < end:
            self._step()
        if self._process is not None:
            self.problems.append("it does not stop")

    # The daemon

    def _start(self) -> None:
        self._starts += 1
        self._life = self._lives.pop(0) if self._lives else None
        self._passed.clear()
        self._began, self._told_to_stop = self.timeline.rightNow, None
        self.faults.begin()
        self.note("start", self._starts)
        name = f"mica {self._starts}"
        process = self._process = Process(self.timeline, self.wires, name)
        clocks = Clocks(
            f"boot {self._boots}",
            lambda: EPOCH + self.timeline.rightNow + self._wrong,
            lambda: self.timeline.rightNow - self._booted,
        )
        root = self._root = Daemon(None)
        # What a process counts dies with it.
        heard = self._heard = LogPublisher()
        for service in build(
            process,
            self.config,
            clocks,
            open_store=self.disk.service,
            chance=Random(f"{name} {self.plan.seed}"),
            publisher=heard,
        ):
            service.setServiceParent(root)
        root.startService()
        if self._life is not None and self._life.cause is Cause.STOP:
            process.callLater(float(self._life.count), self._stop)

    def _stop(self) -> None:
        process, root = self._process, self._root
        if process is None or root is None or not root.running:
            return
        self.note("stop")
        begun = self._told_to_stop = self.timeline.rightNow
        stopping = root.stopService()
        stopping.addBoth(self._stopped, process, begun)

    def _stopped(self, _: object, process: Process, begun: float) -> None:
        if not process.alive:
            return
        if self.timeline.rightNow - begun > _STOPPING:
            self.problems.append("it took too long to stop")
        self.counts["stops"] += 1
        # Those of clients' connections, and of names, end with the process.
        now = self.timeline.rightNow
        waits = [call for call in process.getDelayedCalls() if call.getTime() > now]
        left = [call for call in map(str, waits) if not _OF_CLIENTS.search(call)]
        if left:
            self.problems.append(f"timers are left after a stop: {left}")
        self._end(process, silent=False)

    def _pass(self, cause: Cause) -> None:
        if self._life is None or self._process is None or self._calmed:
            return
        self._passed[cause] += 1
        life = self._life
        if life.cause is cause and self._passed[cause] == life.count:
            self.counts["crashes"] += 1
            self.counts[f"crashes: {cause.value}"] += 1
            self._ghost = True
            self._end(self._process, life.silent)

    def _end(self, process: Process, silent: bool) -> None:
        self.note("end", process.name)
        life, self._life = self._life, None
        self._process = self._root = None
        now, told = self.timeline.rightNow, self._told_to_stop
        self._ups.append(
            waits.Up(
                began=self._began,
                ended=now if told is None else told,
                died=now,
                doubtful=waits.doubtful(self.disk.database),
            )
        )
        self.wires.die(process, silent)
        # A process's handlers die with it.
        signal.signal(signal.SIGHUP, self._hangup)
        if self._leaving:
            return
        # Also what a dead process leaves is legal.
        left = oracle.complaints(self.journal, self.disk.database)
        self.problems += [f"left behind: {problem}" for problem in left]
        if life is None:
            # Whoever stops it without a plan has none for its return either.
            self.problems.append("it ended by itself")
            return
        # A life that was too long leaves an outage less time than was planned.
        left_of_it = max(0.0, self.plan.until - now)
        down = life.down if life.down <= LONGEST else min(life.down, left_of_it)
        if life.reboot:
            self.counts["reboots"] += 1
            self._boots += 1
            self._booted = self.timeline.rightNow + down / 2.0
        self._wrong = life.wrong
        self.timeline.callLater(down, self._start)

    def _written(self, process: Process, before: bool) -> None:
        if process is self._process:
            self._pass(Cause.BEFORE_WRITE if before else Cause.AFTER_WRITE)

    def _committed(self, process: Process, before: bool) -> None:
        if process is self._process:
            self._pass(Cause.BEFORE_COMMIT if before else Cause.AFTER_COMMIT)

    def _jump(self, wrong: float) -> None:
        self._wrong = wrong

    # What people do

    def _write(self, message: Any) -> None:
        person = psid(message.person)
        if not message.human:
            self.meta.message(PAGE, person, message.text)
        elif person in self.page.people:
            self.counts["humans"] += 1
            self.meta.human(PAGE, person, message.text)

    # What becomes of it

    def _judge(self) -> None:
        journal, database, plan = self.journal, self.disk.database, self.plan
        unread = self._unread()
        self.problems += oracle.complaints(
            journal, database, settled=True, unread=unread
        )
        self.problems += outages.unheard(journal, database, unread)
        if self._overdue:
            self.problems.append("not done in time")
        self.problems += excuses.unanswered(journal, database, named)
        self.problems += excuses.unexcused(
            journal,
            database,
            lookups=self._readable,
            patience=plan.patience,
        )
        self.problems += excuses.talked_over(journal, database, QUIET)
        self.problems += states.illegal(database)
        if plan.lone:
            others = {psid(person) for person in range(1, plan.people)}
            self.problems += excuses.belated(journal, named, others, _PROMPT)
        self._judge_waits()

    def _unread(self) -> frozenset[str]:
        """Name what may be lost, since nobody can know of it."""
        if not self.plan.outage:
            return frozenset()
        missed = outages.missed(self.journal)
        self.counts["messages that were missed"] += len(missed)
        # Of a thread that can't be read again and again the operator is told.
        readable = self._readable and not self.counts["threads given up"]
        return outages.unread(self.page, self.disk.database, missed, readable)

    def _judge_waits(self) -> None:
        plan, ups = self.plan, self._ups
        waited = waits.read(self.journal, self.disk.database, named, EPOCH)
        calm = 0.0 if plan.calm else plan.until + _RECOVERY
        self.counts["turns that waited for an apology"] += sum(
            it.apologized for it in waited
        )
        self.problems += waits.silent(waited, ups, APOLOGY + _SAYING, calm)
        self.problems += waits.overspent(waited, plan.turns)
        if not plan.calm:
            return
        self.problems += waits.hasty(waited, APOLOGY)
        if plan.calls and self.faults.most > plan.calls:
            self.problems.append(f"{self.faults.most} calls of the LLM at once")
        if not self.counts["llm: failed"]:
            self.problems += waits.overtaken(waited, ups)
        if not self.counts["llm: spoiled"] and not plan.turns:
            self.problems += waits.idle(self.journal, named, ups, EPOCH)

    def observe(self, event: LogEvent) -> None:
        """
        Read what is logged.
        """
        if self._ghost:
            # What a dead process does after its death.
            return
        self._heard(event)
        line = formatEvent(event)
        self.note("log", event.get("log_namespace"), line)
        if "log_failure" in event or event["log_level"] is LogLevel.critical:
            failure = event.get("log_failure")
            told = "" if failure is None else failure.getTraceback()
            self.problems.append(f"an error in the log: {line}\n{told}")
        if "can't be read; look at it yourself" in line:
            self.counts["threads given up"] += 1
        if isinstance(event.get("outcome"), InDoubt):
            self.counts["doubts"] += 1
        hidden = _HIDDEN.search(line)
        if hidden:
            self.problems.append(f"in the log, {hidden[0]}: {line}")
