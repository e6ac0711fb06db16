"""
``micamessenger check``: asks, prints, and says by its status how it is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from attrs import asdict
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from micamsgr.config import load_config
from micamsgr.config.document import ConfigError
from micamsgr.httpcall import HTTPCaller, outbound_client

from .discretion import without_secrets
from .files import judge_faults, judge_secrets, look_at_modes
from .findings import Finding, Verdict, exit_status
from .inquiry import Inquiry
from .watch import watch

_CONNECTIONS = 8


def run(
    path: Path,
    environ: Mapping[str, str],
    out: TextIO,
    *,
    as_json: bool,
    patience: float | None = None,
) -> int:
    """
    Check a configuration, and what it needs.

    :param path: of its file.
    :param out: what was found is written there.
    :param as_json: whether as one JSON document, and not in lines.
    :param patience: for how many seconds to :func:`~micamsgr.check.watch.watch`
        then for a message; ``None``: not at all.

    :return: 0 where all is well, 1 where there are warnings, 2 where something
        failed; of what was watched, if anything was.
    """
    try:
        config = load_config(path, environ)
    except ConfigError as error:
        found = judge_faults(error) + judge_secrets(look_at_modes(path, environ))
        return _tell(found, out, as_json, in_one_line=patience is not None)
    status = 2

    async def ask(reactor: Any) -> None:
        nonlocal status
        client, pool = outbound_client(reactor, connections=_CONNECTIONS)
        caller = HTTPCaller(reactor, client.request)
        inquiry = Inquiry(reactor, caller, path, config, environ, time.time)
        found = without_secrets(await inquiry.ask(), config)
        # Before the end, which waits for the system to look names up.
        status = _tell(found, out, as_json, in_one_line=patience is not None)
        await pool.closeCachedConnections()

    try:
        react(lambda reactor: Deferred.fromCoroutine(ask(reactor)))
    except SystemExit as leaving:
        # Interrupted, or a defect that was logged.
        if leaving.code:
            return 2
    if patience is None:
        return status
    return watch(config, environ, out, patience=patience, as_json=as_json)


def _tell(
    found: Sequence[Finding], out: TextIO, as_json: bool, *, in_one_line: bool
) -> int:
    status = exit_status(found)
    document = in_json(found, status)
    if in_one_line:
        document = json.dumps(json.loads(document)) + "\n"
    out.write(document if as_json else in_lines(found))
    out.flush()
    return status


def in_lines(found: Sequence[Finding]) -> str:
    """
    Write findings for people, a line each.
    """
    return "".join(f"{_line(each)}\n" for each in found)


def _line(found: Finding) -> str:
    about = f" ({found.about})" if found.about else ""
    line = found.line.rstrip(".")
    said = f"{found.verdict.value:<8} {found.question}{about}: {line}"
    if found.verdict is not Verdict.OK:
        said += f". {found.means[:1].upper()}{found.means[1:]}. To do: {found.todo}."
    return "".join(c if c.isprintable() else " " for c in said)


def in_json(found: Sequence[Finding], status: int) -> str:
    """
    Write findings for programs: an object with the exit ``status`` and the
    list ``findings``, whose members are those of
    :class:`~micamsgr.check.findings.Finding`.
    """
    listed = [{**asdict(each), "verdict": each.verdict.value} for each in found]
    return json.dumps({"status": status, "findings": listed}, indent=2) + "\n"
