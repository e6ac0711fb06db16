"""
Tests for :mod:`micamsgr.config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from traceback import format_exception

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.config import (
    Bot,
    Config,
    ConfigError,
    Facebook,
    Fault,
    LanguageModel,
    Secret,
    load_config,
    parse_config,
    usual_file,
)
from micamsgr.conversation.events import BotName

GUIDE = """\
bot_name: mica  # Your bot name
llm_config:
   headers:
      Authorization: Bearer xxx  # Your authorization token

facebook:
   verify_token: {your-verification-token}        # Must match the verification token in Webhook settings
   page_access_token: {page-access-token}    # Page Access Token obtained from Facebook Developer Platform
   secret: {your-app-secret}              # Your Facebook application secret
"""  # noqa: E501


def fill(text: str) -> str:
    """Put values in place of the guide's placeholders."""
    return (
        text.replace("Bearer xxx", "Bearer sk-1")
        .replace("{your-verification-token}", "verify-1")
        .replace("{page-access-token}", "EAAB1")
        .replace("{your-app-secret}", "5ec1e7")
    )


FILLED = fill(GUIDE)
FACEBOOK = "facebook: {verify_token: v, page_access_token: t, secret: s}\n"


def parse(text: str, environ: Mapping[str, str] | None = None) -> Config:
    return parse_config(text, directory=Path("/etc/mica"), environ=environ or {})


def faults(text: str, environ: Mapping[str, str] | None = None) -> tuple[Fault, ...]:
    """List the faults of a document that has some."""
    try:
        config = parse(text, environ)
    except ConfigError as error:
        return error.faults
    raise AssertionError(f"no fault in {config}")


def fault(text: str, environ: Mapping[str, str] | None = None) -> str:
    """Give the line that tells of a document's only fault."""
    (only,) = faults(text, environ)
    return str(only)


def placed(text: str) -> str:
    """Put a value where ``facebook.verify_token`` is in line 3."""
    return (
        "bot_name: m\nfacebook:\n  verify_token: "
        f"{text}\n  page_access_token: t\n  secret: s\nllm_config: {{api_key: k}}\n"
    )


class GuideTests(SynchronousTestCase):
    """
    Tests for what Mica's integration guide shows.
    """

    def test_filled_in(self) -> None:
        """
        The guide's block with real values needs nothing else in the file.
        """
        model = LanguageModel(headers={"Authorization": Secret("Bearer sk-1")})
        facebook = Facebook(
            verify_token=Secret("verify-1"),
            page_access_token=Secret("EAAB1"),
            secret=Secret("5ec1e7"),
        )
        self.assertEqual(
            parse(FILLED),
            Config(
                bots=(Bot(name=BotName("mica"), llm=model, facebook=facebook),),
                listen=("tcp:8080:interface=127.0.0.1:backlog=1024",),
                store="/etc/mica/mica.db",
            ),
        )

    def test_placeholders(self) -> None:
        """
        Each placeholder left in place is named as such, with what belongs there.
        """
        found = faults(GUIDE)
        self.assertEqual(
            [(it.line, it.key) for it in found],
            [
                (4, "llm_config.headers.Authorization"),
                (7, "facebook.verify_token"),
                (8, "facebook.page_access_token"),
                (9, "facebook.secret"),
            ],
        )
        for it in found:
            self.assertIn("still the guide's placeholder; put ", it.problem)
        self.assertIn("put Bearer and the key", found[0].problem)
        self.assertIn("found in your app at developers.facebook.com", found[3].problem)
        for written in ("...", "xxx", "'{your-verification-token}'"):
            self.assertIn("still the guide's", fault(placed(written)))

    def test_braces_left(self) -> None:
        """
        A token put between the guide's braces is not shown, and the braces are.
        """
        said = fault(placed("{s3cret}"))
        self.assertIn("mica.yaml:3: facebook.verify_token: expected", said)
        self.assertIn("take the braces {} away", said)
        self.assertNotIn("s3cret", said)

    def test_empty(self) -> None:
        """
        An empty file is told each key that a bot needs.
        """
        self.assertEqual(
            [(it.line, it.key) for it in faults("")],
            [
                (None, "bot_name"),
                (None, "llm_config.api_key"),
                (None, "facebook.verify_token"),
                (None, "facebook.page_access_token"),
                (None, "facebook.secret"),
            ],
        )


