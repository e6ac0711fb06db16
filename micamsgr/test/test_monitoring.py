"""
Tests for the alerts that Prometheus is given.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from unittest import SkipTest, TestCase

import yaml

import micamsgr
from micamsgr.metrics import Metrics
from micamsgr.web.readiness import BotFacts, Facts, readiness

FOLDER = Path(micamsgr.__file__).parent.parent / "etc" / "monitoring"

_NAMES = re.compile(r"\b(?:mica|process)_[a-z_]+")
_CHECKS = re.compile(r'mica_check_ok\{check="([a-z]+)"')


class MonitoringTests(TestCase):
    """
    Tests for ``etc/monitoring``.
    """

    def setUp(self) -> None:
        if not FOLDER.is_dir():
            raise SkipTest("needs a checkout")
        document = yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))
        self.rules: list[dict[str, Any]] = [
            rule for group in document["groups"] for rule in group["rules"]
        ]

    def promtool(self, *arguments: str) -> None:
        """
        Let Prometheus' own tool look at a file.
        """
        tool = shutil.which("promtool")
        if tool is None:
            raise SkipTest("needs promtool, of Debian's prometheus")
        done = subprocess.run(
            [tool, *arguments], cwd=FOLDER, capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_sound(self) -> None:
        """
        Prometheus takes the rules.
        """
        self.promtool("check", "rules", "alerts.yaml")

    def test_fire(self) -> None:
        """
        Each alert fires when it should, and not before, nor for anything else.
        """
        self.promtool("test", "rules", "alerts_test.yaml")

    def test_each_tried(self) -> None:
        """
        None is left out there: each is seen firing, and each time something is
        seen firing, it is seen not to fire too.
        """
        document = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text("utf-8"))
        fired = set()
        for test in document["tests"]:
            seen = [it.get("exp_samples", []) for it in test["promql_expr_test"]]
            self.assertIn([], seen, test["name"])
            for sample in (sample for samples in seen for sample in samples):
                fired.update(re.findall('alertname="([A-Za-z]+)"', sample["labels"]))
        self.assertEqual(fired, {rule["alert"] for rule in self.rules})

    def test_known(self) -> None:
        """
        What the rules ask for is there to be asked for.
        """
        metrics = Metrics()
        metrics.certificate(lambda: 1.0)
        families = list(metrics.registry.collect())
        known = {family.name for family in families}
        known |= {f"{it.name}_total" for it in families if it.type == "counter"}
        known |= {f"{it.name}_bucket" for it in families if it.type == "histogram"}
        facts = Facts(
            serving=True,
            stuck=None,
            store=None,
            expires=1.0,
            oldest=0.0,
            bots=[BotFacts(bot="mica")],
        )
        checks = {check.name for check in readiness(facts)}
        for rule in self.rules:
            self.assertLessEqual({*_NAMES.findall(rule["expr"])}, known)
            self.assertLessEqual({*_CHECKS.findall(rule["expr"])}, checks)

    def test_told(self) -> None:
        """
        Each says how bad it is, what is the case and what to do.
        """
        for rule in self.rules:
            self.assertIn(rule["labels"]["severity"], ("warning", "critical"))
            self.assertTrue(rule["annotations"]["summary"])
            self.assertGreater(len(rule["annotations"]["description"]), 40)
