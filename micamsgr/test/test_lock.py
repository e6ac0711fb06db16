"""
Tests for whose the store is.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from micamsgr.errors import StoreUnavailable
from micamsgr.store.lock import lock

# A daemon, as far as the lock is concerned.
HOLDER = """
import sys
from micamsgr.store.lock import lock
held = lock(sys.argv[1])
print("locked", flush=True)
sys.stdin.read()
"""


class LockTests(SynchronousTestCase):
    """
    Tests for :func:`micamsgr.store.lock.lock`.
    """

    def setUp(self) -> None:
        self.path = str(Path(self.mktemp()).absolute())

    def refusal(self, path: str) -> str:
        """
        Tell why a store can't be locked.
        """
        error = self.assertRaises(StoreUnavailable, lock, path)
        assert isinstance(error, StoreUnavailable)
        return error.detail

    def test_second_daemon(self) -> None:
        """
        While one daemon uses the store, a second one is told so, and what to
        do; as soon as the first one is killed it may use the store.
        """
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, self.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        with holder:
            self.addCleanup(holder.kill)
            assert holder.stdout is not None
            self.assertEqual(holder.stdout.readline(), b"locked\n")
            self.assertEqual(
                self.refusal(self.path),
                f"another daemon is using the store {self.path}: stop that one"
                " first, or name another file in `store:`",
            )
            holder.kill()
        lock(self.path).release()

    def test_by_another_name(self) -> None:
        """
        It is the same store by whatever name it goes.
        """
        self.addCleanup(lock(self.path).release)
        link = self.path + "-link"
        Path(link).symlink_to(self.path)
        self.assertIn("another daemon is using", self.refusal(link))

    def test_hard_link(self) -> None:
        """
        So it is by another name of the very file, wherever that is, and after
        the store was put in the place of what was there.
        """
        self.addCleanup(lock(self.path).release)
        other = Path(self.mktemp()).absolute()
        other.mkdir()
        link = other / "mica.db"
        link.hardlink_to(self.path)
        self.assertIn("another daemon is using", self.refusal(str(link)))
        Path(self.path).unlink()
        self.assertIn("another daemon is using", self.refusal(self.path))

    def test_refused_leaves_nothing_locked(self) -> None:
        """
        Who is refused keeps nobody else away.
        """
        first = lock(self.path)
        link = Path(f"{self.path}-link")
        link.hardlink_to(self.path)
        self.refusal(str(link))
        first.release()
        lock(str(link)).release()

    def test_no_folder(self) -> None:
        """
        Where there is no such directory, it is named, and what to do, with the
        key to correct.
        """
        path = f"{self.path}/mica.db"
        self.assertEqual(
            self.refusal(path),
            f"can't use the store {path}: there is no directory {self.path}: make it,"
            " for the daemon's user to write in, or correct `store:`",
        )

    def test_not_ours(self) -> None:
        """
        Where the daemon may not write, what to do is told likewise; any other
        reason is told as the system says it.
        """
        for code, hint in (
            (errno.EACCES, "write there, or correct `store:`"),
            (errno.EROFS, f"{os.strerror(errno.EROFS)}: {self.path}.lock"),
        ):
            refused = OSError(code, os.strerror(code), f"{self.path}.lock")
            with patch("micamsgr.store.lock.os.open", side_effect=refused):
                self.assertTrue(self.refusal(self.path).endswith(hint))
