"""
What the daemon does while it answers people as in ``bench/pipeline.py``: a flame
graph of its calls, and how much of the time it spends in which room.

It is looked at by py-spy, which stops it for a moment each time: how fast it is
meanwhile says nothing.  Left out are threads that wait for something to do, and
from the picture what only leads from one room to the next (``bench/stacks.py``).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import asdict

from bench.children import daemon, module, running
from bench.pipeline import PEOPLE, Load
from bench.plot import STYLE
from bench.report import Report, finish, machine, options, progress
from bench.stacks import (
    ROOMS,
    Box,
    Stack,
    busy,
    folded,
    laid_out,
    parse,
    shares,
)

# So often per second it is looked at.
_RATE = 200

# Seconds of load more than it is looked at: py-spy has to find its way first.
_MARGIN = 3.0

# What is narrower is left out.
_LEAST = 0.004

# Threads that were busy for less have no column of their own.
_NAMED = 0.01

_WIDTH, _SIDE, _TOP, _STEP = 1000, 12, 92, 17

# How wide a letter is, on average.
_LETTER = 6.2

_LIGHT = ("f3a95c", "f8dcb2", "8ccb9f", "9fb9f7", "cdaef0", "86d2de", "d6dae3")
_DARK = ("8c5417", "5d4a2c", "2d6b44", "37529a", "63428f", "1c6572", "474e5e")


def _fills(colors: Sequence[str]) -> str:
    return "".join(f".r{number}{{fill:#{it}}}" for number, it in enumerate(colors))


_STYLE = f"""{STYLE}
    .f{{font-size:10.5px}}
    .s{{font-size:12px}}
    .b{{stroke:#fff;stroke-width:.6}}
    .t{{fill:#b9c1d2}}
    {_fills(_LIGHT)}
    @media (prefers-color-scheme:dark){{
    .b{{stroke:#10151f}}
    .t{{fill:#2a3347}}
    {_fills(_DARK)}
    }}
"""


def draw(title: str, boxes: Sequence[Box], samples: int) -> str:
    """
    Draw a flame graph: no script, so that it can be read wherever a picture can.

    :param samples: how many there are in all.
    """
    levels = max(box.depth for box in boxes) + 1
    height = _TOP + levels * _STEP + _SIDE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        f' role="img" aria-label="{escape(title, True)}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="bg" width="{_WIDTH}" height="{height}"/>',
        f'<text class="title" x="{_SIDE}" y="22">{escape(title)}</text>',
        f'<text class="s" x="{_SIDE}" y="41">Each call is above its caller, and as'
        f" wide as its share of {samples:,} samples of threads that had something to"
        " do.</text>",
        f'<text class="s" x="{_SIDE}" y="57">Left out: how it started; Deferreds,'
        " contexts and logging between the calls that are shown; and what is"
        f" narrower than {_LEAST:.1%}.</text>",
        *_legend(),
    ]
    for box in boxes:
        parts.append(_box(box, height - _SIDE - (box.depth + 1) * _STEP))
    return "\n".join([*parts, "</svg>", ""])


def _legend() -> list[str]:
    parts, left = [], float(_SIDE)
    for number, (name, _) in enumerate(ROOMS):
        parts.append(
            f'<rect class="r{number}" x="{left:.0f}" y="68" width="11" height="11"/>'
            f'<text class="s" x="{left + 15:.0f}" y="78">{name}</text>'
        )
        left += 36.0 + 6.3 * len(name)
    return parts


def _box(box: Box, top: float) -> str:
    scale = _WIDTH - 2.0 * _SIDE
    left, width = _SIDE + scale * box.left, scale * box.width
    if box.frame is None:
        name, whole, kind = box.name, box.name, "t"
    else:
        name = box.frame.function.replace("<locals>.", "")
        whole = f"{name} ({box.frame.file})" if box.frame.file else name
        kind = f"r{box.frame.room}"
    written = _fitting(name, whole, int((width - 6.0) / _LETTER))
    text = (
        f'<text class="f" x="{left + 3.0:.1f}" y="{top + 12.0:.1f}">'
        f"{escape(written)}</text>"
        if written
        else ""
    )
    return (
        f"<g><title>{escape(whole)}, {box.width:.1%}</title>"
        f'<rect class="b {kind}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}"'
        f' height="{_STEP}"/>{text}</g>'
    )


def _fitting(name: str, whole: str, letters: int) -> str:
    """
    Say as much as there is room for; nothing where it would tell nothing.
    """
    if len(whole) <= letters:
        return whole
    if len(name) <= letters:
        return name
    last = name.rpartition(".")[2]
    if len(last) <= letters:
        return last
    return f"{last[: letters - 1]}…" if letters >= 5 else ""


def report(stacks: Sequence[Stack], seconds: float) -> Report:
    """
    Say how much of the time was spent where.
    """
    found = shares(stacks)
    every = [sum(column) for column in zip(*found.values(), strict=True)]
    named = {name: each for name, each in found.items() if sum(each) >= _NAMED}
    rows = [["", *named, "all threads"]]
    for number, (name, _) in enumerate(ROOMS):
        cells = [*(rooms[number] for rooms in named.values()), every[number]]
        rows.append([name, *(f"{cell:.1%}" for cell in cells)])
    sums = [*map(sum, named.values()), sum(every)]
    rows.append(["together", *(f"{cell:.1%}" for cell in sums)])
    samples = sum(stack.count for stack in stacks)
    first = max(range(len(ROOMS)), key=every.__getitem__)
    return Report(
        name="flame",
        rows=rows,
        notes=[
            "What a room calls in another is counted there; what is not Python, such"
            " as SQLite and the wait for the disk, with its caller."
        ],
        line=f"most of {samples} samples in {seconds:g} s, {every[first]:.0%}, in"
        f" {ROOMS[first][0]}",
        goals=[],
    )


def _spy() -> str:
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise SystemExit("py-spy is not installed: pip install --editable '.[bench]'")
    return found


def _record(pid: int, seconds: float, output: Path) -> str:
    """
    Look at a process.

    :raises SystemExit: where it may not be looked at.
    """
    command = [
        *(_spy(), "record", "--pid", f"{pid}", "--output", str(output)),
        *("--duration", f"{max(1, round(seconds))}", "--rate", f"{_RATE}"),
        *("--format", "raw", "--threads", "--function"),
    ]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds + 60.0,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SystemExit(f"py-spy did not come to an end: {error}") from error
    if done.returncode or not output.exists():
        said = done.stderr.partition("\nStack backtrace:")[0]
        raise SystemExit(
            "py-spy could not look at the daemon. It has to be root, or have"
            " CAP_SYS_PTRACE (docker run --cap-add SYS_PTRACE), or"
            f" kernel.yama.ptrace_scope has to be 0. It says:\n{said.strip()}"
        )
    return output.read_text("utf-8")


def sampled(directory: Path, people: int, seconds: float) -> list[Stack]:
    """
    Look at a daemon that answers people.

    :raises SystemExit: where py-spy is missing or may not, or where the daemon did
        nothing.
    """
    _spy()
    load = Load(people=people, seconds=seconds + _MARGIN)
    with running(*module("stand_in")) as stand_in:
        remote = f"http://127.0.0.1:{stand_in.line()}"
        where = directory / "daemon"
        with daemon(where, remote, delivery={"rate": 0}) as (child, port):
            stand_in.tell(json.dumps({"port": port, **asdict(load)}))
            stand_in.line()
            text = _record(child.pid, seconds, directory / "raw")
            # The end, and what came of it.
            for _ in range(2):
                said = stand_in.line(load.seconds + 60.0)
            child.stop()
    result = json.loads(said)
    if result["unanswered"] or result["unexpected"]:
        raise SystemExit(f"not everybody was answered once: {result}")
    stacks = busy(parse(text))
    if not stacks:
        raise SystemExit("the daemon was never seen to do anything")
    return stacks


def main(arguments: Sequence[str]) -> Report:
    """
    Look, draw, and print.
    """
    given = options(__doc__, arguments, seconds=10.0, plot=True, people=PEOPLE)
    with TemporaryDirectory(prefix="bench-", dir=given.directory) as scratch:
        directory = Path(scratch)
        print(f"flame: {given.people} people at a time, as in pipeline")
        print(machine(directory), flush=True)
        progress(f"{given.seconds:g} s")
        stacks = sampled(directory, given.people, given.seconds)
    if given.plot:
        title = f"The daemon while it answers {given.people} people at a time"
        boxes = laid_out(map(folded, stacks), _LEAST)
        samples = sum(stack.count for stack in stacks)
        given.plot.write_text(draw(title, boxes, samples), encoding="utf-8")
    found = report(stacks, given.seconds)
    found.show()
    return found


if __name__ == "__main__":
    finish(main(sys.argv[1:]))
