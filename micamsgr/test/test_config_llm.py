"""
Tests for what :mod:`micamsgr.config` says of LLMs.
"""

from __future__ import annotations

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.config import ConfigError, LanguageModel, Secret
from micamsgr.test.test_config import FACEBOOK, FILLED, fault, parse


def llm(text: str, environ: Mapping[str, str] | None = None) -> LanguageModel:
    """Read keys of llm_config, written between braces."""
    return parse(f"bot_name: m\nllm_config: {text}\n{FACEBOOK}", environ).bots[0].llm


class LanguageModelTests(SynchronousTestCase):
    """
    Tests for ``llm_config``.
    """

    def test_server(self) -> None:
        """
        A server is understood with a slash, with /v1, or with its full path.
        """
        for server, url in [
            ("http://h:1", "http://h:1/v1/chat/completions"),
            ("http://h/", "http://h/v1/chat/completions"),
            ("http://h/v1", "http://h/v1/chat/completions"),
            ("http://h/openai/v1/", "http://h/openai/v1/chat/completions"),
            ("http://h/x/chat/completions", "http://h/x/chat/completions"),
            ("http://h/chat/completions/?v=1", "http://h/chat/completions?v=1"),
        ]:
            self.assertEqual(llm(f"{{server: '{server}'}}").url, url)

    def test_hosts(self) -> None:
        """
        A host that nobody could connect to is told with the file, and not when
        somebody writes; an address will do, also of IPv6.
        """
        for host in ("[::1]:8000", "10.0.0.7", "xn--bcher-kva.example", "llm.", "h-1"):
            self.assertIn(host, llm(f"{{server: 'http://{host}'}}").url)
        for host in ("my_llm", "-bad.example", "bot..example", "a" * 70, "b*d"):
            section = f"llm: {{server: 'http://{host}:8000'}}"
            found = fault(f"bot_name: m\n{section}\n{FACEBOOK}")
            self.assertIn("llm.server: no name that a host can have", found)
        for host in ("{your-domain}", "<your-domain>"):
            found = fault(f"{FILLED}public_url: 'https://{host}'")
            self.assertIn("public_url: still a placeholder in it; put a URL", found)

    def test_spellings(self) -> None:
        """
        MICA's own spellings mean the same, and two at once are a fault.
        """
        expected = llm("{api_key: k, model: m}")
        for text in (
            "llm: {api_key: k, model: m}",
            "llm: {chat: {api_key: k, model: m}}",
        ):
            config = parse(f"bot_name: m\n{text}\n{FACEBOOK}")
            self.assertEqual(config.bots[0].llm, expected)
        self.assertIn("mica.yaml:10: llm: ", fault(f"{FILLED}llm: {{api_key: k}}"))
        self.assertIn(
            "mica.yaml:2: llm.model: unknown key",
            fault(f"bot_name: m\nllm: {{model: m, chat: {{api_key: k}}}}\n{FACEBOOK}"),
        )

    def test_key(self) -> None:
        """
        The key comes from the environment unless the file gives a key or header.
        """
        environ = {"OPENAI_API_KEY": "e"}
        self.assertEqual(llm("{}", environ).api_key, Secret("e"))
        self.assertEqual(llm("{api_key: k}", environ).api_key, Secret("k"))
        self.assertIs(llm("{headers: {AUTHORIZATION: h}}", environ).api_key, None)
        self.assertIs(llm("{provider: demo}", environ).api_key, None)

    def test_no_key(self) -> None:
        """
        OpenAI itself needs a key; another server and the demo do not.
        """
        self.assertIs(llm("{server: 'http://localhost:1'}").api_key, None)
        self.assertIs(llm("{provider: demo}").api_key, None)
        said = fault(f"bot_name: m\nllm_config: {{api_key: }}\n{FACEBOOK}")
        self.assertIn("mica.yaml:2: llm_config.api_key: missing; put", said)
        self.assertIn("OPENAI_API_KEY", said)

    def test_parameters(self) -> None:
        """
        Sampling parameters are sent only where they are set.
        """
        given = "{api_key: k, temperature: 0, max_tokens: 9, seed: , stop: [a, b]}"
        self.assertEqual(
            llm(given).parameters,
            {"temperature": 0.0, "max_tokens": 9, "stop": ("a", "b")},
        )

    def test_fallbacks(self) -> None:
        """
        Fallbacks are language models in their own right, but have none themselves.
        """
        text = "{api_key: k, fallbacks: [{api_key: l, provider: openai, timeout: 2m}]}"
        self.assertEqual(
            llm(text).fallbacks, (LanguageModel(api_key=Secret("l"), timeout=120.0),)
        )
        error = self.assertRaises(
            ConfigError, llm, "{api_key: k, fallbacks: [{api_key: k, fallbacks: []}]}"
        )
        self.assertIn("llm_config.fallbacks[0].fallbacks: unknown key", str(error))

    def test_demo_fallback(self) -> None:
        """
        The demo neither steps in for an LLM nor lets one step in, so that
        nothing that people write goes where nobody sent it.
        """
        for text, key in [
            ("{api_key: k, fallbacks: [{provider: demo}]}", "fallbacks[0].provider"),
            ("{provider: demo, fallbacks: [{api_key: k}]}", "fallbacks"),
        ]:
            said = fault(f"bot_name: m\nllm_config:\n  {text}\n{FACEBOOK}")
            self.assertTrue(said.startswith(f"mica.yaml:3: llm_config.{key}: "), said)

    def test_faults(self) -> None:
        """
        What can't be sent or called is refused.
        """
        for text, key in [
            ("{provider: anthropic}", "provider"),
            ("{server: 'localhost:11434'}", "server"),
            ("{server: 'http://'}", "server"),
            ("{server: 'http://h:99999'}", "server"),
            ("{server: 'http://h:0'}", "server"),
            ("{server: 'http://h#f'}", "server"),
            ("{top_p: 1.1}", "top_p"),
            ("{presence_penalty: -2.1}", "presence_penalty"),
            ("{server: 'http://user:s3cret@h'}", "server"),
            ('{headers: {X: "a\\r\\nb"}}', "headers.X"),
            ('{headers: {"X\\r\\n": a}}', r"headers.(a key)"),
            ("{headers: {X: }}", "headers.X"),
            ("{concurrency: 0}", "concurrency"),
            ("{concurrency: 1.5}", "concurrency"),
            ("{temperature: 2.1}", "temperature"),
            ("{temperature: nan}", "temperature"),
            ("{timeout: 0}", "timeout"),
        ]:
            text = text.replace("{", "{api_key: k, ", 1)
            error = self.assertRaises(ConfigError, llm, text)
            self.assertEqual([it.key for it in error.faults], [f"llm_config.{key}"])
            self.assertNotIn("s3cret", str(error))

    def test_bounds(self) -> None:
        """
        The least and the most that a parameter may be are taken.
        """
        for text in (
            "temperature: 2, top_p: 0, min_p: 0, top_k: -1, frequency_penalty: -2",
            "temperature: 0, top_p: 1, min_p: 1, top_k: 0, presence_penalty: 2",
            "repetition_penalty: 0.1, max_tokens: 1, max_completion_tokens: 1",
            "seed: -1, timeout: 0.1, concurrency: 1",
        ):
            llm(f"{{api_key: k, {text}}}")
