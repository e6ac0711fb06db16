"""
The commands, at the operator's end: each asks the daemon, or does its work in
the store's files, and tells what came of it.

Each function takes the command line and the configuration's store, and returns
the exit status and what is to be printed.
"""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from micamsgr.errors import Declined, StoreUnavailable
from micamsgr.store import copies
from micamsgr.store.export import export

from . import tables
from .client import ask

Printed = tuple[int, str]

# The longest text that is read from standard input, in bytes.
_LONGEST_TEXT = 1 << 16


def told(
    work: Callable[[Namespace, str], tuple[int, Mapping[str, Any], list[str]]],
) -> Callable[[Namespace, str], Printed]:
    """
    Make a command of what gives an exit status, a document for ``--json``, and
    lines for people.
    """

    def command(given: Namespace, store: str) -> Printed:
        try:
            status, document, lines = work(given, store)
        except (Declined, StoreUnavailable) as error:
            status, document, lines = 1, {"error": error.detail}, [error.detail]
        except OSError as error:
            why = f"{error.filename or store}: {error.strerror}"
            status, document, lines = 1, {"error": why}, [why]
        if given.json:
            return status, json.dumps(document, indent=2, sort_keys=True)
        return status, "\n".join(lines).rstrip("\n")

    command.__doc__ = work.__doc__
    return command


def _asked(
    given: Namespace, store: str, command: str, **arguments: Any
) -> dict[str, Any]:
    wanted = {name: value for name, value in arguments.items() if value is not None}
    runtime = os.environ.get("RUNTIME_DIRECTORY")
    version, result = ask(store, runtime, given.program, command, wanted)
    if version != given.program:
        sys.stderr.write(
            f"the daemon is of version {tables.printable(version)}, this command of"
            f" {given.program}: restart the daemon\n"
        )
    return result


def _person(given: Namespace) -> dict[str, Any]:
    return {"psid": given.psid, "bot": given.bot, "page": given.page}


@told
def status(given: Namespace, store: str) -> tuple[int, Mapping[str, Any], list[str]]:
    """Tell how the daemon is."""
    said = _asked(given, store, "status")
    return 0, said, tables.status_lines(said)


@told
def reload(given: Namespace, store: str) -> tuple[int, Mapping[str, Any], list[str]]:
    """Put the configuration in force that the file says now."""
    said = _asked(given, store, "reload")
    nothing = "nothing has changed"
    if said.get("certificates"):
        nothing += "; the certificates' files were read again"
    return 0, said, said["changes"] or [nothing]


@told
def queue_list(
    given: Namespace, store: str
) -> tuple[int, Mapping[str, Any], list[str]]:
    """List what waits, what is in doubt and what was given up."""
    said = _asked(given, store, "queue.list", limit=given.limit)
    return 0, said, tables.queue_lines(said)


@told
def queue_show(
    given: Namespace, store: str
) -> tuple[int, Mapping[str, Any], list[str]]:
    """Show one thing of it."""
    said = _asked(given, store, "queue.show", id=given.id)
    return 0, said, tables.thing_lines(said)


@told
def queue_retry(
    given: Namespace, store: str
) -> tuple[int, Mapping[str, Any], list[str]]:
    """Try one thing of it again."""
    said = _asked(given, store, "queue.retry", id=given.id)
    return 0, said, said["said"]


@told
def queue_drop(
    given: Namespace, store: str
) -> tuple[int, Mapping[str, Any], list[str]]:
    """Give one thing of it up."""
    said = _asked(given, store, "queue.drop", id=given.id)
    return 0, said, said["said"]


@told
def conversation_show(
    given: Namespace, store: str
) -> tuple[int, Mapping[str, Any], list[str]]:
    """Show what was said to a person and by them."""
    person = _person(given)
    said = _asked(given, store, "conversation.show", limit=given.limit, **person)
    return 0, said, tables.conversation_lines(said)


@told
def conversation_pause(
    given: Namespace, store: str
) -> tuple[int, Mapping[str, Any], list[str]]:
    """Let the bot be quiet there."""
    person = _person(given)
    said = _asked(given, store, "conversation.pause", seconds=given.seconds, **person)
    return 0, said, [f"the bot is {tables.quiet(said)}"]


