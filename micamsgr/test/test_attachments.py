"""
Tests for :mod:`micamsgr.messenger.attachments`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.messenger.attachments import said

EVENTS = Path(__file__).parent / "payloads" / "events"

LOST = "[something Messenger could not pass on]"

# What each of Meta's own kinds of attachment is called, by the file's number.
NAMED = {
    "007": "[a picture]",
    "008": "[2 pictures]",
    "009": "[a voice message]",
    "010": "[a video]",
    "011": "[a file]",
    "012": "[a location: 51.5033, -0.1196]",
    "013": "what about https://example.test/item/42",
    "014": "[a shared link: Check us out! https://www.facebook.com/example.page/]",
    "015": "is this in stock?\n[a product: Wool cap]",
    "016": "👍",
    "017": "👍",
    "018": "[a reel: Behind the scenes]",
    "019": "[a reel]",
    "020": "[a post: Autumn sale]",
    "022": "[an appointment: requested]",
    "082": LOST,
}


def link(url: str, title: str = "") -> dict[str, Any]:
    """
    Make the attachment that a link in a message becomes.
    """
    return {"type": "fallback", "payload": {"url": url, "title": title}}


def sent(*attachments: object) -> str:
    """
    Describe a message of attachments alone.
    """
    return said({"mid": "m_1", "attachments": list(attachments)})


class SaidTests(SynchronousTestCase):
    """
    Tests for :func:`said`.
    """

    def test_named(self) -> None:
        """
        Each kind of attachment that Meta names is called by an everyday name.
        """
        for number, text in NAMED.items():
            (path,) = EVENTS.glob(f"{number}-*")
            item = json.loads(path.read_text())["entry"][0]["messaging"][0]
            self.assertEqual(said(item["message"]), text, path.name)

    def test_words_stay(self) -> None:
        """
        What a person wrote stays as it was, spaces and all.
        """
        self.assertEqual(said({"text": "  Hi,\n you "}), "  Hi,\n you ")

    def test_words_and_picture(self) -> None:
        """
        What came with the words is named on a line of its own.
        """
        message = {"text": "this one", "attachments": [{"type": "image"}]}
        self.assertEqual(said(message), "this one\n[a picture]")

    def test_mixed(self) -> None:
        """
        Several kinds of attachment are named one after the other, and like
        ones are counted.
        """
        files = [{"type": "file"}, {"type": "audio"}, {"type": "file"}]
        self.assertEqual(sent(*files), "[2 files] [a voice message]")

    def test_blank(self) -> None:
        """
        A message of nothing but blanks is not passed on as empty words.
        """
        self.assertEqual(said({"text": " \u200a\n"}), LOST)

    def test_unsupported(self) -> None:
        """
        What Messenger says that it can't pass on, and what is of no known
        kind, is named as that.
        """
        self.assertEqual(said({"is_unsupported": True}), LOST)
        self.assertEqual(said({"is_unsupported": True, "text": "a"}), f"a\n{LOST}")
        self.assertEqual(sent({"type": "hologram"}), LOST)
        self.assertEqual(sent({"type": ["image"]}), LOST)
        self.assertEqual(sent("image"), LOST)
        self.assertEqual(said({"attachments": "image"}), LOST)

    def test_stickers(self) -> None:
        """
        A sticker that is delivered both as a sticker and as a picture is
        one; an older one, delivered as a picture alone, is a sticker too.
        """
        identity = {"payload": {"sticker_id": 7}}
        sticker, picture = {"type": "sticker"}, {"type": "image"}
        self.assertEqual(sent(sticker | identity, picture | identity), "[a sticker]")
        self.assertEqual(sent(picture | identity), "[a sticker]")
        self.assertEqual(sent(sticker), "[a sticker]")
        both = {"attachments": [sticker, picture], "sticker_id": 7}
        self.assertEqual(said(both), "[a sticker]")
        self.assertEqual(said({"sticker_id": 369239383222810}), "👍")
        other = {"type": "sticker", "payload": {"sticker_id": 8}}
        self.assertEqual(sent(sticker | identity, other), "[2 stickers]")

    def test_link_elsewhere(self) -> None:
        """
        A link is named with the address that it leads to, and not with that
        of Facebook's redirect.
        """
        wrapped = "https://l.facebook.com/l.php?u=https%3A%2F%2Fexample.test%2F&h=x"
        text = "[a shared link: Example https://example.test/]"
        self.assertEqual(sent(link(wrapped, "Example")), text)
        bare = "https://l.facebook.com/l.php?h=x"
        self.assertEqual(sent(link(bare)), f"[a shared link: {bare}]")

    def test_link_repeated(self) -> None:
        """
        A link that the text has already is not named again; another one is.
        """
        text = "see http://www.example.test please"
        same = link("https://l.facebook.com/l.php?u=https%3A%2F%2Fwww.example.test%2F")
        self.assertEqual(said({"text": text, "attachments": [same]}), text)
        other = said({"text": text, "attachments": [link("https://example.test/2")]})
        self.assertEqual(other, f"{text}\n[a shared link: https://example.test/2]")
        post = {"type": "post", "url": "http://www.example.test"}
        self.assertEqual(
            said({"text": text, "attachments": [post]}), f"{text}\n[a post]"
        )
        empty = said({"text": text, "attachments": [link("https://")]})
        self.assertEqual(empty, f"{text}\n[a shared link: https://]")

    def test_one_line(self) -> None:
        """
        A title can't break out of its line.
        """
        post = {"type": "post", "payload": {"title": "one\n\ntwo"}}
        self.assertEqual(sent(post), "[a post: one two]")

    def test_without_details(self) -> None:
        """
        An attachment whose details are missing or odd is still named.
        """
        odd: dict[str, Any]
        for odd in ({}, {"payload": None}, {"payload": {"coordinates": [1, 2]}}):
            self.assertEqual(sent({"type": "location"} | odd), "[a location]")
        self.assertEqual(sent({"type": "appointment_booking"}), "[an appointment]")
        self.assertEqual(sent({"type": "post", "title": 7}), "[a post]")
        self.assertEqual(sent({"type": "fallback", "payload": "x"}), LOST)
        for product in ({}, {"elements": 7}, {"elements": [7, {"title": None}]}):
            template = {"type": "template", "payload": {"product": product}}
            self.assertEqual(sent(template), "[a product]")

    def test_products(self) -> None:
        """
        Several products are named together.
        """
        elements = [{"title": "Wool cap"}, {"title": "Scarf"}]
        template = {"type": "template", "payload": {"product": {"elements": elements}}}
        self.assertEqual(sent(template), "[a product: Wool cap, Scarf]")
