"""
Tests for what is counted and measured: through the units that make it happen.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from unittest import SkipTest

from prometheus_client import generate_latest
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

import micamsgr
from micamsgr.assistant.breaker import Breaker
from micamsgr.assistant.chat_completions import ChatCompletions
from micamsgr.assistant.health import Health
from micamsgr.conversation.missed import TOO_OLD, TWICE
from micamsgr.errors import Unavailable
from micamsgr.metrics import Metrics
from micamsgr.test.test_answers import completion, failing
from micamsgr.test.test_chat_completions import FIRST, WORDS, Servers, answer
from micamsgr.test.test_sweeping import SweepingCase
from micamsgr.test.test_webhook import (
    WebhookCase,
    entry,
    message,
    notification,
    post,
)

GOLDEN = """
mica_breaker_state host model
mica_budget_spent_ratio bot
mica_build_info version python twisted sqlite
mica_check_ok check bot
mica_clients_refused limit
mica_dead_letters reason
mica_duplicate_replies
mica_event_states state
mica_events type outcome
mica_last_event_timestamp_seconds bot
mica_limits_reached limit
mica_llm_calls outcome
mica_llm_seconds
mica_llm_tokens
mica_lookups evidence
mica_page_subscribed bot
mica_part_states state
mica_parts state
mica_queue_depth state
mica_queue_oldest_age_seconds
mica_reactor_lag_seconds
mica_redeliveries
mica_retention_rows task
mica_send outcome
mica_send_unknown
mica_sending_paused bot
mica_sqlite_wal_bytes
mica_store_batch_rows
mica_store_commit_seconds
mica_store_free_bytes
mica_store_size_bytes
mica_tls_cert_not_after_timestamp_seconds
mica_token_expires_timestamp_seconds bot
mica_turn_seconds
mica_turn_states state
mica_turns state
mica_webhook_ack_seconds
mica_webhook_requests code
"""


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """
    Read a sample, as Prometheus would; 0 where there is none.
    """
    return metrics.registry.get_sample_value(name, labels) or 0.0


class NameTests(SynchronousTestCase):
    """
    Tests for names and labels, on which dashboards and alerts rely.
    """

    def test_golden(self) -> None:
        """
        There are these metrics, with these labels, and no others.
        """
        metrics = Metrics()
        metrics.certificate(lambda: 1.0)
        found = []
        for kind in (metrics._counters, metrics._gauges, metrics._histograms):
            for metric in kind.values():
                (family,) = metric.collect()
                found.append(" ".join([family.name, *metric._labelnames]))
        self.assertEqual(sorted(found), GOLDEN.strip().splitlines())

    def test_only(self) -> None:
        """
        What is no longer there is no longer shown, and the rest is.
        """
        metrics = Metrics()
        for bot in ("mica", "ink"):
            metrics.spent(bot, 0.5)
            metrics.subscribed(bot, True)
        metrics.endpoint("llm.example", "big")
        metrics.endpoint("llm.example", "small")
        metrics.only(["mica"], [("llm.example", "small")])
        text = metrics.page().decode()
        self.assertNotIn("ink", text)
        self.assertNotIn("big", text)
        self.assertEqual(value(metrics, "mica_budget_spent_ratio", bot="mica"), 0.5)
        self.assertEqual(value(metrics, "mica_page_subscribed", bot="mica"), 1)
        self.assertIn('model="small"', text)
        self.assertIn('mica_send_total{outcome="sent"} 0', text)

    def test_checks(self) -> None:
        """
        Checks and pauses are shown as they are now, and none that were.
        """
        metrics = Metrics()
        metrics.checked([("token", "ink", False), ("store", "", True)])
        metrics.paused({"ink": True})
        metrics.checked([("token", "mica", True), ("store", "", False)])
        metrics.paused({"mica": False})
        metrics.tokens({"ink": 17})
        metrics.tokens({"mica": 18, "other": None})
        text = metrics.page().decode()
        self.assertNotIn("ink", text)
        self.assertIn('mica_check_ok{bot="mica",check="token"} 1.0', text)
        self.assertIn('mica_check_ok{bot="",check="store"} 0.0', text)
        self.assertIn('mica_sending_paused{bot="mica"} 0.0', text)
        paused = re.search("# HELP mica_sending_paused (.*)", text)
        assert paused is not None
        self.assertIn("or is not reached", paused[1])
        name = "mica_token_expires_timestamp_seconds"
        self.assertIn(name + '{bot="mica"} 18.0', text)
        self.assertEqual(text.count(name + "{"), 1)

    def test_no_certificate(self) -> None:
        """
        Where TLS is given up, the end of the old certificate is not told any
        more; nor is there a trace of it where there never was one.
        """
        metrics = Metrics()
        metrics.certificate(None)
        metrics.certificate(lambda: 17.0)
        name = "mica_tls_cert_not_after_timestamp_seconds"
        self.assertEqual(value(metrics, name), 17.0)
        metrics.certificate(None)
        self.assertNotIn(name, metrics.page().decode())
        metrics.certificate(lambda: 18.0)
        self.assertEqual(value(metrics, name), 18.0)

    def test_documented(self) -> None:
        """
        Each of them has its line in the documentation.
        """
        page = Path(micamsgr.__file__).parent.parent / "docs" / "metrics.md"
        if not page.is_file():
            raise SkipTest("needs a checkout")
        text = page.read_text("utf-8")
        for line in GOLDEN.strip().splitlines():
            for word in line.split():
                self.assertIn(f"`{word}`", text)

    def test_process(self) -> None:
        """
        Memory, processor time and open files of the process are there too.
        """
        text = generate_latest(Metrics().registry).decode()
        for name in ("process_resident_memory_bytes", "process_open_fds"):
            self.assertIn(f"\n{name} ", text)

    def test_from_the_start(self) -> None:
        """
        What never happened yet is 0, so that its first time is seen.
        """
        text = generate_latest(Metrics().registry).decode().splitlines()
        for line in (
            "mica_duplicate_replies_total 0.0",
            'mica_dead_letters_total{reason="unresolved"} 0.0',
            'mica_send_total{outcome="unknown"} 0.0',
            'mica_webhook_requests_total{code="503"} 0.0',
            'mica_part_states_total{state="dead"} 0.0',
            'mica_clients_refused_total{limit="clients.unverified"} 0.0',
        ):
            self.assertIn(line, text)

    def test_bounded(self) -> None:
        """
        What others wrote makes no label.
        """
        metrics = Metrics()
        metrics.moved("arrival", "invented", "dead", "Alice's words", 2)
        metrics.answered(418, 0.1)
        metrics.refused("Alice's limit")
        text = generate_latest(metrics.registry).decode()
        self.assertNotIn("Alice", text)
        self.assertNotIn("invented", text)
        self.assertNotIn('"418"', text)
        self.assertNotIn("mica_tls_cert", text)
        self.assertEqual(
            value(metrics, "mica_dead_letters_total", reason="assistant"), 2
        )

    def test_listed(self) -> None:
        """
        What was read from threads and left to the operator is told from what
        the LLM refused.
        """
        metrics = Metrics()
        metrics.moved("arrival", "message", "dead", TWICE, 1)
        metrics.moved("arrival", "message", "dead", TOO_OLD, 1)
        self.assertEqual(
            value(metrics, "mica_dead_letters_total", reason="backfill"), 2
        )

    def test_no_reactor(self) -> None:
        """
        Importing it installs no reactor.
        """
        code = (
            "import sys, micamsgr.metrics;"
            " sys.exit('twisted.internet.reactor' in sys.modules)"
        )
        known = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        status = subprocess.call([sys.executable, "-c", code], env=known)
        self.assertEqual(status, 0)

    def test_rest(self) -> None:
        """
        What is told directly is shown.
        """
        metrics = Metrics()
        metrics.subscribed("mica", False)
        metrics.certificate(lambda: 12.5)
        metrics.build("1", "3", "26", "3.40")
        metrics.endpoint("llm.example", "big")
        metrics.committed(0.002, 3)
        text = generate_latest(metrics.registry).decode().splitlines()
        for line in (
            'mica_page_subscribed{bot="mica"} 0.0',
            "mica_tls_cert_not_after_timestamp_seconds 12.5",
            'mica_build_info{python="3",sqlite="3.40",twisted="26",version="1"} 1.0',
            'mica_breaker_state{host="llm.example",model="big"} 0.0',
            'mica_store_commit_seconds_bucket{le="0.002"} 1.0',
            'mica_store_commit_seconds_bucket{le="0.001"} 0.0',
            "mica_store_batch_rows_sum 3.0",
        ):
            self.assertIn(line, text)


class MetricsCase(SynchronousTestCase):
    """
    Metrics that listen.
    """

    def listen(self) -> Metrics:
        """
        Let metrics hear what is logged.
        """
        metrics: Any = Metrics()
        globalLogPublisher.addObserver(metrics)
        self.addCleanup(globalLogPublisher.removeObserver, metrics)
        return metrics  # type: ignore[no-any-return]


class WebhookTests(MetricsCase, WebhookCase):
    """
    Tests for what is counted of deliveries.
    """

    def test_codes(self) -> None:
        """
        Each delivery is told with its status, and when it was answered.
        """
        self.deliver(post(notification(entry(message()))))
        self.peer.send(post(notification(entry(message())), b"sha256=no"))
        self.peer.send(post(b"[]"))
        self.peer.send(post(notification(entry(message("m_2")))))
        self.clock.advance(3.0)
        self.assertEqual(
            self.answered, [(200, 0.0), (403, 0.0), (400, 0.0), (503, 3.0)]
        )
        metrics = Metrics()
        for status, seconds in self.answered:
            metrics.answered(status, seconds)
        for code in ("200", "403", "400", "503"):
            self.assertEqual(
                value(metrics, "mica_webhook_requests_total", code=code), 1
            )
        bucket = "mica_webhook_ack_seconds_bucket"
        self.assertEqual(value(metrics, bucket, le="1.0"), 3)
        self.assertEqual(value(metrics, bucket, le="3.0"), 4)

    def test_redelivered(self) -> None:
        """
        What is known already is counted, and when somebody last wrote.
        """
        metrics = self.listen()
        for _ in range(3):
            self.deliver(post(notification(entry(message()))))
        self.assertEqual(value(metrics, "mica_redeliveries_total"), 2)
        self.assertGreater(
            value(metrics, "mica_last_event_timestamp_seconds", bot="mica"), 1e9
        )

    def test_doubled(self) -> None:
        """
        Two echoes of one part are counted as what they prove.
        """
        metrics = self.listen()
        database = self.store.database.connection
        self.deliver(post(notification(entry(message()))))
        database.execute(
            "INSERT INTO turn (conversation, state, began) VALUES (1, 'ready', 0)"
        )
        database.execute(
            "INSERT INTO part (id, turn, conversation, kind, number, text, state)"
            " VALUES ('P', 1, 1, 'answer', 1, 'hello', 'composed')"
        )
        for mid in ("m_e1", "m_e2"):
            item = message(mid)
            item["sender"], item["recipient"] = item["recipient"], item["sender"]
            said: Any = item["message"]
            said |= {"is_echo": True, "metadata": "mica:1:P:1"}
            self.deliver(post(notification(entry(item))))
        self.assertEqual(value(metrics, "mica_duplicate_replies_total"), 1)


class AssistantTests(MetricsCase):
    """
    Tests for what is counted of the LLM.
    """

    def test_calls(self) -> None:
        """
        Calls are counted by what came of them, with tokens and time.
        """
        metrics = self.listen()
        for outcome in (
            answer(completion()),
            answer(failing(), 429),
            Unavailable("no connection"),
        ):
            times = count(0.0, 2.5)
            assistant = ChatCompletions(
                Servers([outcome]).call,
                [FIRST],
                lambda said: [{"role": "user", "content": u.text} for u in said],
                partial(next, times),
                lambda: 0.0,
            )
            asked = Deferred.fromCoroutine(assistant.reply(WORDS, 1))
            asked.addErrback(lambda _: None)
            self.successResultOf(asked)
        for name in ("reply", "busy", "unreached"):
            self.assertEqual(value(metrics, "mica_llm_calls_total", outcome=name), 1)
        self.assertEqual(value(metrics, "mica_llm_tokens_total"), 12)
        self.assertEqual(value(metrics, "mica_llm_seconds_count"), 3)
        self.assertGreaterEqual(value(metrics, "mica_llm_seconds_sum"), 7.5)

    def test_breaker(self) -> None:
        """
        An endpoint that is left alone is shown, until it answers again.
        """
        metrics = self.listen()
        now = [0.0]
        breaker = Breaker("llm.example", "big", lambda: now[0], lambda: 0.0)
        labels = {"host": "llm.example", "model": "big"}
        for who in range(5):
            entered = breaker.enter(who)
            assert entered is not None
            breaker.leave(entered, Health.ILL)
        self.assertEqual(value(metrics, "mica_breaker_state", **labels), 1)
        now[0] = 100.0
        entered = breaker.enter(1)
        assert entered is not None
        breaker.leave(entered, Health.WELL)
        self.assertEqual(value(metrics, "mica_breaker_state", **labels), 0)


class RetentionTests(MetricsCase, SweepingCase):
    """
    Tests for what is counted of erasing.
    """

    def test_rows(self) -> None:
        """
        Rows that were erased are counted.
        """
        metrics = self.listen()
        self.fill(3)
        self.start()
        self.clock.advance(60)
        self.pump(5)
        self.assertEqual(
            value(metrics, "mica_retention_rows_total", task="texts.event"), 3
        )
