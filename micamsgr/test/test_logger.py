"""
Tests for :mod:`micamsgr.logger`.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import LogEvent, LogLevel
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.logger import Logger
from twisted import logger

#: What is told while a test runs.
told: list[LogEvent] = []
_observer: Any = told.append


class Ours:
    """Tells by ours."""

    log = Logger(observer=_observer)


class Theirs:
    """Tells by Twisted's."""

    log = logger.Logger(observer=_observer)


class LoggerTests(SynchronousTestCase):
    """
    Tests for :class:`micamsgr.logger.Logger`.
    """

    def test_events(self) -> None:
        """
        Each event says the same as one of Twisted's logger, but for whose it is.
        """
        told.clear()
        for it in (Ours(), Theirs()):
            it.log.info("{a}", a=1, event="x")
            it.log.emit(LogLevel.warn, "b")
            try:
                raise ValueError("c")
            except ValueError:
                it.log.failure("c")
        ours, theirs = told[:3], told[3:]
        for one, other in zip(ours, theirs, strict=True):
            self.assertEqual(set(one), set(other))
            self.assertLess(abs(one["log_time"] - other["log_time"]), 60.0)
            for name in set(one) - {"log_time", "log_logger", "log_source"}:
                if name == "log_namespace":
                    self.assertEqual(one[name].replace("Ours", "Theirs"), other[name])
                elif name == "log_failure":
                    self.assertEqual(repr(one[name]), repr(other[name]))
                else:
                    self.assertEqual(one[name], other[name])
