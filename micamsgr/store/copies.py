"""
Copies of the store: made while a daemon has it or not, put back only while none
does; and bringing the store up to date without a start.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from micamsgr.errors import Declined, StoreUnavailable

from .database import connect, open_for_reading
from .integrity import examine
from .lock import lock
from .schema import MIGRATIONS, check_tables, version_of
from .trouble import Trouble, ask_disk, trouble

# A restore has the time that it needs.
_HOURS = 24 * 3600.0

# What belongs to a store beside its file.
_BESIDE = ("-wal", "-shm", "-journal")


def count_rows(database: sqlite3.Connection) -> dict[str, int]:
    """
    Count the rows of each table.
    """
    names = [
        name
        for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
            " AND name NOT LIKE 'sqlite_%' ORDER BY name"
        ).fetchall()
    ]
    return {
        name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        for name in names
    }


def backup(path: str, target: Path) -> dict[str, int]:
    """
    Copy the store, as it is at one moment, into a new file of mode 0600.

    The copy is made under another name, checked page by page and row by row,
    on disk, and only then has its name.

    :return: how many rows it has, by table.

    :raises Declined: where the file is there already, or can't be made.
    :raises StoreUnavailable: where the store can't be read, or the copy is not
        what was copied.
    """
    if os.path.lexists(target):
        raise Declined(f"{target} is there already: name another file")
    part = target.with_name(f".{target.name}.{os.urandom(4).hex()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.fchmod(descriptor, 0o600)
        os.close(descriptor)
    except OSError as error:
        raise Declined(f"can't make {target}: {error.strerror}") from error
    try:
        counts = _copy(path, part)
        _sync(part)
        # Not os.rename(), which would replace what has come meanwhile.
        os.link(part, target)
        _sync(target.parent)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"can't copy the store {path}: {error}") from error
    except OSError as error:
        raise Declined(f"can't write {target}: {error.strerror}") from error
    finally:
        for end in ("", *_BESIDE):
            with suppress(OSError):
                Path(f"{part}{end}").unlink()
    return counts


def _copy(path: str, part: Path) -> dict[str, int]:
    with closing(open_for_reading(path)) as source:
        try:
            version_of(source, MIGRATIONS)
        except ValueError as error:
            raise StoreUnavailable(f"can't copy the store {path}: {error}") from error
        # All of it is of the moment at which the rows are counted.
        source.execute("BEGIN")
        counts = count_rows(source)
        with closing(sqlite3.connect(part, isolation_level=None)) as copy:
            source.backup(copy)
            # In one file, whoever opens it next.
            copy.execute("PRAGMA journal_mode = DELETE").fetchone()
    with closing(sqlite3.connect(part, isolation_level=None)) as copy:
        verify(copy, counts)
    return counts


def verify(database: sqlite3.Connection, counts: dict[str, int]) -> None:
    """
    Check a copy: all pages, and how many rows it has.

    :raises StoreUnavailable: where it is damaged, or has other rows.
    """
    found = [row[0] for row in database.execute("PRAGMA integrity_check").fetchall()]
    if found != ["ok"]:
        raise StoreUnavailable(f"the copy is damaged: {found[0]}")
    there = count_rows(database)
    if there != counts:
        raise StoreUnavailable(
            f"the copy has other rows than the store: {there}, not {counts}"
        )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def restore(path: str, copy: Path) -> tuple[dict[str, int], Path | None]:
    """
    Put a copy in the place of the store, which is kept aside.

    The copy is checked first.  A kill leaves the old store in its place, or
    the copy, or the old one aside and nothing in its place: then this is to be
    run again.

    :return: how many rows it has, by table; and where the old store is now,
        if there was one.

    :raises Declined: where the copy can't be used, with the reason.
    :raises StoreUnavailable: where a daemon has the store, or it can't be
        replaced.
    """
    if not copy.is_file():
        raise Declined(f"there is no file {copy}")
    store = Path(path).absolute()
    if store.exists() and store.samefile(copy):
        raise Declined(f"{copy} is the store itself")
    _admit(copy)
    try:
        with _plain(copy) as (content, counts), _as_owner(store.parent):
            return counts, _replace(store, content, counts)
    except sqlite3.Error as error:
        raise Declined(f"can't read {copy}: {error}") from error
    except OSError as error:
        raise StoreUnavailable(
            f"can't put {copy} in the place of {store}: {error.strerror}"
        ) from error


@contextmanager
def _plain(copy: Path) -> Iterator[tuple[BinaryIO, dict[str, int]]]:
    """
    Make of a copy one file without a log, which nobody else sees, and open it.
    """
    place = copy.parent if os.access(copy.parent, os.W_OK) else None
    with TemporaryDirectory(prefix=".mica-", dir=place) as private:
        plain = Path(private) / "plain"
        counts = _bring(copy, plain)
        with plain.open("rb") as content:
            yield content, counts


def _replace(store: Path, content: BinaryIO, counts: dict[str, int]) -> Path | None:
    """
    Put content in the place of the store, as whoever its directory belongs to,
    who may have put anything there: nothing is done to it as another.
    """
    existed = store.exists()
    held = lock(str(store))
    new = store.with_name(f".{store.name}.{os.urandom(4).hex()}.new")
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(new, flags, 0o600), "wb") as target:
            shutil.copyfileobj(content, target)
        with closing(sqlite3.connect(new, isolation_level=None)) as database:
            verify(database, counts)
        _sync(new)
        aside = _put_aside(store)
        new.rename(store)
        _sync(store.parent)
        return aside
    finally:
        for end in ("", *_BESIDE):
            with suppress(OSError):
                Path(f"{new}{end}").unlink()
        if not existed and store.exists() and not store.stat().st_size:
            # The lock made it.
            store.unlink()
        held.release()


def _admit(copy: Path) -> None:
    """
    See whether a file can be the store.
    """
    try:
        examine(copy, _HOURS)
        with closing(_read_only(copy)) as database:
            if not version_of(database, MIGRATIONS):
                raise ValueError("it is empty")
    except (sqlite3.Error, ValueError, OSError) as error:
        why = getattr(error, "strerror", None) or error
        raise Declined(f"{copy} can't be the store: {why}") from error


def _read_only(path: Path) -> sqlite3.Connection:
    url = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(url, uri=True, isolation_level=None)


def _bring(copy: Path, new: Path) -> dict[str, int]:
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.close(descriptor)
    with (
        closing(_read_only(copy)) as source,
        closing(sqlite3.connect(new, isolation_level=None)) as target,
    ):
        source.execute("BEGIN")
        counts = count_rows(source)
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE").fetchone()
    with closing(sqlite3.connect(new, isolation_level=None)) as target:
        verify(target, counts)
    _sync(new)
    return counts


def _put_aside(store: Path) -> Path | None:
    """
    Move a store away, with its log: what is in that belongs to it.
    """
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    aside = store.with_name(f"{store.name}.before-{stamp}-{os.urandom(2).hex()}")
    there = store.stat().st_size > 0
    # The store first: one whose log is gone looks whole, and is not.
    for end in ("", *_BESIDE):
        with suppress(FileNotFoundError):
            Path(f"{store}{end}").rename(f"{aside}{end}")
    if not there:
        # The lock made it.
        aside.unlink()
    return aside if there else None


@contextmanager
def _as_owner(path: Path) -> Iterator[None]:
    """
    If we are root, be the store's owner for a while.
    """
    if os.geteuid():
        yield
        return
    owner, groups, group = path.stat(), os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def migrate_here(path: str, *, dry: bool) -> tuple[int, int]:
    """
    Bring a store that no daemon has up to date.

    :param dry: change nothing.

    :return: which version it is of, and which it is to be, or is now.

    :raises Declined: where there is no store.
    :raises StoreUnavailable: where a daemon has it, or it can't be the store.
    """
    if not Path(path).is_file():
        raise Declined(
            f"there is no store {path}; where the daemon is a service, set"
            " STATE_DIRECTORY to its directory, such as /var/lib/micamessenger"
        )
    with _as_owner(Path(path)):
        held = lock(path)
        try:
            examine(Path(path))
            with closing(open_for_reading(path)) as database:
                version = version_of(database, MIGRATIONS)
                if version == len(MIGRATIONS):
                    check_tables(database)
            if not dry:
                connect(path).close()
        except (StoreUnavailable, ValueError, sqlite3.Error, OSError) as error:
            if _no_room(Path(path), error):
                raise StoreUnavailable(
                    f"can't use the store {path}: its disk is full; it stays as it"
                    " was: make room"
                ) from error
            if isinstance(error, StoreUnavailable):
                raise
            why = getattr(error, "strerror", None) or error
            raise StoreUnavailable(f"can't use the store {path}: {why}") from error
        finally:
            held.release()
    return version, len(MIGRATIONS)


def _no_room(path: Path, error: Exception) -> bool:
    """
    Say whether it is for want of room that SQLite can't use a store.
    """
    what = trouble(error)
    if what in (Trouble.FAILING, Trouble.CLOSED):
        what = ask_disk(path.resolve())
    return what is Trouble.FULL
