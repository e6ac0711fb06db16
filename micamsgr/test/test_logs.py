"""
Tests for :mod:`micamsgr.logs`.
"""

from __future__ import annotations

import json
import os
from io import StringIO
from typing import Any

from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.conversation.outcomes import Absent, NotSent
from micamsgr.logs import LogWriter, is_journal

# What people could write to forge a line, to hide one, or to break a terminal
# or a program that reads the log.
FORGERIES = (
    "hi\n2026-11-22T15:50:17+0000 error micamsgr.x: forged",
    "hi\r\nforged",
    "hi\rforged",
    "hi\x1b[2K\x1b[1Aforged",
    "hi\x85forged\u2028forged\u2029forged",
    "hi\x0bforged\x0cforged\x1cforged",
    "hi\x00\x07\x08\x7f\x9bforged",
    "hi\u202eforged\u200b",
    "hi\ud800forged",
)


class LogCase(SynchronousTestCase):
    """
    A log that a test can read.
    """

    def write(
        self,
        level: str = "info",
        text: str = "{words}",
        *,
        lowest: str = "info",
        format: str = "text",
        namespace: str = "micamsgr.messenger.webhook",
        journal: bool = False,
        **fields: Any,
    ) -> str:
        """
        Log something, and give what was written of it.
        """
        out = StringIO()
        writer = LogWriter(out, level=lowest, format=format, journal=journal)
        publisher = LogPublisher(writer)
        logger = Logger(namespace=namespace, observer=publisher)
        getattr(logger, level)(text, **fields)
        return out.getvalue()


class TextTests(LogCase):
    """
    Tests for the log as text.
    """

    def test_line(self) -> None:
        """
        A line has the time, the level, where it is from, and what happened.
        """
        self.assertRegex(
            self.write("warn", "bot {bot}: {count}", bot="mica", count=3),
            r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} warn"
            r" micamsgr\.messenger\.webhook: bot mica: 3\n$",
        )

    def test_trace(self) -> None:
        """
        A line that tells of a message ends with the name that all such lines
        have.
        """
        self.assertIn(": sent [e12]\n", self.write(words="sent", trace="e12"))
        self.assertIn(": sent\n", self.write(words="sent", trace=""))

    def test_forgery(self) -> None:
        """
        Whatever people write stays on its line, and moves no cursor.
        """
        for words in FORGERIES:
            line = self.write(words=words)
            self.assertEqual(line.splitlines(), [line[:-1]], ascii(words))
            self.assertTrue(line[:-1].isprintable(), ascii(line))
            self.assertIn("forged", line)
            line.encode("utf-8")

    def test_readable(self) -> None:
        """
        Words in any script are written as they are.
        """
        words = "zażółć gęślą jaźń — 你好 🙂"
        self.assertIn(words, self.write(words=words))

    def test_braces(self) -> None:
        """
        What people write is not taken for a format.
        """
        self.assertIn("{words} {0} {", self.write(words="{words} {0} {"))

    def test_failure(self) -> None:
        """
        A defect is written with its traceback, each line of it indented, so
        that nothing in it passes for a line of the log.
        """
        for words in FORGERIES:
            written = self.write(
                "failure", "a defect", failure=Failure(ValueError(words))
            )
            first, *rest = written.split("\n")
            self.assertIn(" critical micamsgr", first)
            self.assertEqual(rest.pop(), "")
            for line in rest:
                self.assertTrue(line.startswith("\t"), ascii(line))
                self.assertTrue(line[1:].isprintable(), ascii(line))
            self.assertIn("ValueError", written)


