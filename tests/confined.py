"""
Run a command as etc/micamessenger.service would confine it: with the system
calls and address families that the unit allows, no more rights than it has,
and no way to gain any.

    /usr/bin/python3 tests/confined.py [--deny-write-execute] COMMAND...

For Debian's Python, with python3-seccomp, and systemd-analyze, which tells what
a set such as ``@system-service`` holds.  ``--deny-write-execute`` does what
``MemoryDenyWriteExecute=`` does, too.

Source: systemd.exec(5), prctl(2), PR_SET_MDWE(2const).
"""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_UNIT = Path(__file__).resolve().parent.parent / "etc" / "micamessenger.service"

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_MDWE = 65
_PR_MDWE_REFUSE_EXEC_GAIN = 1
_PR_CAPBSET_DROP = 24
_CAPABILITIES = 41
_FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
_MOST_FAMILIES = 46


def setting(unit: str, key: str) -> list[str]:
    """
    Read the values of a key, in their order.
    """
    found = (line.partition("=") for line in unit.splitlines())
    return [value for name, _, value in found if name == key]


def members(listing: str) -> dict[str, list[str]]:
    """
    Read what systemd-analyze tells of all its sets of system calls.
    """
    sets: dict[str, list[str]] = {}
    name = ""
    for line in listing.splitlines():
        word = line.strip()
        if word.startswith("@") and not line.startswith(" "):
            name = word
            sets[name] = []
        elif word and not word.startswith("#") and name:
            sets[name].append(word)
    return sets


def expand(words: Iterable[str], sets: dict[str, list[str]]) -> set[str]:
    """
    Name the system calls that words stand for, some of them sets.
    """
    calls: set[str] = set()
    for word in words:
        if word.startswith("@"):
            calls |= expand(sets[word], sets)
        else:
            calls.add(word)
    return calls


def allowed(unit: str, sets: dict[str, list[str]]) -> set[str]:
    """
    Name the system calls that a unit's filter lets through.

    :param unit: its text, whose first filter says what is allowed.
    """
    # systemd adds this one to what is allowed.
    calls = expand(["@default"], sets)
    for value in setting(unit, "SystemCallFilter"):
        if value.startswith("~"):
            calls -= expand(value[1:].split(), sets)
        else:
            calls |= expand(value.split(), sets)
    return calls


def confine(unit: str) -> None:
    """
    Confine this process and all that it starts.
    """
    import seccomp  # type: ignore[import-not-found]

    listing = subprocess.run(
        ["systemd-analyze", "syscall-filter"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (words,) = setting(unit, "RestrictAddressFamilies")
    families: Any = seccomp.SyscallFilter(seccomp.ALLOW)
    known = {_FAMILIES[word] for word in words.split()}
    for family in set(range(_MOST_FAMILIES)) - known:
        wanted = seccomp.Arg(0, seccomp.EQ, family)
        families.add_rule(seccomp.ERRNO(errno.EAFNOSUPPORT), "socket", wanted)
    (word,) = setting(unit, "SystemCallErrorNumber")
    calls: Any = seccomp.SyscallFilter(seccomp.ERRNO(getattr(errno, word)))
    for call in sorted(allowed(unit, members(listing))):
        # Some are of other machines, or newer than the library.
        with suppress(RuntimeError):
            calls.add_rule(seccomp.ALLOW, call)
    # The second one may leave no way to load a third.
    families.load()
    calls.load()


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main(arguments: Sequence[str]) -> None:
    """
    Become the command.
    """
    command = list(arguments)
    if command[0] == "--deny-write-execute":
        command.pop(0)
        _prctl(_PR_SET_MDWE, _PR_MDWE_REFUSE_EXEC_GAIN)
    if os.geteuid() == 0:
        for capability in range(_CAPABILITIES):
            _prctl(_PR_CAPBSET_DROP, capability)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    confine(_UNIT.read_text(encoding="utf-8"))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
