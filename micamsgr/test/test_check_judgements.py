"""
Tests for what answers mean, in :mod:`micamsgr.check`: of this machine, of the
webhook and of the LLM.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from micamsgr.check.command import in_json, in_lines
from micamsgr.check.discretion import without_secrets
from micamsgr.check.findings import Finding, Verdict, exit_status, fine
from micamsgr.check.llm import Asked, judge_llm
from micamsgr.check.machine import Holder, Port, judge_port, judge_store
from micamsgr.check.subscribed import judge_mode
from micamsgr.check.troubles import QUESTIONS, TROUBLES, trouble
from micamsgr.check.webhook import (
    EMPTY,
    Reply,
    is_ours,
    judge_reach,
    judge_signed,
    judge_unsigned,
    judge_verification,
    signature,
)
from micamsgr.config import LanguageModel, parse_config
from micamsgr.httpcall import Answer
from micamsgr.store.look import NEWEST, Look

from .test_config import FILLED

GOOD = Look(
    version=NEWEST,
    taken=False,
    problem="",
    unwritable="",
    mode=0o600,
    free=10 << 30,
    sync=0.01,
    people={},
)
URL = "https://bot.example/v1/facebook/webhook/mica"


def name_of(found: Finding) -> str:
    """Give the trouble's name, or ``ok``."""
    return found.name or found.verdict.value


def reply(status: int, body: bytes = b"", seconds: float = 0.1) -> Reply:
    """Make a reply of the webhook's."""
    return Reply(answer=Answer(status, Headers(), body), seconds=seconds)


class FindingTests(SynchronousTestCase):
    """
    Tests for how findings are summed up and shown.
    """

    bad = trouble("token.expired", "mica", "it has expired")
    doubtful = trouble("mode.unknown", "mica", "not told")
    well = fine("store", "", "well")

    def test_status(self) -> None:
        """
        The worst finding makes the exit status.
        """
        for found, status in (
            ([], 0),
            ([self.well], 0),
            ([self.well, self.doubtful], 1),
            ([self.bad, self.doubtful, self.well], 2),
        ):
            self.assertEqual(exit_status(found), status)

    def test_lines(self) -> None:
        """
        Each is one line, whatever somebody else's name holds; what is wrong
        says what it means and what to do.
        """
        odd = evolve(self.well, line="a\nb\x1b[2J")
        first, second, end = in_lines([odd, self.bad]).split("\n")
        self.assertEqual(first, "ok       store: a b [2J")
        self.assertEqual(end, "")
        means, todo = self.bad.means, self.bad.todo
        self.assertIn("failed   token (mica): it has expired. ", second)
        self.assertIn(f"{means[1:]}. To do: {todo}.", second)

    def test_json(self) -> None:
        """
        Programs get the names that stay, the verdict and the words.
        """
        shown = in_json([self.bad], 2)
        for words in ('"status": 2', '"token.expired"', '"verdict": "failed"'):
            self.assertIn(words, shown)

    def test_all(self) -> None:
        """
        All that can be wrong says of what question it is, and what to do.
        """
        for name, known in TROUBLES.items():
            self.assertIn(name.partition(".")[0], QUESTIONS)
            self.assertIsNot(known.verdict, Verdict.OK)
            self.assertTrue(known.when and known.means and known.todo, name)

    def test_secrets(self) -> None:
        """
        A secret that somehow got into a line is taken out of it.
        """
        config = parse_config(
            FILLED.replace("EAAB1", "EAAB1-secret").replace("sk-1", "sk-secret-1"),
            directory=Path("/"),
            environ={},
        )
        odd = fine("store", "EAAB1-secret", "with sk-secret-1 and EAAB1-secret")
        (clean,) = without_secrets([odd], config)
        self.assertEqual(clean.line, "with (a secret) and (a secret)")
        self.assertEqual(clean.about, "(a secret)")

    def test_written(self) -> None:
        """
        So it is as URLs have it, and where it was cut short; what only begins
        as a secret does, stays.
        """
        text = FILLED.replace("EAAB1", "EAAB1+a/long=token")
        text = re.sub("verify_token: .*", "verify_token: of an+app secret", text)
        config = parse_config(text, directory=Path("/"), environ={})
        for line, wanted in (
            ("at ?t=EAAB1%2Ba%2Flong%3Dtoken&x", "at ?t=(a secret)&x"),
            ("at EAAB1%2Ba/long%3Dtoken", "at (a secret)"),
            ("as of+an%2Bapp+secret", "as (a secret)"),
            ("the Page of EAAB1+a/lo…", "the Page of (a secret)…"),
            ("EAAB1+a/long=token EAAB1+a/lo… x…", "(a secret) (a secret)… x…"),
            ("one of EAAB1+… and EAAB1+a/l", "one of EAAB1+… and EAAB1+a/l"),
        ):
            (clean,) = without_secrets([fine("page", "", line)], config)
            self.assertEqual(clean.line, wanted)