class DocumentTests(SynchronousTestCase):
    """
    Tests for YAML, text and references.
    """

    def test_syntax(self) -> None:
        """
        What is not YAML is one plain line that shows nothing of the file.
        """
        for text, line, problem in [
            ("a:\n\tb: 1", 2, "a tab; indent with spaces"),
            ("a:\n  b: 1\n c: 2", 3, "wrong indentation"),
            ("s3cret\nb: 1", 2, "a second colon"),
            ("a: b\nverify_token:s3cret\nc: d", 2, "expected `key: value`"),
            ("a: *s3cret", 1, "must stand in quotes"),
            ("a: @s3cret", 1, "must stand in quotes"),
            ("a: 's3cret", 1, "a quotation mark that is never closed"),
            ("a: {b: ${s3cret}}", 1, "quote values that hold braces"),
            ("a: 1\n---\ns3cret: 2", 2, "keep one"),
            ("a: 1\nb: \x01", 2, "a character that YAML does not allow"),
            ('a: "\\UFFFFFFFF"', None, "an escape that YAML does not allow"),
            ("[" * 5000, None, "nested too deeply"),
        ]:
            (only,) = faults(text)
            self.assertEqual((only.line, only.key), (line, ""), text)
            self.assertIn("not YAML: ", only.problem)
            self.assertIn(problem, only.problem)
            self.assertNotIn("\n", str(only))
            self.assertNotIn("s3cret", str(only))

    def test_duplicate_key(self) -> None:
        """
        A key given twice is a fault, in the line of the second.
        """
        text = FILLED + "delivery:\n  rate: 1\n  rate: 2\n"
        self.assertEqual(
            fault(text),
            "mica.yaml:12: delivery.rate: given twice, first in line 11; keep one",
        )

    def test_not_keys(self) -> None:
        """
        A value or list where a section belongs is a single fault.
        """
        for text in ("text", "- a"):
            self.assertIn("mica.yaml: expected keys", fault(text))
        found = faults(FILLED + "limits: {person: 4, bot: 3}\n? [a]\n: b\n? {}\n: c\n")
        self.assertEqual(
            [(it.line, it.key) for it in found],
            [
                *((10, "limits.person"), (10, "limits.bot")),
                *((11, "(a key)"), (13, "(a key)")),
            ],
        )

    def test_text_as_written(self) -> None:
        """
        Where text is expected, what YAML takes for something else counts as written.
        """
        for written in ("0123", "no", "1e3", "2020-01-01", "0x1F", "1_000", "TRUE"):
            facebook = parse(placed(written)).bots[0].facebook
            self.assertEqual(facebook.verify_token, Secret(written))
        config = parse(FILLED.replace("mica ", "no "))
        self.assertEqual(config.bots[0].name, "no")

    def test_no_text(self) -> None:
        """
        Nothing where text is required is a fault, as is what YAML drops.
        """
        for written in (
            "",
            "~",
            "null",
            "# s3cret",
            '""',
            "&s3cret",
            "!s3cret x",
            "[a]",
        ):
            said = fault(placed(written))
            self.assertIn("mica.yaml:3: facebook.verify_token: ", said)
            self.assertIn("the verification token that you chose", said)
            self.assertNotIn("s3cret", said)

    def test_references(self) -> None:
        """
        References are replaced anywhere in a string, and only once.
        """
        environ = {"A": "x", "EMPTY": "", "NESTED": "${A}"}
        for written, expected in [
            ("${A}", "x"),
            ("<${A}-${A}>", "<x-x>"),
            ("${B:-y}", "y"),
            ("${EMPTY:-y}", "y"),
            ("${A:-y}", "x"),
            ("$${A}", "${A}"),
            ("${NESTED}", "${A}"),
            ("$A", "$A"),
        ]:
            config = parse(placed(written), environ)
            self.assertEqual(config.bots[0].facebook.verify_token.value, expected)

    def test_references_elsewhere(self) -> None:
        """
        Numbers may come from the environment.
        """
        config = parse(FILLED + "delivery: {rate: '${RATE}'}", {"RATE": "7"})
        self.assertEqual(config.bots[0].delivery.rate, 7.0)

    def test_bad_references(self) -> None:
        """
        What a reference does not find, and what is no reference, are faults.
        """
        for written, hint in [
            ("${B}", "variable B is unset or empty; set it, or write ${B:-default}"),
            ("${EMPTY}", "variable EMPTY is unset or empty"),
            ("${B:-}", "empty; put the verification token"),
            ("${", "write $${ where ${ itself is meant"),
            ("${a b}", "expected ${NAME}"),
            ("${A:-${B}}", "expected ${NAME}"),
            ("${file:}", "expected ${NAME}"),
            ("${file:nowhere}", "'nowhere' cannot be read: No such file"),
            ("${file:${A}}", "'${A}' cannot be read: No such file"),
            ("${file:/}", "'/' cannot be read: Is a directory"),
        ]:
            said = fault(placed(written), {"EMPTY": "", "A": "s3cret"})
            self.assertIn("mica.yaml:3: facebook.verify_token: ", said)
            self.assertIn(hint, said)
            self.assertNotIn("s3cret", said)

    def test_file_reference(self) -> None:
        """
        A file's content counts less one newline; its path may name variables.
        """
        path = Path(self.mktemp()).absolute()
        environ = {"DIRECTORY": str(path.parent)}
        text = placed(f"${{file:${{DIRECTORY}}/{path.name}}}")
        path.write_text("tok${A}en\n")
        token = parse(text, environ).bots[0].facebook.verify_token
        self.assertEqual(token.value, "tok${A}en")
        for content, hint in [
            (b"token\n\n", "white space at an end"),
            (b"\n", "is empty, or larger"),
            (b"x" * (1 << 20) + b"x", "is empty, or larger"),
            (b"\xff", "is not text in UTF-8"),
        ]:
            path.write_bytes(content)
            self.assertIn(hint, fault(text, environ))


