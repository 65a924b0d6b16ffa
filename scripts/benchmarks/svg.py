"""Plots as SVG without any library: how samples are spread, on a scale made for tails."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.figures import percentile

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 60, 190, 40, 50
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a")
SHARES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9)


def tail_plot(title: str, series: Mapping[str, Sequence[float]]) -> str:
    """Percentiles across, milliseconds up, both logarithmic: the tail gets its room.

    Args:
        title: Above the plot.
        series: Samples in milliseconds by name; empty ones are left out.
    """
    drawn = {name: values for name, values in series.items() if len(values)}
    points = {
        name: [(share, percentile(values, share)) for share in shares_for(len(values))]
        for name, values in drawn.items()
    }
    heights = [value for line in points.values() for _, value in line] or [1.0]
    low, high = _decades(min(heights), max(heights))
    parts = [_frame(title)]
    parts += [_across(share) for share in SHARES]
    parts += [_up(value, low, high) for value in _ticks(low, high)]
    for number, (name, line) in enumerate(points.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{_x(share):.1f},{_y(value, low, high):.1f}" for share, value in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = TOP + 16 + 20 * number
        x = WIDTH - RIGHT + 16
        parts.append(f'<rect x="{x}" y="{y - 9}" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{x + 18}" y="{y + 1}">{escape(name)} ({len(drawn[name])})</text>')
    return "\n".join([*parts, "</svg>", ""])


def shares_for(count: int) -> list[float]:
    """Percentiles that so many samples can tell: at least one of them lies above."""
    return [share for share in SHARES if count * (100 - share) > 99.99] or [50.0]


def _frame(title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12" fill="#24292f">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n'
        f'<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>\n'
        f'<text x="{LEFT}" y="{HEIGHT - 10}">percentile</text>\n'
        f'<text x="8" y="{TOP - 6}">ms</text>'
    )


def _across(share: float) -> str:
    x = _x(share)
    return (
        f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" stroke="#d0d7de"/>'
        f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{share:g}</text>'
    )


def _up(value: float, low: float, high: float) -> str:
    y = _y(value, low, high)
    return (
        f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#d0d7de"/>'
        f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
    )


def _x(share: float) -> float:
    # Log of what lies above: 50, 90, 99 and 99.9 stand nearly evenly.
    span = math.log10(50 / 0.1)
    return LEFT + (WIDTH - LEFT - RIGHT) * math.log10(50 / (100 - share)) / span


def _y(value: float, low: float, high: float) -> float:
    share = (math.log10(max(value, low)) - math.log10(low)) / (math.log10(high) - math.log10(low))
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share


def _decades(low: float, high: float) -> tuple[float, float]:
    low = max(low, 1e-3)
    ticks = [m * 10.0**e for e in range(-4, 7) for m in (1, 2, 5)]
    floor = max((tick for tick in ticks if tick <= low), default=low)
    ceiling = min((tick for tick in ticks if tick >= high * 1.05), default=high)
    return floor, max(ceiling, floor * 2)


def _ticks(low: float, high: float) -> list[float]:
    return [
        m * 10.0**e
        for e in range(-4, 7)
        for m in (1, 2, 5)
        if low * 0.999 <= m * 10.0**e <= high * 1.001
    ]