class MachineTests(SynchronousTestCase):
    """
    Tests for the store and the ports.
    """

    def test_store(self) -> None:
        """
        What keeps the store from keeping is told, the worst first.
        """
        mib = 1 << 20
        for changes, name in (
            ({}, "ok"),
            ({"version": 0, "mode": None}, "ok"),
            ({"version": 1}, "ok"),
            ({"problem": "it is damaged"}, "store.unusable"),
            ({"unwritable": "read only"}, "store.unwritable"),
            ({"free": 63 * mib}, "store.full"),
            ({"free": 64 * mib}, "store.filling"),
            ({"free": 1023 * mib}, "store.filling"),
            ({"free": 1024 * mib}, "ok"),
            ({"free": None, "sync": None}, "ok"),
            ({"sync": 3.0}, "store.too_slow"),
            ({"sync": 2.9}, "store.slow"),
            ({"sync": 0.25}, "ok"),
            ({"mode": 0o644}, "store.readable"),
            ({"mode": 0o640}, "ok"),
            ({"mode": 0o644, "free": 0}, "store.full"),
        ):
            found = judge_store("mica.db", evolve(GOOD, **changes))
            self.assertEqual(name_of(found), name, changes)
        older = judge_store("mica.db", evolve(GOOD, version=1))
        self.assertIn(f"version 1, and {NEWEST}", older.line)

    def test_ports(self) -> None:
        """
        A port is ours, free, another's, forbidden, or none at all.
        """
        for holder, number, name in (
            (Holder.OURS, errno.EADDRINUSE, "ok"),
            (Holder.SYSTEMD, None, "ok"),
            (Holder.NOBODY, None, "ok"),
            (Holder.NOBODY, errno.EADDRINUSE, "ports.taken"),
            (Holder.NOBODY, errno.EACCES, "ports.forbidden"),
            (Holder.NOBODY, errno.EADDRNOTAVAIL, "ports.impossible"),
        ):
            error = None if number is None else OSError(number, os.strerror(number))
            port = Port(endpoint="tcp:443", holder=holder, error=error)
            self.assertEqual(name_of(judge_port(port)), name)


