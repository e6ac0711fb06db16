"""
Tests for the keys, other than those of the LLM, of :mod:`micamsgr.config`.
"""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from micamsgr.config import (
    TLS,
    Admin,
    Clients,
    Config,
    ConfigError,
    Log,
    Retention,
    Sandbox,
    keys,
)
from micamsgr.conversation.policy import (
    Delivery,
    Handover,
    Limits,
    Manners,
    Unresolved,
)
from micamsgr.test.test_config import FACEBOOK, FILLED, fault, faults, parse


def with_keys(text: str) -> Config:
    """Read the guide's block, filled in, and further keys after it."""
    return parse(FILLED + text)


def page(text: str) -> str:
    """Write a bot that differs in some of its facebook keys."""
    return f"bot_name: m\nllm: {{provider: demo}}\n{FACEBOOK[:-2]}, {text}}}\n"


class ValueTests(SynchronousTestCase):
    """
    Tests for the other keys.
    """

    def test_bot(self) -> None:
        """
        What the file says about a bot ends up in its values, in seconds.
        """
        (bot,) = with_keys(
            "assistant:\n"
            "  instructions: |\n    Be brief.\n    Be kind.\n"
            "  history: {messages: 0, characters: 5}\n"
            "  apology: {after: 10s, text: wait}\n"
            "  patience: 2h\n  fallback: sorry\n"
            "handover: {quiet_minutes: 1.5, by: [1, 23], wake: no}\n"
            "delivery: {rate: 0, deadline: 1m, quarantine: 80, lookup_lag: 0,"
            " lookup_rate: 0.5, unresolved: hold}\n"
            + "limits: {person: {turns_per_minute: 1, turns_per_day: 2,"
            " tokens_per_day: 3}, bot: {tokens_per_day: 0}}\n"
            "subscriptions: {repair: off}\nallow: [0123, 45]\n"
        ).bots
        self.assertEqual(bot.assistant.instructions, "Be brief.\nBe kind.\n")
        self.assertEqual(
            bot.assistant.manners,
            Manners(
                history_messages=0,
                history_characters=5,
                apology_after=10.0,
                apology_text="wait",
                patience=7200.0,
                fallback="sorry",
            ),
        )
        self.assertEqual(bot.handover, Handover(quiet=90.0, by=("1", "23"), wake="no"))
        self.assertEqual(
            bot.delivery,
            Delivery(
                rate=0.0,
                deadline=60.0,
                quarantine=80.0,
                lookup_lag=0.0,
                lookup_rate=0.5,
                unresolved=Unresolved.HOLD,
            ),
        )
        self.assertEqual(
            bot.limits,
            Limits(
                person_turns_per_minute=1,
                person_turns_per_day=2,
                person_tokens_per_day=3,
                bot_tokens_per_day=0,
            ),
        )
        self.assertFalse(bot.subscriptions.repair)
        self.assertEqual(bot.allow, ("0123", "45"))

    def test_page(self) -> None:
        """
        What the file says about the Page is kept as Meta writes it.
        """
        text = "page_id: 0123, app_id: 45, graph_url: 'http://h:1/', api_version: v9.9"
        facebook = parse(page(f"{text}, mark_seen: no")).bots[0].facebook
        self.assertEqual((facebook.page_id, facebook.app_id), ("0123", "45"))
        self.assertEqual(
            (facebook.graph_url, facebook.api_version), ("http://h:1", "v9.9")
        )
        self.assertFalse(facebook.mark_seen)
        for text in (
            "page_id: 1x",
            "app_id: '1 '",
            "graph_url: ftp://h",
            "graph_url: 'http://h?q'",
            "api_version: 25",
            "mark_seen: 1",
        ):
            said = fault(page(text))
            self.assertIn(f"mica.yaml:3: facebook.{text.partition(':')[0]}: exp", said)

    def test_daemon(self) -> None:
        """
        What the file says about the daemon ends up in its values, in bytes
        and seconds.
        """
        config = with_keys(
            "public_url: https://bot.example.org/\nlisten: [tcp:1, tcp:2:backlog=3]\n"
            "tls: {certificate: c.pem, private_key: /k.pem}\n"
            "admin: {listen: tcp:3}\nstore: sqlite:x.db\n"
            "clients: {connections: 1, per_address: 2, trusted_proxies:"
            " [10.0.0.0/8, '::1'], body: 2MiB, unverified: 3000kB}\n"
            "log: {level: warn, format: json, texts: yes}\n"
            "sandbox: {listen: 'tcp:4:interface=127.0.0.1'}\n"
            "retention: {texts: 1d, raw: 1h, ledger: 9d}\n"
        )
        self.assertEqual(
            evolve(config, without_effect=()),
            Config(
                bots=config.bots,
                store="/etc/mica/x.db",
                public_url="https://bot.example.org",
                listen=("tcp:1:backlog=1024", "tcp:2:backlog=3"),
                tls=TLS(certificate="/etc/mica/c.pem", private_key="/k.pem"),
                admin=Admin(("tcp:3:backlog=1024",)),
                clients=Clients(
                    connections=1,
                    per_address=2,
                    trusted_proxies=("10.0.0.0/8", "::1/128"),
                    body=2 << 20,
                    unverified=3_000_000,
                ),
                log=Log(level="warn", format="json", texts=True),
                sandbox=Sandbox(("tcp:4:interface=127.0.0.1:backlog=1024",)),
                retention=Retention(texts=86400.0, raw=3600.0, ledger=777600.0),
            ),
        )

    def test_faults(self) -> None:
        """
        A value of the wrong kind, or out of range, is a fault at its key.
        """
        for section, text in [
            ("delivery", "rate: -1"),
            ("delivery", "rate: 3s"),
            ("delivery", "deadline: 0"),
            ("delivery", "deadline: 1w"),
            ("delivery", "lookup_rate: 0"),
            ("delivery", "quarantine: 15"),
            ("delivery", "unresolved: RESEND"),
            ("delivery", "rate:"),
            ("limits", "bot.tokens_per_day: 1.5"),
            ("handover", "quiet_minutes: -1"),
            ("handover", "by: all"),
            ("handover", "by: [any, 1]"),
            ("handover", "by: []"),
            ("assistant", f"fallback: {'x' * 2001}"),
            ("assistant", "fallback: " + "\N{GRINNING FACE}" * 1001),
            ("assistant", 'fallback: "\\e"'),
            ("assistant", 'fallback: "\\ud800"'),
            ("assistant", 'instructions: " "'),
            ("assistant", "instructions:"),
            ("clients", "trusted_proxies: [localhost]"),
            ("clients", "body: 1000kB"),
            ("clients", "body: 100MiB"),
            ("clients", "connections: 0"),
            ("log", "texts: 1"),
            ("log", "level: INFO"),
            ("retention", "raw: 0"),
            ("sandbox", "listen: tcp:1"),
            ("sandbox", "listen: 'tcp:1:interface=0.0.0.0'"),
        ]:
            key, _, value = text.partition(":")
            outer, _, inner = key.rpartition(".")
            written = f"{outer}: {{{inner}:{value}}}" if outer else text
            (only,) = faults(f"{FILLED}{section}:\n  {written}\n")
            self.assertIn(only.line, (10, 11), text)
            self.assertTrue(
                only.key.startswith(f"{section}.{key}") or "body" in text, only
            )

    def test_bounds(self) -> None:
        """
        The least and the most that a value may be are taken.
        """
        for text in (
            "delivery: {deadline: 0.1, lookup_lag: 0, lookup_rate: 0.1}",
            "limits: {person: {turns_per_minute: 0, turns_per_day: 0, "
            "tokens_per_day: 0}}",
            "handover: {quiet_minutes: 0}",
            f"assistant: {{fallback: {'x' * 2000}, patience: 0.1, "
            "apology: {after: 0.1}, history: {messages: 0, characters: 0}}",
            "clients: {connections: 1, per_address: 1, body: 1MiB, unverified: 1MiB}",
            "retention: {texts: 0.1, raw: 0.1, ledger: 7d}",
            "listen: [tcp:0, tcp:65535]",
        ):
            with_keys(text)

    def test_sizes(self) -> None:
        """
        Sizes are bytes, or have a unit to the base of 10 or of 2.
        """
        for text, expected in [
            ("2000000", 2_000_000),
            ("2000000B", 2_000_000),
            ("2000kB", 2_000_000),
            ("2000 KB", 2_000_000),
            ("2048KiB", 2 << 20),
            ("2.5MB", 2_500_000),
            ("2MiB", 2 << 20),
            ("2GB", 2_000_000_000),
            ("2GiB", 2 << 30),
        ]:
            config = with_keys(f"clients: {{body: {text}, unverified: 3GiB}}")
            self.assertEqual(config.clients.body, expected)

    def test_bot_name(self) -> None:
        """
        A bot's name is what can be the last part of a URL.
        """
        self.assertEqual(
            parse(FILLED.replace("mica ", "A.b_-9 ")).bots[0].name, "A.b_-9"
        )
        for name in ("a/b", "a b", "x" * 65, "é", '"a\\n"'):
            said = fault(FILLED.replace("mica ", f"{name} "))
            self.assertIn("mica.yaml:1: bot_name: expected a name of 1 to 64", said)

    def test_listen(self) -> None:
        """
        Endpoints are Twisted's, checked without opening them; TCP has a backlog.
        """
        for text, expected in [
            ("tcp:1", "tcp:1:backlog=1024"),
            ("tcp:1:127.0.0.1:9", "tcp:1:127.0.0.1:9"),
            (r"tcp6:1:interface=\:\:", r"tcp6:1:interface=\:\::backlog=1024"),
            ("unix:/run/mica/socket:mode=660", "unix:/run/mica/socket:mode=660"),
            ("systemd:domain=INET:index=0", "systemd:domain=INET:index=0"),
            ("systemd:name=a-b:domain=INET6", "systemd:name=a-b:domain=INET6"),
        ]:
            self.assertEqual(with_keys(f"listen: '{text}'").listen, (expected,))
        for text in (
            "8080",
            "0.0.0.0:80",
            "tcp:65536",
            "tcp:http",
            "tcp",
            "tcp:",
            "tcp:1:x=2",
            "ssl:443",
            "tls:443",
            "systemd:",
            "systemd:index=0",
            "systemd:domain=INET",
            "systemd:domain=IPX:index=0",
            "systemd:domain=INET:index=first",
            "systemd:domain=INET:index=-1",
            "systemd:domain=INET:index=0:name=https",
            "systemd:domain=INET:name=",
            "systemd:INET:index=0",
            "unix:/x:mode=9",
            "tcp:1:backlog=x",
            "tcp:1\\",
        ):
            said = fault(f"{FILLED}listen: '{text}'")
            self.assertIn("mica.yaml:10: listen: expected ", said)

    def test_listen_default(self) -> None:
        """
        The default for plain HTTP holds only where TLS is not given.
        """
        tls = "tls: {certificate: c, private_key: k}\n"
        self.assertEqual(with_keys(tls).listen, ())
        self.assertEqual(
            with_keys(tls + "listen: tcp:1").listen, ("tcp:1:backlog=1024",)
        )
        self.assertIn("mica.yaml:10: listen: empty", fault(FILLED + "listen: []"))
        self.assertIs(with_keys("tls:").tls, None)
        self.assertIn(
            "tls.private_key: missing", fault(FILLED + "tls: {certificate: c}")
        )

    def test_store(self) -> None:
        """
        The store is relative to the state directory if there is one.
        """
        environ = {"STATE_DIRECTORY": "/var/lib/mica:/var/lib/b"}
        self.assertEqual(parse(FILLED, environ).store, "/var/lib/mica/mica.db")
        text = FILLED + "store: sqlite:/x/y.db"
        self.assertEqual(parse(text, environ).store, "/x/y.db")
        for text in (
            "mica.db",
            "sqlite:",
            "sqlite::memory:",
            "postgres://h/d",
            "sqlite:x/",
        ):
            self.assertIn("mica.yaml:10: store: ", fault(f"{FILLED}store: '{text}'"))

    def test_ledger(self) -> None:
        """
        The ledger is kept for a week at least, and as long as what is in it.
        """
        for text, wanted in (
            ("ledger: 6d", "30d"),
            ("{texts: 1d, raw: 1d, ledger: 6d}", "7d"),
            ("{texts: 500d}", "500d"),
            ("{texts: 1d, raw: 8d, ledger: 7d}", "8d"),
        ):
            said = fault(f"{FILLED}retention:\n  {text}")
            self.assertIn("retention.ledger: must be at least 7d", said)
            self.assertIn(f"; put {wanted} here", said)
        self.assertEqual(with_keys("retention: {ledger: 30d}").warnings, ())

    def test_quarantine(self) -> None:
        """
        A quarantine not above the deadline is a fault, a short one a warning.
        """
        said = fault(FILLED + "delivery:\n  deadline: 20\n  quarantine: 20\n")
        self.assertEqual(
            said,
            "mica.yaml:12: delivery.quarantine: must exceed the deadline of 20 s;"
            " put 35 here",
        )
        config = with_keys("delivery:\n  deadline: 20\n")
        self.assertEqual(
            config.warnings,
            (
                "mica.yaml:10: delivery.quarantine: short for this deadline;"
                " put 35 or more here",
            ),
        )
        self.assertEqual(
            with_keys("delivery: {deadline: 15, quarantine: 30}").warnings, ()
        )

    def test_without_effect(self) -> None:
        """
        Keys that are given, and whose feature is not built yet, are listed.
        """
        given = "admin: {listen: 'tcp:9'}\nclients: {body: 2MiB}\n"
        self.assertEqual(with_keys(given).without_effect, ())
        self.patch(keys, "WITHOUT_EFFECT", ("admin", "retention"))
        self.assertEqual(with_keys(given).without_effect, ("admin",))


