"""
The page of figures, ``docs/performance.md``: what is between two comments in it, such
as ``<!-- accept -->`` and ``<!-- /accept -->``, is what a benchmark found; everything
else is written by people.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bench.report import Report

#: The block of the machine and the versions.
MACHINE = "machine"

#: The block of all figures of which something is expected.
SUMMARY = "summary"

_HEAD = ("measure", "got", "must", "aim")

_RATIO = re.compile(r"\bratio (\d+\.\d+)")


class PageError(Exception):
    """
    The page is not as it is expected; says how.
    """


def _around(page: str, name: str) -> tuple[str, str, str]:
    """
    Cut a page in three: before and with the first comment, between them, from the
    second on.  Each is a line of its own: elsewhere the page may speak of them.
    """
    lines = page.split("\n")
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    for marker in (begin, end):
        times = lines.count(marker)
        if times != 1:
            raise PageError(f"one line has to be {marker}, and {times} are")
    first, second = lines.index(begin), lines.index(end)
    if second < first:
        raise PageError(f"{end} is before {begin}")
    parts = lines[: first + 1], lines[first + 1 : second], lines[second:]
    before, between, after = map("\n".join, parts)
    return before, between, after


def between(page: str, name: str) -> str:
    """
    Read a block, without the empty lines around it.

    :raises PageError: where a comment is missing, there twice, or in wrong order.
    """
    return _around(page, name)[1].strip()


def replaced(page: str, name: str, content: str) -> str:
    """
    Write a block.

    :raises PageError: as :func:`between`.
    """
    before, _, after = _around(page, name)
    return f"{before}\n\n{content.strip()}\n\n{after}"


def documented(page: str, name: str) -> float:
    """
    Read the first ratio of a block.

    :raises PageError: as :func:`between`; and where there is none.
    """
    found = _RATIO.search(between(page, name))
    if found is None:
        raise PageError(f'there is no "ratio 0.123" after <!-- {name} -->')
    return float(found[1])


def markdown(rows: Iterable[Sequence[str]]) -> str:
    """
    Write rows of cells as a table, the first one as its head.
    """
    head, *others = (
        [cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows
    )
    rule = ["---", *("--:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *others))


def block(report: Report, when: str, picture: str = "") -> str:
    """
    Write what a benchmark found.

    :param when: it was run.
    :param picture: the file that it drew, beside the page.
    """
    parts = [markdown(report.rows)]
    if picture:
        parts.append(f"![{report.name}: {report.line}]({picture})")
    parts += [" ".join(report.notes), f"`{report.name}: {report.line}`"]
    parts.append(f"Measured {when}.")
    return "\n\n".join(filter(None, parts))


def summary(old: str, reports: Sequence[Report], order: Sequence[str]) -> str:
    """
    Write the table of what is expected and what came of it; what is not as it must
    be is bold.

    :param old: what was there: lines of other benchmarks are kept.
    :param order: of the benchmarks.
    """
    lines: dict[str, list[str]] = {name: [] for name in order}
    for line in old.splitlines()[2:]:
        name = line.removeprefix("| ").partition(":")[0]
        if name in lines:
            lines[name].append(line)
    for report in reports:
        rows = []
        for goal in report.goals:
            what, got, must, aim = goal.row()
            shown = got if goal.met else f"**{got}**"
            rows.append([f"{report.name}: {what}", shown, must, aim])
        lines[report.name] = markdown([_HEAD, *rows]).splitlines()[2:]
    head = markdown([_HEAD])
    return "\n".join([head, *(line for each in lines.values() for line in each)])


def written(
    page: str,
    report: Report,
    when: str,
    picture: str = "",
    *,
    machine: str,
    order: Sequence[str],
) -> str:
    """
    Put into a page what a benchmark found.

    :param machine: a description, in lines.
    :param order: of all benchmarks.

    :raises PageError: as :func:`between`.
    """
    about = "; ".join(machine.splitlines())
    page = replaced(page, MACHINE, f"{about}.")
    page = replaced(page, SUMMARY, summary(between(page, SUMMARY), [report], order))
    return replaced(page, report.name, block(report, when, picture))


def check(page: str, names: Iterable[str]) -> None:
    """
    See whether a page has all blocks, before there is something to be written.

    :raises PageError: as :func:`between`.
    """
    for name in (MACHINE, SUMMARY, *names):
        between(page, name)
