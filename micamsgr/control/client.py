"""
A command's end of the socket.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from micamsgr.errors import Declined

from .listening import Place, peer_of
from .protocol import (
    LONGEST_ANSWER,
    WORK_SECONDS,
    Malformed,
    Request,
    decode_answer,
    encode_request,
    socket_paths,
)

# Seconds, for all of it.
_PATIENCE = WORK_SECONDS + 15.0

_CHUNK = 1 << 16


class NotRunning(Declined):
    """No daemon takes commands."""


class NotOurs(Declined):
    """Only others than us may give commands."""


def ask(
    store: str,
    runtime: str | None,
    program: str,
    command: str,
    arguments: Mapping[str, Any],
    *,
    patience: float = _PATIENCE,
) -> tuple[str, dict[str, Any]]:
    """
    Have the daemon do something.

    :param store: path of its store.
    :param runtime: ``$RUNTIME_DIRECTORY``, if there is one.
    :param program: our version.
    :param patience: the most seconds for all of it.

    :return: the version of the daemon's program, and what came of it.

    :raises NotRunning: where no daemon takes commands.
    :raises NotOurs: where it takes them only of others.
    :raises Declined: where it was not done, or nobody knows.
    """
    try:
        line = encode_request(Request(command, arguments, program))
    except Malformed as error:
        raise Declined(f"that can't be asked: {error}") from error
    paths = socket_paths(store, runtime)
    path = next((path for path in paths if os.path.lexists(path)), paths[0])
    try:
        trusted = {0, os.geteuid(), *_owner(store)}
        place = Place(path)
        try:
            _check_file(path, trusted)
            answer = _exchange(place.name, path, trusted, line, patience)
        finally:
            place.close()
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
        raise NotRunning(
            f"the daemon isn't running: nobody takes commands at {path}; if it is,"
            " with a configuration or a RUNTIME_DIRECTORY of its own, name those; if"
            " `store:` was changed since it started, restart it"
        ) from error
    except PermissionError as error:
        raise NotOurs(
            f"can't reach the daemon at {path}: only its own user and root may"
        ) from error
    except socket.timeout as error:  # noqa: UP041
        raise Declined(
            f"the daemon has not answered for {patience:g} s; what was asked may"
            " have been done: look before you try again"
        ) from error
    except OSError as error:
        raise Declined(f"can't reach the daemon at {path}: {error.strerror}") from error
    try:
        version, result, why = decode_answer(answer)
    except Malformed as error:
        raise Declined(str(error)) from error
    if result is None:
        raise Declined(why)
    return version, result


def _owner(store: str) -> set[int]:
    try:
        # Only root goes by what somebody else may have made.
        return {Path(store).stat().st_uid} if os.geteuid() == 0 else set()
    except OSError:
        return set()


def _check_file(path: Path, trusted: set[int]) -> None:
    there = path.lstat()
    if not stat.S_ISSOCK(there.st_mode):
        raise Declined(f"{path} is no socket: see what it is, and remove it")
    if there.st_uid not in trusted:
        raise _not_ours(path, there.st_uid)


def _not_ours(path: Path, user: int) -> Declined:
    return Declined(
        f"the socket {path} is not ours: it is user {user}'s, who is neither you nor"
        " the daemon; nothing was said to it"
    )


def _exchange(
    name: str, path: Path, trusted: set[int], line: bytes, patience: float
) -> bytes:
    end = time.monotonic() + patience
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(patience)
        connection.connect(name)
        user = peer_of(connection)
        if user not in trusted:
            raise _not_ours(path, user)
        # If it reads no more, it has said why already.
        with suppress(BrokenPipeError):
            connection.sendall(line)
        answer = bytearray()
        while not answer.endswith(b"\n"):
            connection.settimeout(max(0.01, end - time.monotonic()))
            chunk = connection.recv(_CHUNK)
            if not chunk:
                raise Declined(
                    "the daemon ended before it answered; what was asked may have"
                    " been done: look before you try again"
                )
            answer += chunk
            if len(answer) > LONGEST_ANSWER:
                raise Declined("what answers is no Mica Messenger")
    return bytes(answer)
