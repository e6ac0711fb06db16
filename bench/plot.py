"""
Pictures of figures over time, as SVG.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from attrs import frozen

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _GAP = 900, 120, 90, 20, 46, 46

_STYLE = """
    text{font:13px system-ui,sans-serif;fill:#1b2437}
    .title{font-weight:600}
    .axis{stroke:#8b95ab;stroke-width:1}
    .grid{stroke:#d9deea;stroke-width:1}
    .line{fill:none;stroke:#2457c5;stroke-width:1.5}
    .bg{fill:#fff}
"""


@frozen
class Panel:
    """
    One figure over time.

    :ivar title: with its unit.
    :ivar values: of as many as there are times.
    """

    title: str
    values: Sequence[float]


def svg(title: str, minutes: Sequence[float], panels: Sequence[Panel]) -> str:
    """
    Draw panels one below the other, over the same time.  Each begins at 0.

    :param minutes: at which the values were measured, ascending.
    """
    height = _TOP + len(panels) * (_HEIGHT + _GAP) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        f' role="img" aria-label="{escape(title, True)}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="bg" width="{_WIDTH}" height="{height}"/>',
        f'<text class="title" x="{_LEFT}" y="22">{escape(title)}</text>',
    ]
    for number, panel in enumerate(panels):
        top = _TOP + number * (_HEIGHT + _GAP)
        parts += _panel(panel, minutes, top, last=number == len(panels) - 1)
    return "\n".join([*parts, "</svg>", ""])


def _panel(
    panel: Panel, minutes: Sequence[float], top: int, *, last: bool
) -> list[str]:
    end, most = max(minutes[-1], 1e-9), _round_up(max(panel.values))
    width, bottom = _WIDTH - _LEFT - _RIGHT, top + _HEIGHT

    def x(at: float) -> float:
        return _LEFT + width * at / end

    def y(value: float) -> float:
        return bottom - _HEIGHT * value / most

    points = " ".join(
        f"{x(at):.1f},{y(value):.1f}"
        for at, value in zip(minutes, panel.values, strict=True)
    )
    drawn = [f'<text x="{_LEFT}" y="{top - 8}">{escape(panel.title)}</text>']
    for share in (0.0, 0.5, 1.0):
        value = most * share
        drawn.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}"'
            f' y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
            f'<text x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">'
            f"{value:g}</text>"
        )
    drawn.append(f'<polyline class="line" points="{points}"/>')
    if last:
        step = _round_up(end / 6.0)
        at = 0.0
        while at <= end:
            drawn.append(
                f'<text x="{x(at):.1f}" y="{bottom + 20}" text-anchor="middle">'
                f"{at:g} min</text>"
            )
            at += step
    return drawn


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