class FaultTests(SynchronousTestCase):
    """
    Tests for how faults are told.
    """

    def test_all_at_once(self) -> None:
        """
        Faults of every kind and depth come together, in the file's order.
        """
        found = faults(
            FILLED
            + "delivery: {rate: -1, deadlin: 3}\n"
            + "assistant:\n  history: {messages: x}\n  apology: 3\n"
            + "bots:\n- bot_name: mica\n  llm: {chat: {fallbacks: [{timeout: 0}]}}\n"
            + "  facebook: {verify_token: a, secret: b}\n"
            + "store: postgresql://user:s3cret@host/mica\n"
        )
        self.assertEqual(
            [(it.line, it.key) for it in found],
            [
                (10, "delivery.deadlin"),
                (10, "delivery.rate"),
                (12, "assistant.history.messages"),
                (13, "assistant.apology"),
                (15, "bots[0].bot_name"),
                (16, "bots[0].llm.chat.fallbacks[0].timeout"),
                (17, "bots[0].facebook.page_access_token"),
                (18, "store"),
            ],
        )
        self.assertIn("PostgreSQL is not built yet", found[-1].problem)

    def test_unknown_key(self) -> None:
        """
        An unknown key names the nearest known one, also where it is misplaced.
        """
        for text, key, hint in [
            ("page_id: 1", "page_id", "did you mean facebook.page_id?"),
            ("handovr: 1", "handovr", "did you mean handover?"),
            ("log: {lvl: info}", "log.lvl", "did you mean level?"),
            ("log: {zzz: 1}", "log.zzz", "known here: format, level, texts"),
            ("assistant: {histroy: {}}", "assistant.histroy", "did you mean history?"),
            (
                "assistant: {history.messages: 1}",
                "assistant.history.messages",
                "did you mean history.messages?",
            ),
        ]:
            self.assertEqual(
                fault(FILLED + text), f"mica.yaml:10: {key}: unknown key; {hint}"
            )

    def test_several_unknown_keys(self) -> None:
        """
        Each unknown key is named, also beside those that are given twice.
        """
        text = "limits: {x: 1, person: {y: 1}, bot: {z: 1}, person: 1, bot: 3, u: 1}\n"
        self.assertEqual(
            [it.key for it in faults(FILLED + text + "v: 1\nw: 1\nv: 1")],
            [
                *("limits.person", "limits.bot", "limits.x", "limits.person.y"),
                *("limits.bot.z", "limits.u", "v", "w", "v"),
            ],
        )

    def test_odd_key(self) -> None:
        """
        A key that is no plain word is not shown: it may be a secret.
        """
        for key in ("s3cret s3cret", "s3cret" * 10, "s3cret\\e[2J"):
            said = fault(f'{FILLED}"{key}": 1')
            self.assertIn("mica.yaml:10: (a key): unknown key", said)
            self.assertNotIn("s3cret", said)

    def test_secrecy(self) -> None:
        """
        No secret is in the representation of a configuration or its faults.
        """
        secrets = ("sk-1", "verify-1", "EAAB1", "5ec1e7")
        text = FILLED.replace("sk-1", "sk-1  # \n   api_key: sk-1")
        shown = [repr(parse(text)), str(parse(text).bots[0].facebook.secret)]
        for odd in (
            FILLED.replace("EAAB1", "EAAB1 x"),
            FILLED.replace("5ec1e7", '"5ec1e7\\n"'),
            FILLED.replace("sk-1", '"\n   verify-1'),
            FILLED + "listen: EAAB1\npublic_url: EAAB1\nlog: {level: 5ec1e7}\n"
            "allow: sk-1\nclients: {body: EAAB1, trusted_proxies: EAAB1}\n"
            "delivery: {rate: EAAB1, deadline: EAAB1}\nstore: EAAB1\n",
        ):
            error = self.assertRaises(ConfigError, parse, odd)
            shown += [repr(error), *format_exception(error)]
        for secret in secrets:
            self.assertNotIn(secret, "".join(shown))

    def test_usual_file(self) -> None:
        """
        Where no file is named, it is the one that setup wrote here, or the one
        of a checkout; what MICA_CONFIG names goes first.
        """
        top = Path(self.mktemp())
        (top / "etc").mkdir(parents=True)
        self.assertEqual(usual_file({}, top), "mica.yaml")
        (top / "etc" / "mica.yaml").write_text("")
        self.assertEqual(usual_file({}, top), "etc/mica.yaml")
        (top / "mica.yaml").write_text("")
        self.assertEqual(usual_file({}, top), "mica.yaml")
        self.assertEqual(usual_file({"MICA_CONFIG": "/x"}, top), "/x")

    def test_load(self) -> None:
        """
        A file is read with paths relative to it; one that can't be is one fault.
        """
        path = Path(self.mktemp()).absolute()
        for content, problem in [
            (
                None,
                "cannot be read: No such file or directory; name yours with --config;"
                " `micamessenger setup` writes one",
            ),
            (b"\xff", "is not text in UTF-8; save it as such"),
        ]:
            if content is not None:
                path.write_bytes(content)
            error = self.assertRaises(ConfigError, load_config, path, {})
            self.assertEqual(str(error), f"{path}: {problem}")
        path.write_text(FILLED)
        self.assertEqual(load_config(path, {}).store, str(path.parent / "mica.db"))