class JSONTests(LogCase):
    """
    Tests for the log as JSON.
    """

    def read(self, written: str) -> Any:
        """
        Read the one line that was written, as strictly as JSON is defined.
        """

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        self.assertEqual(written.count("\n"), 1)
        self.assertTrue(written.isascii())
        return json.loads(written, parse_constant=refuse)

    def test_line(self) -> None:
        """
        A line has the same as the text, the name of what happened, and each
        field by its own.
        """
        line = self.read(
            self.write(
                "warn",
                "bot {bot}: {count}",
                format="json",
                event="bot.counted",
                bot="mica",
                count=3,
            )
        )
        self.assertRegex(line.pop("time"), "^20[0-9-]+T")
        self.assertEqual(
            line,
            {
                "level": "warn",
                "from": "micamsgr.messenger.webhook",
                "event": "bot.counted",
                "text": "bot mica: 3",
                "bot": "mica",
                "count": 3,
            },
        )

    def test_forgery(self) -> None:
        """
        Whatever people write comes back as they wrote it.
        """
        for words in FORGERIES:
            line = self.read(self.write(format="json", words=words))
            self.assertEqual(line["words"], words)

    def test_any_value(self) -> None:
        """
        A field that JSON can't hold is written as text.
        """
        for value in (b"\xff", object, float("nan"), float("inf"), 1 + 2j):
            line = self.read(self.write(format="json", words=value))
            self.assertEqual(line["words"], str(value))

    def test_outcome(self) -> None:
        """
        What became of something is written in words, in JSON as in the text,
        and not as a programmer writes it.
        """
        told = "surely not sent: status 613; not again for 30 s"
        value = NotSent(detail="status 613", rest=30.0, pause=True)
        line = self.read(self.write(format="json", words=value))
        self.assertEqual((line["words"], line["text"]), (told, told))

    def test_several(self) -> None:
        """
        Of a field that is a table or a list, a program can read each value.
        """
        value = {"raw.event": 0, 1: (2, Absent())}
        line = self.read(self.write(format="json", words=value))
        self.assertEqual(
            line["words"], {"raw.event": 0, "1": [2, "this look-up does not show it"]}
        )

    def test_own_fields(self) -> None:
        """
        A field never takes the place of the time, or of where it is from.
        """
        forged: dict[str, Any] = dict.fromkeys(("time", "from"), "x")
        line = self.read(self.write(format="json", words="", **forged))
        self.assertNotIn("x", (line["time"], line["from"]))

    def test_failure(self) -> None:
        """
        A defect's traceback is a field of its line.
        """
        failure = Failure(ValueError("hi\nforged"))
        line = self.read(
            self.write("failure", "a defect", format="json", failure=failure)
        )
        self.assertEqual(line["level"], "critical")
        self.assertIn("ValueError", line["traceback"])


class JournalTests(LogCase):
    """
    Tests for the log where systemd's journal reads it.
    """

    severities = (("debug", 7), ("info", 6), ("warn", 4), ("error", 3))

    def test_text(self) -> None:
        """
        A line begins with what the journal reads as its severity, and leaves
        the time to it.
        """
        for level, severity in self.severities:
            self.assertEqual(
                self.write(level, "bot {bot}", lowest="debug", journal=True, bot="a"),
                f"<{severity}>{level} micamsgr.messenger.webhook: bot a\n",
            )

    def test_failure(self) -> None:
        """
        Each line of a traceback, which the journal keeps by itself, is as
        severe as the defect, and nothing that people write is.
        """
        for words in FORGERIES:
            failure = Failure(ValueError(f"{words}\n<7>x"))
            written = self.write("failure", "a defect", failure=failure, journal=True)
            first, *rest = written.rstrip("\n").split("\n")
            self.assertTrue(first.startswith("<2>critical "))
            for line in rest:
                self.assertTrue(line.startswith("<2>\t"), ascii(line))

    def test_json(self) -> None:
        """
        Behind its severity a line is the same JSON as elsewhere.
        """
        for level, severity in self.severities:
            told = [
                self.write(
                    level,
                    format="json",
                    lowest="debug",
                    journal=journal,
                    words="hi\n",
                )
                for journal in (False, True)
            ]
            plain, journaled = told
            self.assertTrue(journaled.startswith(f"<{severity}>{{"))
            before, after = json.loads(plain), json.loads(journaled[3:])
            self.assertTrue(before.pop("time") and after.pop("time"))
            self.assertEqual(before, after)

    def test_found(self) -> None:
        """
        It is the journal only if the variable means the very stream: one that
        was inherited by what writes elsewhere does not count.
        """
        first, second = (self.mktemp() for _ in range(2))
        with open(first, "w") as out, open(second, "w") as other:  # noqa: PTH123
            status = os.fstat(out.fileno())
            environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
            self.assertTrue(is_journal(out, environ))
            self.assertFalse(is_journal(other, environ))
            self.assertFalse(is_journal(out, {}))
            self.assertFalse(is_journal(StringIO(), environ))
        self.assertFalse(is_journal(out, environ))


class LevelTests(LogCase):
    """
    Tests for what is written at all.
    """

    levels = ("debug", "info", "warn", "error")

    def test_ours(self) -> None:
        """
        Of ours, what is of the level asked for is written, and what is worse.
        """
        for index, lowest in enumerate(self.levels):
            written = [
                level
                for level in self.levels
                if self.write(level, lowest=lowest, words="x")
            ]
            self.assertEqual(written, list(self.levels[index:]), lowest)

    def test_critical(self) -> None:
        """
        A defect is written whatever the level.
        """
        failure = Failure(ValueError())
        self.assertTrue(self.write("failure", "x", lowest="critical", failure=failure))
        self.assertFalse(self.write("error", lowest="critical", words="x"))

    def test_twisted(self) -> None:
        """
        Twisted's own chatter is not written, whatever the level; its warnings
        are.
        """
        for namespace in ("twisted.web.http.HTTPChannel", "stdout", "micamsgrx"):
            for lowest in ("debug", "info"):
                written = [
                    level
                    for level in self.levels
                    if self.write(level, lowest=lowest, namespace=namespace, words="x")
                ]
                self.assertEqual(written, ["warn", "error"], namespace)
        self.assertFalse(
            self.write("warn", lowest="error", namespace="twisted", words="x")
        )
