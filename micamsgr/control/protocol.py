"""
What is spoken on the socket: one line of JSON each way, and then it is closed.

The command says what it wants::

    {"protocol": 1, "program": "0.1.0", "command": "status", "arguments": {}}

and the daemon says what came of it, or why nothing did::

    {"protocol": 1, "program": "0.1.0", "result": {...}}
    {"protocol": 1, "program": "0.1.0", "error": "..."}

Nothing here waits, and nothing opens a file or a socket.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

#: Of what is said here.  Another one is not understood.
PROTOCOL = 1

#: In bytes, with the line's end.
LONGEST_REQUEST = 1 << 16
LONGEST_ANSWER = 8 << 20

#: How many seconds a request may take to come, a command to be done, an answer
#: to be taken.
REQUEST_SECONDS, WORK_SECONDS, ANSWER_SECONDS = 5.0, 30.0, 10.0

_IN_RUNTIME = "control.sock"
_BESIDE_STORE = ".control"


class Malformed(ValueError):
    """What was said is not of this protocol; the text says why."""


@frozen
class Request:
    """
    What a command wants.

    :ivar program: the version of the program that asks.
    """

    command: str
    arguments: Mapping[str, Any]
    program: str = ""


def socket_path(store: str, runtime: str | None) -> Path:
    """
    Say where the daemon's socket is.

    :param store: path of its store.
    :param runtime: ``$RUNTIME_DIRECTORY``; systemd separates several with
        colons, and the first one counts.
    """
    directory = (runtime or "").partition(":")[0]
    if directory:
        return Path(directory).absolute() / _IN_RUNTIME
    return Path(f"{Path(store).resolve()}{_BESIDE_STORE}")


def socket_paths(store: str, runtime: str | None) -> list[Path]:
    """
    Say where a command is to look for it, one place after the other.

    An operator's shell doesn't have the service's variables; so for a store in
    ``/var/lib/NAME``, as a service has it, ``/run/NAME`` is looked at too.
    """
    first = socket_path(store, runtime)
    if (runtime or "").partition(":")[0]:
        return [first]
    parts = Path(store).resolve().parts
    if parts[:3] == ("/", "var", "lib") and len(parts) > 4:
        return [first, Path("/run") / parts[3] / _IN_RUNTIME]
    return [first]


def encode_request(request: Request) -> bytes:
    """
    Write a request as a line.

    :raises Malformed: where it would be too long.
    """
    line = _encode(
        {
            "protocol": PROTOCOL,
            "program": request.program,
            "command": request.command,
            "arguments": dict(request.arguments),
        }
    )
    if len(line) > LONGEST_REQUEST:
        raise Malformed(f"it is longer than {LONGEST_REQUEST} bytes")
    return line


def decode_request(line: bytes) -> Request:
    """
    Read a request.

    :raises Malformed: where it is none, or of another protocol.
    """
    said = _decode(line)
    _check_protocol(said, "the command", "the daemon")
    command, arguments = said.get("command"), said.get("arguments")
    if not isinstance(command, str) or not isinstance(arguments, dict):
        raise Malformed("the daemon doesn't understand the request")
    return Request(command, arguments, str(said.get("program") or ""))


def encode_answer(
    program: str, *, result: Mapping[str, Any] | None = None, error: str = ""
) -> bytes:
    """
    Write an answer as a line.

    :param result: what came of it; ``None``: nothing did, for *error*.
    """
    said: dict[str, Any] = {"protocol": PROTOCOL, "program": program}
    line = _encode(said | ({"error": error} if result is None else {"result": result}))
    if len(line) > LONGEST_ANSWER:
        return _encode(said | {"error": "the answer is too long: ask for less"})
    return line


def decode_answer(line: bytes) -> tuple[str, dict[str, Any] | None, str]:
    """
    Read an answer.

    :return: the version of the daemon's program; the result; or ``None``, and
        why there is none.

    :raises Malformed: where it is none, or of another protocol.
    """
    said = _decode(line)
    _check_protocol(said, "the daemon", "this command")
    program, result = str(said.get("program") or ""), said.get("result")
    if isinstance(result, dict):
        return program, result, ""
    if not isinstance(said.get("error"), str):
        raise Malformed("what answers is no Mica Messenger")
    return program, None, said["error"]


def _check_protocol(said: Mapping[str, Any], whose: str, ours: str) -> None:
    if said.get("protocol") != PROTOCOL:
        raise Malformed(
            f"versions differ: {whose} ({said.get('program') or 'unknown'}) speaks"
            f" protocol {said.get('protocol')!s:.20}, {ours} {PROTOCOL}: restart the"
            " daemon after an upgrade, and use the command that belongs to it"
        )


def _encode(said: Mapping[str, Any]) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode("ascii") + b"\n"


def _decode(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        raise Malformed("what was said is no JSON") from None
    if not isinstance(said, dict):
        raise Malformed("what was said is no object")
    return said
