"""
Pictures of figures over time, or over something else, as SVG; they are dark
where what shows them is.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from attrs import frozen

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _GAP = 900, 120, 90, 20, 46, 46

#: Of texts, lines and the background.
STYLE = """
    text{font:13px system-ui,sans-serif;fill:#1b2437}
    .title{font-weight:600}
    .grid{stroke:#d9deea;stroke-width:1}
    .line{fill:none;stroke-width:1.5}
    .line0{stroke:#2457c5}
    .line1{stroke:#b36b00}
    .name0{fill:#2457c5}
    .name1{fill:#b36b00}
    .bg{fill:#fff}
    @media (prefers-color-scheme:dark){
    text{fill:#e3e8f4}
    .grid{stroke:#3a445a}
    .line0{stroke:#86aaff}
    .line1{stroke:#f0ab4a}
    .name0{fill:#86aaff}
    .name1{fill:#f0ab4a}
    .bg{fill:#10151f}
    }
"""


@frozen
class Panel:
    """
    One figure, or two of the same unit.

    :ivar title: with its unit.
    :ivar values: of as many as there are times.
    :ivar others: as many again, which are compared with them.
    :ivar names: of the values and of the others, if there are.
    """

    title: str
    values: Sequence[float]
    others: Sequence[float] = ()
    names: tuple[str, str] = ("", "")


def svg(
    title: str,
    at: Sequence[float],
    panels: Sequence[Panel],
    marks: Sequence[tuple[float, str]] = (),
) -> str:
    """
    Draw panels one below the other, over the same time.  Each begins at 0.

    :param at: when the values were measured, ascending: minutes, unless there
        are *marks*.
    :param marks: what is written where, instead of minutes.
    """
    marks = marks or _minutes(at[-1])
    height = _TOP + len(panels) * (_HEIGHT + _GAP) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        f' role="img" aria-label="{escape(title, True)}">',
        f"<style>{STYLE}</style>",
        f'<rect class="bg" width="{_WIDTH}" height="{height}"/>',
        f'<text class="title" x="{_LEFT}" y="22">{escape(title)}</text>',
    ]
    for number, panel in enumerate(panels):
        top = _TOP + number * (_HEIGHT + _GAP)
        last = number == len(panels) - 1
        parts += _panel(panel, at, top, marks if last else ())
    return "\n".join([*parts, "</svg>", ""])


def _panel(
    panel: Panel, at: Sequence[float], top: int, marks: Sequence[tuple[float, str]]
) -> list[str]:
    end, most = max(at[-1], 1e-9), _round_up(max(*panel.values, *panel.others))
    width, bottom = _WIDTH - _LEFT - _RIGHT, top + _HEIGHT

    def x(at: float) -> float:
        return _LEFT + width * at / end

    def y(value: float) -> float:
        return bottom - _HEIGHT * value / most

    drawn = [f'<text x="{_LEFT}" y="{top - 8}">{escape(panel.title)}</text>']
    for share in (0.0, 0.5, 1.0):
        value = most * share
        drawn.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}"'
            f' y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
            f'<text x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">'
            f"{value:g}</text>"
        )
    for number, values in enumerate(filter(len, (panel.values, panel.others))):
        points = " ".join(
            f"{x(when):.1f},{y(value):.1f}"
            for when, value in zip(at, values, strict=True)
        )
        drawn.append(
            f'<polyline class="line line{number}" points="{points}"/>'
            f'<text class="name{number}" x="{_WIDTH - _RIGHT - 90 * (1 - number)}"'
            f' y="{top - 8}" text-anchor="end">{escape(panel.names[number])}</text>'
        )
    for when, said in marks:
        drawn.append(
            f'<text x="{x(when):.1f}" y="{bottom + 20}" text-anchor="middle">'
            f"{escape(said)}</text>"
        )
    return drawn


def _minutes(end: float) -> list[tuple[float, str]]:
    step = _round_up(end / 6.0)
    times = [number * step for number in range(int(end / step) + 1)]
    return [(each, f"{each:g} min") for each in times]


def _round_up(value: float) -> float:
    """
    Find the next of 1, 2, 5, 10, 20, …
    """
    power = 1e-3
    while True:
        for digit in (1.0, 2.0, 5.0):
            if digit * power >= value:
                return digit * power
        power *= 10.0
