"""
Tests for ``etc/sandbox.yaml``, by which one chats with the bot in a browser.
"""

from __future__ import annotations

from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.config import Config, load_config
from micamsgr.sandbox.addresses import served

SAMPLE = Path(__file__).parents[2] / "etc" / "sandbox.yaml"


class SampleTests(SynchronousTestCase):
    """
    Tests for the sample file.
    """

    def load(self, **environ: str) -> Config:
        """
        Read the sample, which an installed package lacks.
        """
        if not SAMPLE.exists():
            raise SkipTest(f"needs {SAMPLE.name}")
        return load_config(SAMPLE, environ)

    def test_alone(self) -> None:
        """
        It needs nothing of the environment, answers by the demo, and gives the
        operator nothing to worry about.
        """
        config = self.load()
        self.assertEqual(config.bots[0].llm.provider, "demo")
        self.assertEqual(config.warnings, ())
        self.assertEqual(config.without_effect, ())

    def test_served(self) -> None:
        """
        The sandbox serves its bot.
        """
        config = self.load()
        url = config.bots[0].facebook.graph_url
        self.assertTrue(served(url, config.sandbox.listen))

    def test_real(self) -> None:
        """
        A key, or a server that needs none, makes it talk to a real LLM.
        """
        key = self.load(MICA_LLM_PROVIDER="openai", OPENAI_API_KEY="sk-1").bots[0].llm
        assert key.api_key is not None
        self.assertEqual((key.provider, key.api_key.value), ("openai", "sk-1"))
        server = {"MICA_LLM_SERVER": "http://127.0.0.1:11434"}
        own = self.load(MICA_LLM_PROVIDER="openai", **server).bots[0].llm
        self.assertEqual(own.url, "http://127.0.0.1:11434/v1/chat/completions")

    def test_quick_doubt(self) -> None:
        """
        One can watch a doubt end within ten seconds.
        """
        delivery = self.load().bots[0].delivery
        self.assertLess(delivery.quarantine + delivery.lookup_lag, 10.0)
