"""
What a loss of power leaves of a store, at any moment of a daemon's life.

Everything that was written and synced is recorded (tests/disk.c).  From the
record the files are rebuilt as they may be if the power fails at some point:
what was synced is there, and of what was not, any part, torn between sectors.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing
from enum import IntEnum
from pathlib import Path
from random import Random

from attrs import define, field, frozen

from micamsgr.store.database import open_database

_OP = struct.Struct("=IIQQ")
_SECTOR = 512

_ENDS = ("", "-wal", "-journal")
_DIRECTORY = 3


class Kind(IntEnum):
    """As in tests/disk.c."""

    WRITE = 1
    TRUNCATE = 2
    SYNC = 3
    UNLINK = 4
    CREATE = 5
    LOST = 6


@frozen
class Op:
    """
    Something that was done to a file.

    :ivar file: 0 the store, 1 its log, 2 its journal, 3 its directory.
    :ivar offset: where it was written; or, of a truncation, the new length.
    :ivar end: where its record ends.
    """

    kind: Kind
    file: int
    offset: int
    data: bytes = field(repr=False)
    end: int


def read(record: Path) -> Iterator[Op]:
    """
    Read a record, less what is not whole at its end.
    """
    end = 0
    with record.open("rb") as file:
        while len(head := file.read(_OP.size)) == _OP.size:
            kind, which, offset, length = _OP.unpack(head)
            data = file.read(length)
            if len(data) < length:
                return
            end += _OP.size + length
            yield Op(Kind(kind), which, offset, data, end)


@define(eq=False)
class _File:
    """
    A file: what is surely on the disk of it, and what was done since then.
    """

    content: bytearray = field(factory=bytearray)
    pending: list[Op] = field(factory=list)

    def sync(self) -> None:
        for op in self.pending:
            _apply(self.content, op, op.data)
        self.pending.clear()

    def left(self, random: Random) -> bytes:
        """
        Choose what the loss of power leaves of it.
        """
        content = bytearray(self.content)
        share = random.choice((0.0, 1.0, random.random()))
        for op in self.pending:
            if random.random() < share:
                _apply(content, op, op.data)
            elif op.kind is Kind.WRITE and share and random.random() < 0.5:
                for at in range(0, len(op.data), _SECTOR):
                    if random.random() < 0.5:
                        torn = Op(op.kind, op.file, op.offset + at, b"", op.end)
                        _apply(content, torn, op.data[at : at + _SECTOR])
        return bytes(content)


def _apply(content: bytearray, op: Op, data: bytes) -> None:
    if op.kind is Kind.TRUNCATE:
        del content[op.offset :]
    length = op.offset if op.kind is Kind.TRUNCATE else op.offset + len(data)
    if len(content) < length:
        content.extend(bytes(length - len(content)))
    if op.kind is Kind.WRITE:
        content[op.offset : op.offset + len(data)] = data


@define(eq=False)
class Replay:
    """
    The files of a store, as they come about.

    The names in a directory change in the order in which they were changed,
    and surely once the directory is synced.
    """

    # By which file it is; those whose name is surely on the disk, and those
    # that are there as long as the power is.
    _sure: dict[int, _File] = field(factory=dict, init=False)
    _now: dict[int, _File] = field(factory=dict, init=False)
    _names: list[dict[int, _File]] = field(factory=list, init=False)

    def do(self, op: Op) -> None:
        """
        Go one step on.
        """
        if op.kind in (Kind.CREATE, Kind.UNLINK):
            self._now = {k: v for k, v in self._now.items() if k != op.file}
            if op.kind is Kind.CREATE:
                self._now[op.file] = _File()
            self._names.append(self._now)
        elif op.file == _DIRECTORY:
            if op.kind is Kind.SYNC:
                self._sure = self._now
                self._names.clear()
        elif op.kind is Kind.SYNC:
            self._now[op.file].sync()
        elif op.kind is Kind.LOST:
            # The system believes that it is written, and never tries again.
            self._now[op.file].pending.clear()
        else:
            self._now[op.file].pending.append(op)

    def cut(self, store: Path, random: Random) -> None:
        """
        Make the files as a loss of power may leave them.
        """
        files = random.choice([self._sure, *self._names])
        for number, end in enumerate((*_ENDS, "-shm")):
            path = store.with_name(store.name + end)
            path.unlink(missing_ok=True)
            if number in files and end != "-shm":
                path.write_bytes(files[number].left(random))


@define(eq=False)
class Verdict:
    """
    What a number of losses of power have shown.

    :ivar cuts: how many there were.
    :ivar required: how many acknowledged messages had to be there, in all.
    :ivar lost: how many of them were not.
    :ivar losing: in how many of the cuts one at least was lost.
    :ivar damaged: what was wrong with a file, if something was.
    """

    cuts: int = 0
    required: int = 0
    lost: int = 0
    losing: int = 0
    damaged: list[str] = field(factory=list)


def judge(
    record: Path,
    acknowledged: dict[str, int],
    store: Path,
    *,
    cuts: int,
    random: Random,
) -> Verdict:
    """
    Let the power fail so many times, and look what is left.

    :param acknowledged: by the ID of a message, how long the record was when
        its 200 was received.
    :param store: where to rebuild it.
    """
    verdict = Verdict()
    ends = [op.end for op in read(record)]
    # After any change or sync, each as likely.
    moments = set(random.sample(range(len(ends)), min(cuts, len(ends))))
    replay = Replay()
    for number, op in enumerate(read(record)):
        replay.do(op)
        if number in moments:
            replay.cut(store, random)
            wanted = {mid for mid, at in acknowledged.items() if at <= op.end}
            _look(store, wanted, verdict)
    return verdict


def _look(store: Path, wanted: set[str], verdict: Verdict) -> None:
    verdict.cuts += 1
    verdict.required += len(wanted)
    try:
        with closing(open_database(str(store))) as database:
            (whole,) = database.execute("PRAGMA integrity_check").fetchone()
            kept = {mid for (mid,) in database.execute("SELECT mid FROM event")}
    except Exception as error:
        verdict.damaged.append(f"{type(error).__name__}: {error}")
        return
    if whole != "ok":
        verdict.damaged.append(whole)
    lost = len(wanted - kept)
    verdict.lost += lost
    verdict.losing += lost > 0
