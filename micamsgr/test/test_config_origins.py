"""
Tests for faults of values that stand outside the file.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.test.test_config import FACEBOOK, fault, placed


class OriginTests(SynchronousTestCase):
    """
    Tests for what is said of where a value came from.
    """

    def test_origin(self) -> None:
        """
        A fault of a value that stands elsewhere says where, and doesn't show
        it.
        """
        environ = {"A": " s3cret", "B": "b", "EMPTY": ""}
        for written, origin in [
            ("${A}", "take it away (from the environment variable A)"),
            ("${A:-x}", "take it away (from the environment variable A)"),
            (
                "${A}${B}${A}",
                "(from the environment variable A and the environment variable B)",
            ),
            ("${EMPTY:- x}", "take it away"),
            ("${C:- x}${B}", "take it away (from the environment variable B)"),
            ('" $${A}"', "take it away"),
            ("${A}${", "where ${ itself is meant"),
            ("${A}${C}", "or write ${C:-default}"),
            ("${A}${file:nowhere}", "No such file or directory"),
        ]:
            said = fault(placed(written), environ)
            self.assertTrue(said.endswith(origin), said)
            self.assertNotIn("s3cret", said)
        path = Path(self.mktemp())
        path.write_text("two words ")
        said = fault(placed(f"${{file:{path.absolute()}}}"))
        self.assertTrue(said.endswith(f"(from the file '{path.absolute()}')"), said)

    def test_no_origin(self) -> None:
        """
        What is wrong with a key says nothing of its value.
        """
        for text in (placed("v") + "bot_name: ${A}\n", placed("v") + "bot: ${A}\n"):
            self.assertNotIn("variable", fault(text, {"A": "a"}))

    def test_key_unfit(self) -> None:
        """
        A key or a server from the environment that can't be one is blamed on
        the variable, and not only on a line that doesn't hold it.
        """
        for key in (" ", "k ", "two words"):
            said = fault(
                f"bot_name: m\nllm_config: {{model: m}}\n{FACEBOOK}",
                {"OPENAI_API_KEY": key},
            )
            self.assertTrue(said.startswith("mica.yaml:2: llm_config.api_key: "), said)
            self.assertTrue(
                said.endswith(" (from the environment variable OPENAI_API_KEY)"), said
            )
        said = fault(
            f"bot_name: m\nllm_config: {{server: '${{S:-http://h}}'}}\n{FACEBOOK}",
            {"S": "nonsense"},
        )
        self.assertTrue(said.endswith("openai.com (from the environment variable S)"))
