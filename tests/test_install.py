"""
``make install`` and ``make uninstall``, below a directory of the test's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent

# The one that the service would use.
_SYSTEM = "/usr/bin/python3"

_USABLE = (
    "import ensurepip, sqlite3, sys, venv;"
    "sys.exit(sys.version_info < (3, 10) or sqlite3.sqlite_version_info < (3, 37))"
)


def _lacks() -> str | None:
    if shutil.which("make") is None:
        return "needs make"
    if not Path(_SYSTEM).exists():
        return "needs Debian's python3"
    found = subprocess.run([_SYSTEM, "-c", _USABLE], capture_output=True, check=False)
    return "needs Debian's python3-venv" if found.returncode else None


class InstallCase(SynchronousTestCase):
    """
    Somewhere to install to.
    """

    skip = _lacks()

    def setUp(self) -> None:
        # Longer than what a script's first line may name.
        self.top = Path(self.mktemp()).absolute() / ("long" * 40)
        self.top.mkdir(parents=True)

    def make(
        self, *words: str, destination: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """
        Type ``make`` with some words.
        """
        below = [f"DESTDIR={self.top}"] if destination else []
        return subprocess.run(
            ["make", "--silent", f"--directory={ROOT}", *words, *below],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={k: v for k, v in os.environ.items() if k not in ("PYTHON", "PREFIX")},
        )

    def files(self) -> set[str]:
        """
        List what there is, but the environment and the pages.
        """
        found = (it for it in self.top.rglob("*") if not it.is_dir() or it.is_symlink())
        names = {str(it.relative_to(self.top)) for it in found}
        many = tuple(f"opt/micamessenger/{it}/" for it in (".venv", "docs"))
        return {it for it in names if not it.startswith(many)}


class InstallTests(InstallCase):
    """
    Tests for what is put where.
    """

    def test_whole(self) -> None:
        """
        All is where the unit and the pages look for it, names no other place,
        and starts; a second installation leaves what is the operator's, and
        what is taken away is all but that.
        """
        done = self.make("install")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLessEqual(
            {
                "etc/mica.yaml",
                "opt/micamessenger/README.md",
                "opt/micamessenger/etc/mica.yaml",
                "opt/micamessenger/etc/nginx.conf.example",
                "usr/local/bin/micamessenger",
                "usr/local/lib/systemd/system/micamessenger.service",
                "usr/local/lib/systemd/system/micamessenger.socket",
                "usr/local/share/bash-completion/completions/micamessenger",
            },
            self.files(),
        )
        command = self.top / "usr" / "local" / "bin" / "micamessenger"
        subprocess.run(["sh", "-n", command], check=True)
        self.assertEqual(
            command.read_text().splitlines()[2:],
            [
                'export MICA_CONFIG="${MICA_CONFIG:-/etc/mica.yaml}"',
                'export STATE_DIRECTORY="${STATE_DIRECTORY:-/var/lib/micamessenger}"',
                'exec /opt/micamessenger/.venv/bin/micamessenger "$@"',
            ],
        )
        configuration = self.top / "etc" / "mica.yaml"
        self.assertEqual(configuration.stat().st_mode & 0o777, 0o640)
        environment = self.top / "opt" / "micamessenger" / ".venv"
        twistd = environment / "bin" / "twistd"
        first = twistd.read_text().splitlines()[0]
        self.assertEqual(first, "#!/opt/micamessenger/.venv/bin/python")
        self.assertEqual(self.naming(environment / "bin", str(self.top)), [])
        (packages,) = environment.glob("lib/python*/site-packages")
        self.assertFalse((packages / "micamsgr").is_symlink())
        self.assertTrue((packages / "twisted" / "plugins" / "dropin.cache").exists())
        self.assert_refuses_sample(environment)
        configuration.write_text("mine: true\n")
        done = self.make("install")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(configuration.read_text(), "mine: true\n")
        self.assertFalse(environment.with_name(".venv.old").exists())
        for _ in range(2):
            done = self.make("uninstall")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.files(), {"etc/mica.yaml"})
            self.assertFalse((self.top / "opt" / "micamessenger").exists())

    def test_elsewhere(self) -> None:
        """
        What was installed elsewhere is taken away from there, without being
        told where; another place than that is refused, and named.
        """
        done = self.make("install", "PREFIX=/opt/mica")
        self.assertEqual(done.returncode, 0, done.stderr)
        opt = self.top / "opt"
        self.assertEqual([it.name for it in opt.iterdir()], ["mica"])
        before = self.files()
        done = self.make("uninstall", "PREFIX=/opt/other")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("make uninstall PREFIX=/opt/mica\n", done.stderr)
        self.assertEqual(self.files(), before)
        # Without the unit, the command tells.
        unit = "usr/local/lib/systemd/system/micamessenger.service"
        (self.top / unit).unlink()
        done = self.make("uninstall")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.files(), {"etc/mica.yaml"})
        self.assertEqual([*opt.iterdir()], [])

    def test_command_of_others(self) -> None:
        """
        Another program of the same name stays, and is said to; the unit tells
        where ours is.
        """
        command = self.top / "usr" / "local" / "bin" / "micamessenger"
        command.parent.mkdir(parents=True)
        command.write_text("#!/bin/sh\nexec /opt/theirs/micamessenger\n")
        unit = self.top / "usr/local/lib/systemd/system/micamessenger.service"
        unit.parent.mkdir(parents=True)
        text = (ROOT / "etc" / unit.name).read_text()
        unit.write_text(text.replace("/opt/micamessenger", "/opt/mica"))
        program = self.top / "opt" / "mica" / ".venv"
        program.mkdir(parents=True)
        done = self.make("uninstall")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("is another program, and stays", done.stdout)
        self.assertEqual(self.files(), {"usr/local/bin/micamessenger"})
        self.assertFalse(program.parent.exists())

    def naming(self, directory: Path, text: str) -> list[str]:
        """
        List the files of a directory that have something in them.
        """
        files = (it for it in directory.iterdir() if it.is_file())
        return [it.name for it in files if text.encode() in it.read_bytes()[:100_000]]

    def assert_refuses_sample(self, environment: Path) -> None:
        """
        Check that what was installed starts, and asks for what only the
        operator knows.
        """
        script = environment / "bin" / "twistd"
        words = ["-n", "micamessenger", "--config", str(self.top / "etc/mica.yaml")]
        done = subprocess.run(
            [str(environment / "bin" / "python"), str(script), *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.top,
            env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("facebook.page_access_token: still the guide's", done.stderr)


class RefusalTests(InstallCase):
    """
    Tests for what can't work, which is said before anything is done.
    """

    def assert_refused(self, *words: str, why: str, destination: bool = True) -> None:
        """
        Check that nothing is installed, and that a line says why.
        """
        done = self.make("install", *words, destination=destination)
        self.assertNotEqual(done.returncode, 0)
        line = done.stderr.splitlines()[0]
        self.assertTrue(line.startswith("install: "), done.stderr)
        self.assertIn(why, line)
        self.assertEqual(list(self.top.iterdir()), [])

    def test_hidden_python(self) -> None:
        """
        A Python where the service may not look is refused, though a link leads
        there.
        """
        hidden = Path(mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, hidden)
        shutil.copy2(_SYSTEM, hidden / "python")
        link = Path(self.mktemp()).absolute()
        link.symlink_to(hidden / "python")
        self.assert_refused(f"PYTHON={link}", why="may not look into /tmp")

    def test_no_python(self) -> None:
        """
        A Python that isn't there is named.
        """
        self.assert_refused("PYTHON=/usr/bin/python9", why="no such Python")

    def test_hidden_place(self) -> None:
        """
        So is a place for the program where the service may not look.
        """
        for place in ("/root/mica", "/home/mica", "/tmp/mica"):
            why = f"may not look into /{place.split('/')[1]}"
            self.assert_refused(f"PREFIX={place}", why=why)

    def test_destination(self) -> None:
        """
        A relative DESTDIR is refused, and nothing is put there.
        """
        for words in ("install", "uninstall"):
            done = self.make(words, "DESTDIR=stage", destination=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("DESTDIR must be an absolute path: stage", done.stderr)
            self.assertFalse((ROOT / "stage").exists())

    def test_place(self) -> None:
        """
        A place that is none, or that is this checkout, is refused before
        anything of it is deleted.
        """
        for place in ("/", "opt", ""):
            self.assert_refused(f"PREFIX={place}/", why="absolute path")
        self.assert_refused(f"PREFIX={ROOT}", why="this checkout", destination=False)

    if os.getuid():
        test_place.skip = "must be root"  # type: ignore[attr-defined]
