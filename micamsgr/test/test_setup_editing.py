"""
Tests for :mod:`micamsgr.setup.editing`.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.config.document import Source, compose
from micamsgr.setup.editing import Unwritable, Wish, literal, put, quoted

from .properties import example, given, st


def value(text: str, *path: str) -> str:
    """
    Read a value as the daemon would.
    """
    found = compose(text, Source("", Path("/"), {})).find(*path)
    assert found is not None, text
    return found.text("a value")


def wish(text: str, *path: str, comment: str = "") -> Wish:
    """
    Wish for a value.
    """
    return Wish(path=path, value=literal(text), comment=comment)


class PutTests(SynchronousTestCase):
    """
    Tests for :func:`put`.
    """

    def assertPut(self, before: str, after: str, *wishes: Wish) -> None:
        """
        Look what becomes of a text, and that it says what it should.
        """
        text = put(before, wishes)
        self.assertEqual(text, after)
        for each in wishes:
            self.assertEqual(value(text, *each.path), each.value)

    def test_nothing(self) -> None:
        """
        From nothing, sections stand apart, with a comment above what needs one.
        """
        self.assertPut(
            "",
            "bot_name: mica\n\n"
            "facebook:\n  # of the app\n  # at Meta\n  secret: abc\n  app_id: 1\n",
            wish("mica", "bot_name"),
            wish("abc", "facebook", "secret", comment="of the app\nat Meta"),
            wish("1", "facebook", "app_id"),
        )

    def test_deep(self) -> None:
        """
        Keys below keys are indented, also where only the outer ones are there.
        """
        after = "llm_config:\n  headers:\n    Authorization: 'Bearer x'\n"
        header = wish("Bearer x", "llm_config", "headers", "Authorization")
        self.assertPut("", after, header)
        self.assertPut("llm_config:\n", after, header)
        self.assertPut(
            "llm_config:\n  model: m\n",
            after + "  model: m\n",
            header,
        )
        self.assertPut(
            "llm_config: # the LLM\n  headers: # of H\n  model: m\n",
            "llm_config: # the LLM\n  headers:\n    Authorization: 'Bearer x' # of H\n"
            "  model: m\n",
            header,
        )

    def test_replaced(self) -> None:
        """
        A value is replaced, and nothing else: comments, order, indentation.
        """
        for old in ("old", "'old'", '"o\\nld"', "{your-app-secret}", "[1, 2]"):
            self.assertPut(
                f"# top\nfacebook:\n     secret:  {old}   # mine\n     x: 1\n#end",
                "# top\nfacebook:\n     secret:  new   # mine\n     x: 1\n#end",
                wish("new", "facebook", "secret"),
            )

    def test_empty(self) -> None:
        """
        A key without a value gets one, before the comment.
        """
        self.assertPut(
            "public_url:   # of Meta\n",
            "public_url: new   # of Meta\n",
            wish("new", "public_url"),
        )

    def test_block(self) -> None:
        """
        What stands in several lines is replaced whole.
        """
        self.assertPut(
            "bot_name: >-\n  a\n  b\nlisten: x\n",
            "bot_name: new\nlisten: x\n",
            wish("new", "bot_name"),
        )

    def test_flow(self) -> None:
        """
        Braces stay braces.
        """
        self.assertPut(
            "facebook: {secret: old}\n",
            "facebook: {app_id: 1, secret: new}\n",
            wish("new", "facebook", "secret"),
            wish("1", "facebook", "app_id"),
        )
        text = put("llm_config: {}\n", [wish("b", "llm_config", "headers", "a")])
        self.assertEqual(value(text, "llm_config", "headers", "a"), "b")

    def test_added(self) -> None:
        """
        A new section comes last, and the last line gets its end.
        """
        self.assertPut(
            "bot_name: mica\n# more",
            "bot_name: mica\n# more\n\nlisten: x\n",
            wish("x", "listen"),
        )

    def test_unwritable(self) -> None:
        """
        Where a value can't be put without touching another, none is.
        """
        for text in (
            "{bot_name: a}",
            "- bot_name",
            "a: &x 1\nfacebook:\n  secret: *x\n",
            "a: [",
        ):
            with self.assertRaises(Unwritable):
                put(text, [wish("new", "facebook", "secret")])

    @given(st.text(min_size=1))
    @example("  leading, and at the end ")
    @example("\"quotes\" and 'more'")
    @example("a: b # c")
    @example("${NAME} $${x} ${file:/etc/passwd} $$")
    @example("line\nline\ttab \x85 \u2028")
    @example("ünïcödé \N{GRINNING FACE}")
    @example("- x")
    @example("null")
    @example("yes")
    @example("0123")
    @example("{your-app-secret}")
    @example("a" * 5000 + " " + "b" * 5000)
    def test_any(self, text: str) -> None:
        """
        Any text that YAML can hold is read as it was written, whatever is in
        it, with the neighbors untouched.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return
        for before in ("", "facebook:\n  secret: 'o'  # c\n  z: last\n"):
            after = put(before, [wish(text, "facebook", "secret")])
            self.assertEqual(value(after, "facebook", "secret"), text)
            if before:
                self.assertEqual(value(after, "facebook", "z"), "last")

    @given(st.text())
    def test_quoted(self, text: str) -> None:
        """
        What is written is text for every reader of YAML that asks for text.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return
        written = quoted(text)
        self.assertNotIn("\n", written)
        self.assertEqual(yaml.load(f"a: {written}", yaml.BaseLoader), {"a": text})
