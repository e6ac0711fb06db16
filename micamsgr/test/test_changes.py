"""
Tests for :mod:`micamsgr.composition.changes`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import TestCase

import yaml

from micamsgr.composition.changes import (
    BotChanges,
    at_next_start,
    at_once,
    bot_changes,
    where,
)
from micamsgr.config import Config, parse_config

FACEBOOK = {"verify_token": "a-b-c", "secret": "3f1d9c0b7a6e4825b1c0d9e8f7a6b5c4"}
KEY = {"headers": {"Authorization": "Bearer of-the-llm"}}


def config(*names: str, model: str = "one", **more: object) -> Config:
    """
    Make a configuration with bots of these names.
    """
    bots = [
        {
            "bot_name": name,
            "llm_config": {**KEY, "model": model},
            "facebook": {**FACEBOOK, "page_access_token": f"token-of-{name}"},
        }
        for name in names
    ]
    text = yaml.safe_dump({"bots": bots, **more})
    return parse_config(text, directory=Path("/somewhere"), environ={})


class ChangesTests(TestCase):
    """
    Tests for what is different between two configurations.
    """

    def test_same(self) -> None:
        """
        What is the same, though the file is written anew, is left alone.
        """
        self.assertEqual(
            bot_changes(config("a", "b"), config("a", "b")), BotChanges((), (), ())
        )
        self.assertEqual(list(at_next_start(config("a"), config("a"))), [])

    def test_bots(self) -> None:
        """
        Bots are told apart by their names.
        """
        changes = bot_changes(config("a", "b"), config("b", "c", model="two"))
        self.assertEqual(changes, BotChanges(("c",), ("b",), ("a",)))

    def test_texts(self) -> None:
        """
        Whether texts are logged concerns every bot.
        """
        changes = bot_changes(config("a"), config("a", log={"texts": True}))
        self.assertEqual(changes, BotChanges((), ("a",), ()))

    def test_where(self) -> None:
        """
        Where the daemon listens is named by its key; another order is none.
        """
        plain = ["tcp:8080", "unix:/run/mica.sock"]
        watched = {"listen": "tcp:9100:interface=127.0.0.1"}
        pair = {"certificate": "/a.pem", "private_key": "/b.pem"}
        before = config("a", listen=plain)
        secure = config("a", listen=plain, tls=pair)
        for one, other, keys in (
            (before, config("a", listen=plain[::-1]), []),
            (before, config("a", listen="tcp:8081"), ["listen"]),
            (before, secure, ["tls"]),
            (secure, before, ["tls"]),
            (
                secure,
                config("a", listen=plain, tls={**pair, "listen": "tcp:444"}),
                ["tls.listen"],
            ),
            (
                before,
                config("a", listen=plain, admin=watched),
                ["admin.listen"],
            ),
        ):
            self.assertEqual(list(where(one, other)), keys)

    def test_at_next_start(self) -> None:
        """
        What only a start reads is named.
        """
        for key, value in {
            "store": "sqlite:other.db",
            "clients": {"body": "1MiB"},
            "log.format": "json",
        }.items():
            section, _, name = key.partition(".")
            changed: dict[str, Any] = {section: {name: value} if name else value}
            after = config("a", **changed)
            self.assertEqual(list(at_next_start(config("a"), after)), [key])
        self.assertEqual(
            list(at_next_start(config("a"), config("a", log={"level": "debug"}))), []
        )

    def test_at_once(self) -> None:
        """
        So is what is in force at once, but not where the daemon listens.
        """
        pair = {"certificate": "one.pem", "private_key": "one.key"}
        other = {"certificate": "two.pem", "private_key": "two.key"}
        plain = config("a", tls=pair)
        for key, value in {
            "tls.certificate": "two.pem",
            "tls.private_key": "two.key",
            "tls.further": [other],
            "tls.modern": True,
            "tls.hsts": 1,
            "log.level": "debug",
            "log.texts": True,
            "retention": {"texts": "7d"},
            "public_url": "https://bot.example.org",
        }.items():
            section, _, name = key.partition(".")
            changed: dict[str, Any] = {"tls": pair}
            if name:
                value = changed.get(section, {}) | {name: value}
            after = config("a", **changed | {section: value})
            self.assertEqual(list(at_once(plain, after)), [key])
            self.assertEqual(list(at_next_start(plain, after)), [])
        moved = config("a", tls={**pair, "listen": "tcp:8443"})
        for after in (plain, moved, config("a", listen="tcp:8080")):
            self.assertEqual(list(at_once(plain, after)), [])
