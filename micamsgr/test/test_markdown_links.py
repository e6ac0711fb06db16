"""
Tests for how links become text.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.messenger.markdown import plain


class LinkTests(SynchronousTestCase):
    """
    Tests for links, by :func:`micamsgr.messenger.markdown.plain`.
    """

    def test_links(self) -> None:
        """
        A link is its label and its address.
        """
        self.assertEqual(
            plain('[**a** b](https://c.example/d_e_f "t"), ![g](i.example/j)'),
            "a b: https://c.example/d_e_f, g: i.example/j",
        )

    def test_same_label(self) -> None:
        """
        A label that is the address, or is missing, is not repeated.
        """
        for text in (
            "[https://a.example](https://a.example)",
            "[A.example/](https://a.example)",
            "[](https://a.example)",
            "![](https://a.example)",
            "<https://a.example>",
        ):
            self.assertEqual(plain(text), "https://a.example")
        self.assertEqual(plain("<ftp://a/%41>"), "ftp://a/%41")
        self.assertEqual(plain("[b@a.example](mailto:b@a.example)"), "b@a.example")
        self.assertEqual(plain("[(030) 12](tel:03012)"), "(030) 12")

    def test_nowhere(self) -> None:
        """
        A link to a place in the answer itself, or to none, is its label.
        """
        self.assertEqual(plain("[a](#b) and [c]()"), "a and c")

    def test_asking_label(self) -> None:
        """
        A label that ends with a sign gets no colon.
        """
        self.assertEqual(plain("[a?](//b) [c:](//d)"), "a? //b c: //d")

    def test_after_address(self) -> None:
        """
        An address does not run into the word behind it.
        """
        self.assertEqual(
            plain("[甲](//a)乙 [b](//c)/**[d](//e)**f. [g](//h)."),
            "甲: //a 乙 b: //c /d: //e f. g: //h.",
        )

    def test_glued(self) -> None:
        """
        An address ends where it did, whatever stands right behind the link.
        """
        for behind in (
            ".evil.example/x",
            "#1",
            "&b",
            "[2]",
            "(see b)",
            "-c",
            ".)d",
            "。e",
        ):
            self.assertEqual(
                plain(f"[a](https://b.example){behind}"),
                f"a: https://b.example {behind}",
            )
        for behind in ("", ".", ".”)", "), c", "?!\nd", "。如", "，c"):
            self.assertEqual(
                plain(f"[a](https://b.example){behind}"),
                f"a: https://b.example{behind}",
            )

    def test_letter(self) -> None:
        """
        Of a link to write a letter only the address is shown, not what the
        letter is to begin with.
        """
        for text, wanted in [
            ("[Write](mailto:a@b.example?subject=Hi%20there)", "Write: a@b.example"),
            ("[a@b.example](mailto:a@b.example?subject=Hi)", "a@b.example"),
            ("<mailto:a@b.example?subject=Hi>", "a@b.example"),
        ]:
            self.assertEqual(plain(text), wanted)