class BotsTests(SynchronousTestCase):
    """
    Tests for several bots.
    """

    def facebook(self, name: str) -> str:
        """Begin the section of one bot, which has its own token."""
        return FACEBOOK[:-2].replace("token: t", f"token: t{name}")

    def bot(self, name: str, page: int) -> str:
        """Write an item of ``bots``."""
        return (
            f"- bot_name: {name}\n  llm_config: {{provider: demo}}\n"
            f"  {self.facebook(name)}, page_id: {page}}}\n"
        )

    def test_order(self) -> None:
        """
        The bot at the top comes first, and may be left out.
        """
        listed = "bots:\n" + self.bot("b", 1) + self.bot("c", 2)
        self.assertEqual(
            [it.name for it in parse(FILLED + listed).bots], ["mica", "b", "c"]
        )
        self.assertEqual([it.name for it in parse(listed).bots], ["b", "c"])

    def test_half_a_bot(self) -> None:
        """
        A key of a bot at the top asks for the rest of that bot.
        """
        listed = "llm_config: {provider: demo}\nbots:\n" + self.bot("b", 1)
        self.assertIn("bot_name", [it.key for it in faults(listed)])

    def test_nothing_twice(self) -> None:
        """
        Bots that don't say on which Page they answer are not on the same one.
        """
        text = "bots:\n" + "".join(
            f"- llm: {{provider: demo}}\n  {self.facebook(name)}, page_id: }}\n"
            f"  bot_name: {name}\n"
            for name in "bc"
        )
        self.assertEqual(len(parse(text).bots), 2)

    def test_twice(self) -> None:
        """
        Two bots of one name, with one token, or on one Page are faults beside
        all others.
        """
        text = "bots:\n" + self.bot("b", 1) + self.bot("b", 2) + self.bot("c", 1)
        found = faults(text + "lisen: 3")
        self.assertEqual(
            [str(it) for it in found[:3]],
            [
                "mica.yaml:5: bots[1].bot_name: another bot has this name,"
                " in line 2; each needs its own",
                "mica.yaml:7: bots[1].facebook.page_access_token: another bot has the"
                " same token, in line 4; each needs its own",
                "mica.yaml:10: bots[2].facebook.page_id: another bot answers on this"
                " Page, in line 4; each needs its own",
            ],
        )
        self.assertEqual([it.key for it in found[3:]], ["lisen"])

    def test_one_token(self) -> None:
        """
        A token that several bots have is not shown, and is found however it is
        written.
        """
        listed = "".join(
            self.bot(name, page).replace(f"t{name}", token)
            for page, (name, token) in enumerate(
                (("b", "EAAB1"), ("c", "'${TOKEN}'"), ("d", "EAAB1"))
            )
        )
        error = self.assertRaises(
            ConfigError, parse, "bots:\n" + listed, {"TOKEN": "EAAB1"}
        )
        self.assertEqual(
            [it.problem for it in error.faults],
            ["another bot has the same token, in line 4; each needs its own"] * 2,
        )