@told
def conversation_resume(
    given: Namespace, store: str
) -> tuple[int, Mapping[str, Any], list[str]]:
    """Let the bot be awake there."""
    said = _asked(given, store, "conversation.resume", **_person(given))
    before = "" if said["was_paused"] else ", as it was"
    return 0, said, [f"the bot is awake{before}; it answers what comes from now on"]


@told
def send(given: Namespace, store: str) -> tuple[int, Mapping[str, Any], list[str]]:
    """Say something as the Page."""
    text = given.text
    if text == "-":
        read = sys.stdin.buffer.read(_LONGEST_TEXT + 1)
        text = read.decode("utf-8", "surrogateescape").rstrip("\n")
    said = _asked(given, store, "send", text=text, **_person(given))
    lines, lost = [], False
    for part in said["parts"]:
        state, id = part["state"], part["id"]
        if state == "sent":
            lines.append(f"sent (part {id})")
        elif state in ("refused", "expired", "dead"):
            lost = True
            lines.append(f"not sent (part {id} is {state}: {part['reason']})")
        elif state == "unknown":
            lines.append(
                f"in doubt (part {id}): it may have arrived, which is looked into"
            )
        else:
            lines.append(f"it is kept, and sent as soon as may be (part {id})")
    if said["quiet_until"] is not None:
        lines.append(
            f"the bot is quiet there until {tables.when(said['quiet_until'])};"
            " `micamessenger conversation resume` wakes it sooner"
        )
    if said["unanswered"]:
        lines.append(tables.unanswered(said))
    if said["paused"] is not None:
        lines.append(f"nothing is sent for now: {tables.printable(said['paused'])}")
    return int(lost), said, lines


@told
def export_person(
    given: Namespace, store: str
) -> tuple[int, Mapping[str, Any], list[str]]:
    """Write all that is kept of a person, as JSON."""
    found = export(_there(store), given.psid, given.bot, given.page)
    text = json.dumps(found, indent=2, sort_keys=True)
    if given.output is None:
        return 0, found, [text]
    target = Path(given.output)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(target, flags, 0o600)
    except FileExistsError:
        raise Declined(f"{target} is there already: name another file") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{text}\n")
    count = len(found["conversations"])
    line = f"{target}: {count} conversations; it is theirs, and as secret"
    return 0, {"file": str(target), "conversations": count}, [line]


@told
def backup(given: Namespace, store: str) -> tuple[int, Mapping[str, Any], list[str]]:
    """Copy the store."""
    counts = copies.backup(_there(store), Path(given.file))
    return _copied(given.file, counts, "checked, and whole")


@told
def restore(given: Namespace, store: str) -> tuple[int, Mapping[str, Any], list[str]]:
    """Put a copy in the place of the store."""
    counts, aside = copies.restore(store, Path(given.file))
    kept = None if aside is None else str(aside)
    status, document, lines = _copied(store, counts, f"restored from {given.file}")
    lines += [f"what was there is {kept}"] if kept else []
    lines.append(
        "who was forgotten since the copy was made is known again: run"
        " `micamessenger forget` once more for them"
    )
    return status, {**document, "aside": kept}, lines


@told
def migrate(given: Namespace, store: str) -> tuple[int, Mapping[str, Any], list[str]]:
    """Bring the store up to date."""
    before, after = copies.migrate_here(store, dry=given.dry_run)
    document = {"before": before, "after": after, "done": not given.dry_run}
    if before == after:
        line = f"the store is up to date: version {after}"
    elif given.dry_run:
        line = f"the store would go from version {before} to {after}"
    else:
        line = f"the store has gone from version {before} to {after}"
    return 0, document, [line]


def _there(store: str) -> str:
    if not Path(store).is_file():
        raise Declined(
            f"there is no store {store}; where the daemon is a service, set"
            " STATE_DIRECTORY to its directory, such as /var/lib/micamessenger"
        )
    return store


def _copied(
    file: str, counts: Mapping[str, int], how: str
) -> tuple[int, Mapping[str, Any], list[str]]:
    rows = sum(counts.values())
    line = f"{file}: {rows} rows, {how}"
    return 0, {"file": str(file), "rows": dict(counts)}, [line]
