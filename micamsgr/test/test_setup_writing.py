"""
Tests for :mod:`micamsgr.setup.writing`.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.setup.writing import Changed, mode, read, write, write_secret


class WriteTests(SynchronousTestCase):
    """
    Tests for writing files.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.path = self.directory / "mica.yaml"
        self.addCleanup(os.umask, os.umask(0))

    def alone(self) -> None:
        """
        See that nothing else is left behind.
        """
        self.assertEqual([*self.directory.iterdir()], [self.path])

    def test_new(self) -> None:
        """
        A new file is for its owner alone, whatever the system's habit.
        """
        write(self.path, b"new", b"")
        self.assertEqual(self.path.read_bytes(), b"new")
        self.assertEqual(mode(self.path), "0600")
        self.alone()

    def test_directory(self) -> None:
        """
        A directory that isn't there is made.
        """
        path = self.directory / "a" / "b" / "mica.yaml"
        write(path, b"new", b"")
        self.assertEqual(read(path), b"new")

    def test_modes(self) -> None:
        """
        Nobody gets more than they had, and the group of a service keeps
        reading.
        """
        for before, after in (
            (0o644, "0640"),
            (0o640, "0640"),
            (0o666, "0640"),
            (0o600, "0600"),
            (0o400, "0600"),
            (0o604, "0600"),
        ):
            self.path.write_bytes(b"old")
            self.path.chmod(before)
            write(self.path, b"new", b"old")
            self.assertEqual(mode(self.path), after)
            self.path.chmod(0o600)

    def test_owner(self) -> None:
        """
        Owner and group stay.
        """
        if os.geteuid() != 0:
            self.skipTest("needs root")
        self.path.write_bytes(b"old")
        os.chown(self.path, 4711, 4712)
        self.path.chmod(0o640)
        write(self.path, b"new", b"old")
        found = self.path.stat()
        self.assertEqual((found.st_uid, found.st_gid), (4711, 4712))
        secret = self.directory / "secrets" / "token"
        write_secret(secret, "a", self.path)
        for path, wanted in ((secret, 0o640), (secret.parent, 0o750)):
            found = path.stat()
            self.assertEqual((found.st_uid, found.st_gid), (4711, 4712))
            self.assertEqual(stat.S_IMODE(found.st_mode), wanted)

    def test_link(self) -> None:
        """
        A link stays one, and what it leads to is changed.
        """
        target = self.directory / "target"
        target.write_bytes(b"old")
        self.path.symlink_to(target)
        write(self.path, b"new", b"old")
        self.assertTrue(self.path.is_symlink())
        self.assertEqual(target.read_bytes(), b"new")

    def test_changed(self) -> None:
        """
        What somebody else has written meanwhile is not overwritten.
        """
        self.path.write_bytes(b"theirs")
        for before in (b"", b"old"):
            with self.assertRaises(Changed):
                write(self.path, b"new", before)
        self.assertEqual(self.path.read_bytes(), b"theirs")
        self.alone()

    def test_failing(self) -> None:
        """
        If it can't be written, the old one stays and nothing lies about.
        """
        self.path.write_bytes(b"old")

        def full(number: int) -> None:
            raise OSError(28, "No space left on device")

        for name in ("fsync", "fchmod"):
            with self.assertRaises(OSError):
                patch = self.patch(os, name, full if name == "fsync" else _refuse)
                try:
                    write(self.path, b"new", b"old")
                finally:
                    patch.restore()
            self.assertEqual(self.path.read_bytes(), b"old")
            self.alone()

    def test_interrupted(self) -> None:
        """
        An interruption leaves the old file or the new one, and nothing else.
        """
        self.path.write_bytes(b"old")

        def interrupted(number: int) -> None:
            raise KeyboardInterrupt

        self.patch(os, "fsync", interrupted)
        with self.assertRaises(KeyboardInterrupt):
            write(self.path, b"new", b"old")
        self.assertEqual(self.path.read_bytes(), b"old")
        self.alone()

    def test_secret(self) -> None:
        """
        A secret is for its owner alone, in a directory that is theirs alone.
        """
        path = self.directory / "secrets" / "token"
        write_secret(path, "a", self.path)
        self.assertEqual((read(path), mode(path)), (b"a\n", "0600"))
        self.assertEqual(mode(path.parent), "0700")
        write_secret(path, "b", self.path)
        self.assertEqual(read(path), b"b\n")


def _refuse(number: int, mode: int) -> None:
    raise PermissionError(1, "Operation not permitted")
