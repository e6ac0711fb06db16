"""
What is counted and measured, for Prometheus: names, labels, buckets.

Much of it is known from the log: an event there is told by the module that it
comes from and by its fields, not by its words.  No label holds what is secret,
or what people, or an LLM's server, wrote; each has a bounded set of values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from attrs import define, field
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.process_collector import ProcessCollector
from twisted.logger import ILogObserver, LogEvent
from zope.interface import implementer

#: In which media type :meth:`Metrics.page` writes.
CONTENT_TYPE = CONTENT_TYPE_LATEST

_ACK = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 5.0)
_TURN = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
_LLM = tuple(0.01 * 2**n for n in range(14))
_COMMIT = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_LAG = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

_CODES = frozenset({"200", "400", "403", "503"})
_CLIENT_LIMITS = frozenset(
    {"clients.connections", "clients.per_address", "clients.unverified"}
)
_TYPES = frozenset(
    {
        "message",
        "quick_reply",
        "postback",
        "echo",
        "read",
        "delivery",
        "reaction",
        "edit",
        "referral",
        "optin",
        "account_linking",
        "pass_thread_control",
        "take_thread_control",
        "request_thread_control",
        "app_roles",
        "unreadable",
    }
)
_REASONS = frozenset(
    {
        "unreadable",
        "backfill",
        "window",
        "patience",
        "human",
        "unresolved",
        "erased",
        "limits.person.turns_per_minute",
        "limits.person.turns_per_day",
        "limits.person.tokens_per_day",
        "limits.bot.tokens_per_day",
    }
)
# What an endpoint says of itself stands where a reason is none of these.
_BY_ASSISTANT = "assistant"

_SENDS = {
    "Sent": "sent",
    "NotSent": "not_sent",
    "NeverSent": "refused",
    "InDoubt": "unknown",
}

_STATES = {
    "event": ("new", "in_turn", "done", "ignored", "dead"),
    "turn": ("ready", "generating", "composed", "closed", "failed", "expired"),
    "part": ("composed", "sending", "unknown", "sent", "refused", "expired", "dead"),
}
_OPEN = {
    "event": ("new", "in_turn"),
    "turn": ("ready", "generating", "composed"),
    "part": ("composed", "sending", "unknown"),
}


def _known(value: str, known: Iterable[str], otherwise: str = "other") -> str:
    return value if value in known else otherwise


@implementer(ILogObserver)
@define(eq=False)
class Metrics:
    """
    A registry of its own, and what moves it.

    As an observer of the log it takes from there what it counts.

    :ivar registry: what is served.
    """

    registry: CollectorRegistry = field(factory=CollectorRegistry, init=False)
    _counters: dict[str, Counter] = field(factory=dict, init=False)
    _gauges: dict[str, Gauge] = field(factory=dict, init=False)
    _histograms: dict[str, Histogram] = field(factory=dict, init=False)
    _counted: dict[tuple[str, str], Counter] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        ProcessCollector(registry=self.registry)
        for name, says, labels in _COUNTERS:
            self._counters[name] = Counter(name, says, labels, registry=self.registry)
        for name, says, labels in _GAUGES:
            self._gauges[name] = Gauge(name, says, labels, registry=self.registry)
        for name, says, labels, buckets in _HISTOGRAMS:
            self._histograms[name] = Histogram(
                name, says, labels, buckets=buckets, registry=self.registry
            )
        # What never happened is 0, and not absent.
        for what, states in _STATES.items():
            for state in states:
                self._counters[f"mica_{what}_states"].labels(state)
        for outcome in _SENDS.values():
            self._counters["mica_send"].labels(outcome)
        for reason in (*_REASONS, _BY_ASSISTANT):
            self._counters["mica_dead_letters"].labels(reason)
        for code in _CODES:
            self._counters["mica_webhook_requests"].labels(code)
        for limit in _CLIENT_LIMITS:
            self._counters["mica_clients_refused"].labels(limit)

    def page(self) -> bytes:
        """
        Write all of it, as Prometheus reads it.
        """
        return generate_latest(self.registry)

    def _counter(self, name: str, label: str) -> Counter:
        """
        Find the counter of one label: to have it found takes longer than to count.
        """
        found = self._counted.get((name, label))
        if found is None:
            found = self._counters[name].labels(label)
            self._counted[name, label] = found
        return found

    # What is told directly.

    def answered(self, code: int, seconds: float) -> None:
        """
        Note that a delivery was answered.
        """
        name = _known(str(code), _CODES)
        self._counter("mica_webhook_requests", name).inc()
        self._histograms["mica_webhook_ack_seconds"].observe(seconds)

    def refused(self, limit: str) -> None:
        """
        Note that a limit costs a client its connection.
        """
        name = _known(limit, _CLIENT_LIMITS)
        self._counters["mica_clients_refused"].labels(name).inc()

    def committed(self, seconds: float, count: int) -> None:
        """
        Note that so many transactions were committed together.
        """
        self._histograms["mica_store_commit_seconds"].observe(seconds)
        self._histograms["mica_store_batch_rows"].observe(count)

    def late(self, seconds: float) -> None:
        """
        Note that the reactor was so late to do something.
        """
        self._histograms["mica_reactor_lag_seconds"].observe(seconds)

    def moved(self, what: str, kind: str, state: str, reason: str, count: int) -> None:
        """
        Note that something came into a state, so many times.

        :param what: ``event``, ``turn`` or ``part``; or ``arrival``, for an
            event that has just come.
        """
        if what == "arrival":
            type = _known(kind, _TYPES)
            self._counters["mica_events"].labels(type, state).inc(count)
            what = "event"
        self._counters[f"mica_{what}_states"].labels(state).inc(count)
        if state == "dead":
            why = "backfill" if reason.startswith("backfill:") else reason
            why = _known(why, _REASONS, _BY_ASSISTANT)
            self._counters["mica_dead_letters"].labels(why).inc(count)

    # What is the case.

    def open(self, states: Mapping[tuple[str, str], int], oldest: float) -> None:
        """
        Show what is open.

        :param states: how many of ``event``, ``turn`` and ``part`` there are in
            which state.
        :param oldest: since how many seconds the oldest event waits.
        """
        for what, names in _OPEN.items():
            gauge = "mica_queue_depth" if what == "event" else f"mica_{what}s"
            for name in names:
                self._gauges[gauge].labels(name).set(states.get((what, name), 0))
        self._gauges["mica_send_unknown"].set(states.get(("part", "unknown"), 0))
        self._gauges["mica_queue_oldest_age_seconds"].set(oldest)

    def disk(self, log: int, free: int, size: int) -> None:
        """
        Show the size of the store's log, the free space beside it, and the size
        of the whole disk, in bytes.
        """
        self._gauges["mica_store_size_bytes"].set(size)
        self._gauges["mica_sqlite_wal_bytes"].set(log)
        self._gauges["mica_store_free_bytes"].set(free)

    def spent(self, bot: str, ratio: float) -> None:
        """
        Show how much of a bot's tokens of this day is spent or set aside, from
        0.0 on.
        """
        self._gauges["mica_budget_spent_ratio"].labels(bot).set(ratio)

    def subscribed(self, bot: str, is_so: bool) -> None:
        """
        Show whether a bot's Page is subscribed; unknown, until this is called.
        """
        self._gauges["mica_page_subscribed"].labels(bot).set(is_so)

    def certificate(self, expires: Callable[[], float] | None) -> None:
        """
        Show when the certificate in force expires, asked for at each look.

        :param expires: gives seconds since the epoch; ``None``: there is none.
        """
        name, says = "mica_tls_cert_not_after_timestamp_seconds", "When it expires."
        if expires is None:
            if name in self._gauges:
                self.registry.unregister(self._gauges.pop(name))
            return
        if name not in self._gauges:
            # Where there is none, 0 would be read as a date.
            self._gauges[name] = Gauge(name, says, registry=self.registry)
        self._gauges[name].set_function(expires)

    def endpoint(self, host: str, model: str) -> None:
        """
        Show that an LLM's endpoint is asked.
        """
        self._gauges["mica_breaker_state"].labels(host, model).set(0)

    def only(self, bots: Collection[str], endpoints: Collection[Sequence[str]]) -> None:
        """
        Show nothing more of what is no longer there.

        :param bots: those that there are.
        :param endpoints: the host and the model of each LLM that is asked.
        """
        there: dict[tuple[str, ...], set[tuple[str, ...]]] = {
            ("bot",): {(bot,) for bot in bots},
            ("host", "model"): {tuple(endpoint) for endpoint in endpoints},
        }
        for name, _, labels in _GAUGES:
            (family,) = self._gauges[name].collect()
            for sample in family.samples if labels in there else ():
                values = tuple(sample.labels[label] for label in labels)
                if values not in there[labels]:
                    self._gauges[name].remove(*values)

    def checked(self, checks: Iterable[tuple[str, str, bool]]) -> None:
        """
        Show what readiness consists of, and nothing else.

        :param checks: of each its name, its bot, which may be empty, and
            whether it is well.
        """
        gauge = self._gauges["mica_check_ok"]
        gauge.clear()
        for name, bot, ok in checks:
            gauge.labels(name, bot).set(ok)

    def paused(self, bots: Mapping[str, bool]) -> None:
        """
        Show of each bot whether it sends nothing now, and of no other.
        """
        gauge = self._gauges["mica_sending_paused"]
        gauge.clear()
        for bot, is_so in bots.items():
            gauge.labels(bot).set(is_so)

    def tokens(self, bots: Mapping[str, int | None]) -> None:
        """
        Show of each bot when its token expires, and of no other.

        :param bots: in seconds since the epoch; ``None``: never, or nobody knows.
        """
        gauge = self._gauges["mica_token_expires_timestamp_seconds"]
        gauge.clear()
        for bot, expires in bots.items():
            if expires is not None:
                gauge.labels(bot).set(expires)

    def build(self, version: str, python: str, twisted: str, sqlite: str) -> None:
        """
        Show of what this is made.
        """
        labels = (version, python, twisted, sqlite)
        self._gauges["mica_build_info"].labels(*labels).set(1)

    # What the log tells.

    def __call__(self, event: LogEvent) -> None:
        tell = _TELLING.get(event.get("event", ""))
        if tell is not None:
            tell(self, event)

    def _doubled(self, event: LogEvent) -> None:
        self._counters["mica_duplicate_replies"].inc()

    def _taken(self, event: LogEvent) -> None:
        gauge = self._gauges["mica_last_event_timestamp_seconds"]
        gauge.labels(event["bot"]).set(event["log_time"])

    def _redelivered(self, event: LogEvent) -> None:
        self._counters["mica_redeliveries"].inc()

    def _attempted(self, event: LogEvent) -> None:
        outcome = _SENDS[type(event["outcome"]).__name__]
        self._counter("mica_send", outcome).inc()
        waited = event["waited"]
        if outcome == "sent" and waited is not None:
            self._histograms["mica_turn_seconds"].observe(waited)

    def _looked_up(self, event: LogEvent) -> None:
        name = _EVIDENCE[type(event["evidence"]).__name__]
        self._counters["mica_lookups"].labels(name).inc()

    def _called(self, event: LogEvent) -> None:
        outcome = event["outcome"].replace(" ", "_")
        self._counter("mica_llm_calls", outcome).inc()
        self._counters["mica_llm_tokens"].inc(event["tokens"])
        self._histograms["mica_llm_seconds"].observe(event["seconds"])

    def _left_alone(self, event: LogEvent) -> None:
        well = event["event"] == "llm.recovered"
        labels = event["host"], event["model"]
        self._gauges["mica_breaker_state"].labels(*labels).set(0 if well else 1)

    def _limited(self, event: LogEvent) -> None:
        self._counters["mica_limits_reached"].labels(event["limit"]).inc()

    def _swept(self, event: LogEvent) -> None:
        for task, rows in event["erased"].items():
            self._counters["mica_retention_rows"].labels(task).inc(rows)


_EVIDENCE = {"Found": "found", "Absent": "absent", "NoEvidence": "none"}

# By what docs/events.md calls it.
_TELLING: Mapping[str, Callable[[Metrics, LogEvent], None]] = {
    "event.redelivered": Metrics._redelivered,
    "llm.called": Metrics._called,
    "llm.left_alone": Metrics._left_alone,
    "llm.locked": Metrics._left_alone,
    "llm.recovered": Metrics._left_alone,
    "message.taken": Metrics._taken,
    "part.attempted": Metrics._attempted,
    "part.doubled": Metrics._doubled,
    "part.looked_up": Metrics._looked_up,
    "retention.swept": Metrics._swept,
    "turn.limited": Metrics._limited,
}

# prometheus-client adds _total to the names of counters.
_COUNTERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("mica_webhook_requests", "Deliveries answered.", ("code",)),
    ("mica_clients_refused", "Clients that a limit cost their connection.", ("limit",)),
    (
        "mica_events",
        "Events taken, and what became of them.",
        ("type", "outcome"),
    ),
    ("mica_redeliveries", "Events that were known already.", ()),
    ("mica_event_states", "Events that came into a state.", ("state",)),
    ("mica_turn_states", "Turns that came into a state.", ("state",)),
    ("mica_part_states", "Parts that came into a state.", ("state",)),
    ("mica_send", "Attempts to send a part.", ("outcome",)),
    ("mica_lookups", "Look-ups of parts in doubt.", ("evidence",)),
    (
        "mica_duplicate_replies",
        "Parts said twice, as two echoes prove.",
        (),
    ),
    ("mica_dead_letters", "Events and parts given up.", ("reason",)),
    ("mica_llm_calls", "Calls of an LLM.", ("outcome",)),
    ("mica_llm_tokens", "Tokens of the LLM, asked and answered.", ()),
    ("mica_limits_reached", "Turns not answered as a limit was reached.", ("limit",)),
    ("mica_retention_rows", "Rows erased as they were too old.", ("task",)),
)
_GAUGES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("mica_queue_depth", "Events without an answer.", ("state",)),
    ("mica_queue_oldest_age_seconds", "Since when the oldest of them waits.", ()),
    ("mica_turns", "Turns that are open.", ("state",)),
    ("mica_parts", "Parts that are open.", ("state",)),
    ("mica_send_unknown", "Parts in doubt.", ()),
    ("mica_last_event_timestamp_seconds", "When somebody last wrote.", ("bot",)),
    ("mica_breaker_state", "1 while an endpoint is left alone.", ("host", "model")),
    ("mica_budget_spent_ratio", "Share of the day's tokens that is spent.", ("bot",)),
    ("mica_page_subscribed", "Whether Meta delivers the Page's events.", ("bot",)),
    ("mica_sqlite_wal_bytes", "Size of the store's log.", ()),
    ("mica_check_ok", "0 while a check of /readyz fails.", ("check", "bot")),
    (
        "mica_sending_paused",
        "1 while nothing is sent: a limit is reached, or the Graph API refuses the"
        " Page, or is not reached.",
        ("bot",),
    ),
    ("mica_token_expires_timestamp_seconds", "When a token expires.", ("bot",)),
    ("mica_store_size_bytes", "Size of the disk where the store is.", ()),
    ("mica_store_free_bytes", "Free space where the store is.", ()),
    ("mica_build_info", "Versions.", ("version", "python", "twisted", "sqlite")),
)
_HISTOGRAMS: tuple[tuple[str, str, tuple[str, ...], tuple[float, ...]], ...] = (
    ("mica_webhook_ack_seconds", "Until a delivery is answered.", (), _ACK),
    ("mica_turn_seconds", "From an event to the first part of its answer.", (), _TURN),
    ("mica_llm_seconds", "One call of an LLM.", (), _LLM),
    ("mica_store_commit_seconds", "One commit, with all that is in it.", (), _COMMIT),
    ("mica_store_batch_rows", "Transactions in one commit.", (), _ROWS),
    ("mica_reactor_lag_seconds", "How late a timer fires.", (), _LAG),
)
