"""
Tests for the command lines of the operator's commands.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path
from unittest import SkipTest
from unittest.mock import patch

from micamsgr import __version__
from micamsgr.cli import parser
from micamsgr.test.test_cli import CommandCase
from micamsgr.testing import ALICE

COMPLETION = Path(__file__).parents[2] / "etc" / "completion" / "micamessenger"


def command_lines(
    of: ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], ArgumentParser]]:
    """
    List all commands, and those below them.
    """
    for action in of._actions:
        if isinstance(action, _SubParsersAction):
            for name, below in action.choices.items():
                yield (*words, name), below
                yield from command_lines(below, (*words, name))


class LineTests(CommandCase):
    """
    Tests for what can be typed.
    """

    def config(self, more: str = "") -> str:
        """
        Make a configuration that says where the store is, and not much else.
        """
        path = Path(self.mktemp()).absolute()
        path.write_text(f"store: sqlite:{path}.db\n{more}")
        return str(path)

    def test_help(self) -> None:
        """
        Each command says what it does, and what it takes.
        """
        count = 0
        for words, _ in command_lines(parser()):
            status, out, _ = self.run_command(*words, "--help")
            self.assertEqual(status, 0)
            self.assertIn(" ".join(("micamessenger", *words)), out)
            self.assertGreater(len(out.splitlines()), 4)
            count += 1
        self.assertGreater(count, 16)

    def test_wrong(self) -> None:
        """
        A command line that is wrong has status 2.
        """
        for line in (
            "queue",
            "queue retry",
            "queue retry a/b",
            "queue list --limit 0",
            "queue list --limit 1001",
            "conversation pause",
            f"conversation pause {ALICE} --for 5",
            f"conversation pause {ALICE} --for 0m",
            f"conversation pause {ALICE} --for 367d",
            f"send {ALICE}",
            "export",
            "backup",
            "migrate now",
        ):
            status, out, errors = self.run_command(*line.split())
            self.assertEqual((status, out), (2, ""), line)
            self.assertIn("usage", errors)

    def test_for(self) -> None:
        """
        A pause is as long as it is said to be.
        """
        for text, seconds in (("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", 604800)):
            given = parser().parse_args(["conversation", "pause", ALICE, "--for", text])
            self.assertEqual(given.seconds, seconds)

    def test_offline(self) -> None:
        """
        Where there is no daemon, or no store, each command says so in a line
        and leaves nothing behind; also where the rest of the file is wrong.
        """
        config = self.config("nonsense: 1\n")
        for line in (
            "status",
            "reload",
            "queue list",
            "queue show e1",
            "queue retry e1",
            "queue drop e1",
            f"conversation show {ALICE}",
            f"conversation pause {ALICE}",
            f"conversation resume {ALICE}",
            f"send {ALICE} Hello",
            f"export {ALICE}",
            f"backup {config}.copy",
            f"restore {config}.copy",
            "migrate",
        ):
            words = line.split()
            status, out, errors = self.run_command(*words, "--config", config)
            self.assertEqual((status, out), (1, ""), line)
            self.assertRegex(errors, r"isn't running|there is no (store|file)")
            status, out, errors = self.run_command(*words, "-c", config, "--json")
            self.assertEqual((status, errors), (1, ""), line)
            self.assertEqual(list(json.loads(out)), ["error"])
        there = sorted(Path(config).parent.glob(f"{Path(config).name}*"))
        self.assertEqual(there, [Path(config)])

    def test_nothing_changed(self) -> None:
        """
        Where a reload changed nothing, that is said; of files only where there
        are some.
        """
        config = self.config("")
        again = "nothing has changed; the certificates' files were read again\n"
        for more, said in (
            ({"certificates": False}, "nothing has changed\n"),
            ({"certificates": True}, again),
        ):
            answer = __version__, {"changes": [], **more}
            with patch("micamsgr.control.console.ask", return_value=answer):
                told = self.run_command("reload", "--config", config)
            self.assertEqual(told, (0, said, ""))

    def test_no_config(self) -> None:
        """
        A file that isn't there, or says nothing, is a line as well.
        """
        for path, why in (
            ("/nowhere/mica.yaml", "cannot be read"),
            (self.config("store: [1]\n- : x"), "not YAML"),
        ):
            status, _, errors = self.run_command("status", "--config", path)
            self.assertEqual(status, 1)
            self.assertIn(why, errors)


class CompletionTests(CommandCase):
    """
    Tests for the completion in bash.
    """

    def setUp(self) -> None:
        if not COMPLETION.is_file() or shutil.which("bash") is None:
            raise SkipTest("needs a checkout, and bash")

    def complete(self, *words: str) -> set[str]:
        """
        Tell what bash offers behind these words.
        """
        script = (
            f'. {COMPLETION}; COMP_WORDS=(micamessenger "$@"); COMP_CWORD=$#;'
            ' _micamessenger; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            ["bash", "-c", script, "bash", *words],
            capture_output=True,
            check=True,
            text=True,
        )
        return set(done.stdout.split())

    def test_all(self) -> None:
        """
        Everything that can be typed is offered, and nothing else.
        """
        short = {"-h", "-c"}
        for words, below in [((), parser()), *command_lines(parser())]:
            wanted: set[str] = set()
            for action in below._actions:
                if isinstance(action, _SubParsersAction):
                    wanted |= set(action.choices)
                wanted |= set(action.option_strings) - short
            # What stands on its own: of files, whatever there is.
            if words[-1:] not in (("backup",), ("restore",)):
                self.assertEqual(self.complete(*words, ""), wanted, words)

    def test_begun(self) -> None:
        """
        What was begun is finished, also behind options.
        """
        self.assertEqual(self.complete("--config", "x", "que"), {"queue"})
        self.assertEqual(self.complete("queue", "-c", "x", "re"), {"retry"})
        self.assertEqual(self.complete("queue", "list", "--bot", ""), set())