class WebhookTests(SynchronousTestCase):
    """
    Tests for what the webhook answers.
    """

    def test_reach(self) -> None:
        """
        No answer, none that is to be trusted, and plain HTTP are told apart.
        """
        refused = Reply(answer=None, failure="ConnectionRefusedError", connected=False)
        untrusted = evolve(refused, failure="Error: certificate verify failed")
        other = evolve(refused, failure="VerificationError: DNSMismatch")
        late = Reply(answer=None, failure="no whole answer within 5 s")
        plain = URL.replace("https", "http")
        for url, came, stand_in, name in (
            (URL, reply(200), False, "ok"),
            (URL, reply(502), False, "ok"),
            (URL, refused, False, "webhook.unreachable"),
            (URL, untrusted, False, "webhook.untrusted"),
            (URL, other, False, "webhook.untrusted"),
            (URL, late, False, "webhook.unreachable"),
            (plain, reply(200), False, "webhook.plain"),
            (plain, reply(200), True, "ok"),
            (plain, refused, True, "webhook.unreachable"),
        ):
            found = judge_reach("mica", url, came, stand_in)
            self.assertEqual(name_of(found), name, came)
        # A daemon that speaks 1.3 alone answers us; Meta may be older.
        found = judge_reach("mica", URL, reply(200), False, modern=True)
        self.assertEqual(name_of(found), "ok")
        self.assertIn("tls.modern", found.line)

    def test_answers(self) -> None:
        """
        Only the challenge, 200 for what is signed and 403 for what isn't are
        right.
        """
        gone = Reply(answer=None, failure="gone")

        def verified(it: Reply) -> str:
            return name_of(judge_verification("mica", it, "12ab"))

        self.assertEqual(verified(reply(200, b"12ab")), "ok")
        self.assertEqual(verified(reply(403)), "webhook_verification.refused")
        for wrong in (reply(200, b'"12ab"'), reply(301), reply(404), gone):
            self.assertEqual(verified(wrong), "webhook_verification.wrong")
        for came, name in (
            (reply(200, seconds=2.0), "ok"),
            (reply(200, seconds=2.1), "webhook_signed.slow"),
            (reply(403), "webhook_signed.refused"),
            (reply(503), "webhook_signed.wrong"),
            (reply(301), "webhook_signed.wrong"),
            (gone, "webhook_signed.wrong"),
        ):
            self.assertEqual(name_of(judge_signed("mica", came)), name)
        for came, name in (
            (reply(403), "ok"),
            (reply(200), "webhook_unsigned.accepted"),
            (reply(204), "webhook_unsigned.accepted"),
            (reply(404), "webhook_unsigned.wrong"),
            (gone, "webhook_unsigned.wrong"),
        ):
            self.assertEqual(name_of(judge_unsigned("mica", came)), name)

    def test_ours(self) -> None:
        """
        Who answers 200 to everything, or to nothing, is not our daemon.
        """
        self.assertTrue(is_ours(reply(200), reply(403)))
        self.assertFalse(is_ours(reply(200), reply(200)))
        self.assertFalse(is_ours(reply(403), reply(403)))
        self.assertFalse(is_ours(reply(404), reply(404)))

    def test_signature(self) -> None:
        """
        The delivery of nothing is signed as Meta signs.
        """
        # By `openssl dgst -sha256 -hmac key`.
        self.assertEqual(
            signature("key", b"The quick brown fox jumps over the lazy dog"),
            "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
        )
        self.assertEqual(EMPTY, b'{"object":"page","entry":[]}')


class OtherTests(SynchronousTestCase):
    """
    Tests for the LLM and the app's mode.
    """

    def test_llm(self) -> None:
        """
        An LLM that fails, is slow, or only steps in, is told as such, with
        its server.
        """
        model = LanguageModel(url="https://llm.example/v1/chat/completions")
        for place, asked, name in (
            (0, Asked(seconds=10.0), "ok"),
            (0, Asked(seconds=10.1), "llm.slow"),
            (1, Asked(seconds=10.1), "llm.slow"),
            (0, Asked(failure="401"), "llm.refused"),
            (0, Asked(failure="gone", reached=False), "llm.unreachable"),
            (2, Asked(failure="401"), "llm.fallback"),
        ):
            found = judge_llm("mica", model, place, asked)
            self.assertEqual(name_of(found), name)
            self.assertIn("gpt-4o-mini at llm.example", found.line)

    def test_mode(self) -> None:
        """
        Many people who have written prove that the app is live; a stand-in
        has no modes; otherwise nobody can tell.
        """
        cases: tuple[tuple[Any, bool, str], ...] = (
            (None, False, "mode.unknown"),
            (0, False, "mode.unknown"),
            (24, False, "mode.unknown"),
            (25, False, "ok"),
            (0, True, "ok"),
        )
        for people, stand_in, name in cases:
            found = judge_mode("mica", people, stand_in)
            self.assertEqual(name_of(found), name)
