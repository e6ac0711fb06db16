"""
Tests for the space that is kept in reserve.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.store.ballast import Ballast, reserve

MIB = 1 << 20


class ReserveTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.store.ballast.reserve`.
    """

    def test_size(self) -> None:
        """
        It takes at most 5 % of what is free, and at most 32 MiB.
        """
        for free in (2 * MIB, 100 * MIB, 640 * MIB - 1, 640 * MIB, 1 << 50):
            size = reserve(free)
            self.assertLessEqual(size, free // 20)
            self.assertLessEqual(size, 32 * MIB)
            self.assertGreater(size, min(free // 20, 32 * MIB) - 4096)

    def test_too_little(self) -> None:
        """
        Where that would be of no use there is none.
        """
        for free in (0, 1, MIB):
            self.assertEqual(reserve(free), 0)


class BallastTests(SynchronousTestCase):
    """
    Tests for :class:`micamsgr.store.ballast.Ballast`.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.free = 100 * MIB
        self.ballast = Ballast(self.directory / "mica.db", lambda _: self.free)
        self.file = self.directory / "mica.db.ballast"

    def test_made(self) -> None:
        """
        It takes up the space that it has, and only its owner may read it.
        """
        self.addCleanup(os.umask, os.umask(0))
        self.assertEqual(self.ballast.make(), 5 * MIB)
        status = self.file.stat()
        self.assertEqual(status.st_size, 5 * MIB)
        self.assertGreaterEqual(status.st_blocks * 512, 5 * MIB)
        self.assertEqual(status.st_mode & 0o777, 0o600)

    def test_given_up(self) -> None:
        """
        Given up, it is gone, and its space is free; once.
        """
        self.ballast.make()
        self.assertGreaterEqual(self.ballast.give_up(), 5 * MIB)
        self.assertFalse(self.file.exists())
        self.assertEqual(self.ballast.give_up(), 0)

    def test_room(self) -> None:
        """
        There is room again where twice as much is free as it was large.
        """
        self.ballast.make()
        self.ballast.give_up()
        self.free = 10 * MIB - 1
        self.assertFalse(self.ballast.room())
        self.free = 10 * MIB
        self.assertTrue(self.ballast.room())

    def test_too_full(self) -> None:
        """
        Where the disk is too full there is none, and none is left.
        """
        self.ballast.make()
        self.file.unlink()
        self.free = 0
        self.assertEqual(self.ballast.make(), 0)
        self.assertFalse(self.file.exists())

    def test_again(self) -> None:
        """
        What an earlier process has left is made use of, and is no larger than
        it would be now.
        """
        self.ballast.make()
        self.free = 15 * MIB
        later = Ballast(self.directory / "mica.db", lambda _: self.free)
        self.assertEqual(later.make(), MIB)
        self.assertEqual(self.file.stat().st_size, MIB)

    def test_something_else(self) -> None:
        """
        What is there and can't be a ballast is left alone.
        """
        other = self.directory / "letter"
        other.write_text("Dear reader")
        self.file.symlink_to(other)
        self.assertRaises(OSError, self.ballast.make)
        self.assertEqual(self.ballast.give_up(), 0)
        self.assertEqual(other.read_text(), "Dear reader")
        self.assertTrue(self.file.is_symlink())
