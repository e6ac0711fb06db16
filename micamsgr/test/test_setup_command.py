"""
Tests for the command line of ``micamessenger setup``.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from unittest import SkipTest

from micamsgr.cli import parser
from micamsgr.setup.command import _SECRET, how_to_start, known
from micamsgr.setup.failing import Failed

from .test_cli import CommandCase
from .test_control_cli import command_lines


class KnownTests(CommandCase):
    """
    Tests for what is known before anything is asked.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.path = self.directory / "mica.yaml"

    def given(self, *words: str) -> Namespace:
        """
        Read a command line.
        """
        return parser().parse_args(["setup", "--config", str(self.path), *words])

    def holding(self, name: str, text: str) -> str:
        """
        Make a file.
        """
        (self.directory / name).write_text(text)
        return str(self.directory / name)

    def failing(self, *words: str, **environ: str) -> Failed:
        """
        Gather what can't be used.
        """
        try:
            known(self.given(*words), environ)
        except Failed as failed:
            return failed
        raise AssertionError("it can be used")

    def test_order(self) -> None:
        """
        The command line and the environment come before the file, and a file
        that holds a secret before the environment.
        """
        self.path.write_text(
            "bot_name: mine\npublic_url: https://mine.example\n"
            "facebook: {secret: mine, page_access_token: mine}\n"
        )
        found = known(
            self.given(
                "--bot", "theirs", "--app-secret-file", self.holding("s", "fs\n")
            ),
            {"MICA_APP_SECRET": "es", "MICA_TOKEN": "et"},
        ).answers
        self.assertEqual(found["bot"], "theirs")
        self.assertEqual(found["public_url"], "https://mine.example")
        self.assertEqual((found["app_secret"], found["token"]), ("fs", "et"))

    def test_openai(self) -> None:
        """
        The variable of OpenAI's own will do for its key, but not in place of
        one that the file has.
        """
        environ = {"OPENAI_API_KEY": "sk-theirs"}
        found = known(self.given(), environ).answers
        self.assertEqual(found["llm_key"], "sk-theirs")
        self.path.write_text("llm_config: {headers: {Authorization: Bearer mine}}\n")
        self.assertEqual(known(self.given(), environ).answers["llm_key"], "")
        environ["MICA_LLM_KEY"] = "sk-mine"
        self.assertEqual(known(self.given(), environ).answers["llm_key"], "sk-mine")

    def test_unusable(self) -> None:
        """
        What can't be used is told, with where it is from, and not shown.
        """
        failed = self.failing(MICA_TOKEN="gehe im")
        self.assertIn("the variable MICA_TOKEN", failed.why)
        self.assertNotIn("gehe", repr(failed))
        missing = self.failing("--token-file", str(self.directory / "none"))
        self.assertIn("none can't be read: No such file", missing.why)
        self.assertIn("not text", self.failing("--token-file", "/bin/true").why)
        self.assertIn("can't be read", self.failing("--token-file", "/").why)
        for text in (b"a: [", b"\xff"):
            self.path.write_bytes(text)
            self.assertIn(str(self.path), self.failing().why)

    def test_wrong(self) -> None:
        """
        A command line that is wrong has status 2 and says what is expected; a
        secret has no place on it.
        """
        for words, said in (
            ("--public-url ftp://x", "expected a URL"),
            ("--app-id x", "digits"),
            ("--api-version 25", "v25.0"),
            ("--listen ssl:1", "tcp:"),
            ("--wait soon", "expected seconds"),
            ("--wait nan", "expected seconds"),
            ("--llm-header a:b", "header"),
            ("--token x", "unrecognized"),
            ("--app-secret x", "unrecognized"),
        ):
            status, out, errors = self.run_command("setup", *words.split())
            self.assertEqual((status, out), (2, ""), words)
            self.assertIn(said, errors)

    def test_start(self) -> None:
        """
        How the daemon is started is told for a service, and without one.
        """
        alone = how_to_start(Path("/srv/mica.yaml"))
        self.assertIn("-n micamessenger --config /srv/mica.yaml", alone)
        plain, with_tls = how_to_start(Path("/etc/mica.yaml")).splitlines()[1:3]
        # The socket's port may be the web server's.
        self.assertNotIn("socket", plain)
        self.assertIn("systemctl enable --now micamessenger.socket", with_tls)


class PageTests(CommandCase):
    """
    Tests for ``docs/setup.md``.
    """

    def test_options(self) -> None:
        """
        It names every option and variable.
        """
        page = Path(__file__).parents[2] / "docs" / "setup.md"
        if not page.is_file():
            raise SkipTest("needs a checkout")
        text = page.read_text("utf-8")
        below = dict(command_lines(parser()))[("setup",)]
        options = {option for it in below._actions for option in it.option_strings}
        variables = {name for _, names in _SECRET.values() for name in names}
        for word in (options | variables) - {"-h", "-c", "--help"}:
            self.assertIn(word, text)
