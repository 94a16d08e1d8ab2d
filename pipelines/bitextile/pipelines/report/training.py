"""Training and evaluation as what the page draws: a curve per loss, a row per metric."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bitextile.schema.errors import ConfigError

MAX_POINTS = 300
"""Points of a curve; more steps are averaged in equal bins, so that a long run stays small."""
_WIDTH, _HEIGHT = 600, 240
_EVALUATION = frozenset(
    {"name", "before", "between", "after", "unit", "items", "interval", "verdict"}
)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One loss over the steps: its name, an SVG path, its first and last value."""

    name: str
    path: str
    first: float
    last: float


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A mark on an axis: its label and its place in percent of the axis."""

    label: str
    percent: float


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Curves in a box of `width` x `height`, the marks of both axes, and where stages begin."""

    width: int
    height: int
    curves: tuple[Curve, ...]
    steps: tuple[Tick, ...]
    values: tuple[Tick, ...]
    stages: tuple[Tick, ...]


@dataclass(frozen=True, kw_only=True)
class EvaluationRow:
    """A metric before, between and after stages of training, formatted, with the difference."""

    name: str
    unit: str
    before: str
    between: tuple[str, ...]
    after: str
    change: str
    verdict: str


Points = list[tuple[float, float]]


def loss_chart(metrics: Sequence[dict[str, Any]]) -> Chart | None:
    """Returns the chart of the losses per objective, or of the one loss; None where there is none.

    Args:
        metrics: rows with `step`, `loss`, and losses per objective: further numbers whose names
            begin with `loss`, or a mapping under such a name; `stage`, where there are several.
    """
    series = {name: points for name, points in _series(metrics).items() if points}
    if not series:
        return None
    binned = {name: _binned(points) for name, points in series.items()}
    xs = [x for points in binned.values() for x, _ in points]
    ys = [y for points in binned.values() for _, y in points]
    # A single step must not divide by 0.
    low_x, high_x = min(xs), max(max(xs), min(xs) + 1)
    marks = _nice_marks(min(ys), max(ys))
    low_y, high_y = marks[0], marks[-1]

    def place(point: tuple[float, float]) -> tuple[float, float]:
        # SVG's y axis points down.
        x = (point[0] - low_x) / (high_x - low_x) * _WIDTH
        return x, (high_y - point[1]) / (high_y - low_y) * _HEIGHT

    return Chart(
        width=_WIDTH,
        height=_HEIGHT,
        curves=tuple(
            Curve(
                name=name,
                path=_path([place(point) for point in points]),
                first=series[name][0][1],
                last=series[name][-1][1],
            )
            for name, points in binned.items()
        ),
        steps=tuple(
            Tick(label=f"{x:,.0f}", percent=(x - low_x) / (high_x - low_x) * 100)
            for x in (low_x, (low_x + high_x) / 2, high_x)
        ),
        values=tuple(
            Tick(label=f"{y:g}", percent=(high_y - y) / (high_y - low_y) * 100) for y in marks
        ),
        stages=tuple(
            Tick(label=str(stage), percent=(step - low_x) / (high_x - low_x) * 100)
            for stage, step in _later_stages(metrics).items()
        ),
    )


def _later_stages(metrics: Sequence[dict[str, Any]]) -> dict[int, float]:
    """Returns the first step of each stage but the first."""
    first: dict[int, float] = {}
    for number, row in enumerate(metrics, 1):
        first.setdefault(int(row.get("stage", 1)), float(row.get("step", number)))
    return {stage: step for stage, step in first.items() if stage > 1}


def _series(metrics: Sequence[dict[str, Any]]) -> dict[str, Points]:
    series: dict[str, Points] = {}
    for number, row in enumerate(metrics, 1):
        step = float(row.get("step", number))
        for name, value in row.items():
            if not name.startswith("loss"):
                continue
            parts = value.items() if isinstance(value, dict) else [("", value)]
            for part, loss in parts:
                # A diverged run logs NaN; the page shows the curve up to there.
                if isinstance(loss, int | float) and math.isfinite(loss):
                    label = part or name.removeprefix("loss").lstrip("/_.") or "loss"
                    series.setdefault(label, []).append((step, float(loss)))
    if len(series) > 1:
        # Each step trains one objective of the mixture: the total jumps between their scales.
        series.pop("loss", None)
    return {name: sorted(points) for name, points in series.items()}


def _binned(points: Points) -> Points:
    if len(points) <= MAX_POINTS:
        return points
    # Equal numbers of points per bin, not equal ranges of steps: objectives log at other steps
    # each.
    edges = [len(points) * i // MAX_POINTS for i in range(MAX_POINTS + 1)]
    bins = [points[a:b] for a, b in pairwise(edges)]
    return [(sum(x for x, _ in b) / len(b), sum(y for _, y in b) / len(b)) for b in bins]


def _path(points: Points) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _nice_marks(low: float, high: float) -> list[float]:
    """Returns 3 to 7 round values, evenly spaced, the first at most low and the last at least high.

    >>> _nice_marks(1.3, 6.2)
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    """
    span = max(high - low, abs(high) * 1e-3, 1e-9)
    # 1, 2, 5 or 10 times a power of ten: the first of which five cover the span.
    unit = 10.0 ** math.floor(math.log10(span / 4))
    unit = next(unit * m for m in (1, 2, 5, 10) if span / (unit * m) <= 5)
    first, last = math.floor(low / unit), math.ceil(high / unit)
    last = max(last, first + 1)
    # 0.1 * 3 is 0.30000000000000004; twelve decimals are beyond any loss.
    return [round(n * unit, 12) for n in range(first, last + 1)]


def evaluation_rows(evaluations: Sequence[dict[str, Any]]) -> list[EvaluationRow]:
    """Returns the rows of the evaluation table.

    Args:
        evaluations: name, before, after (numbers, or None where not measured) and unit; `between`,
            a number, or None, after each stage but the last, where there were several; `verdict`
            on the change; `items` and `interval`, which are not shown.

    Raises:
        ConfigError: a row has other names or other values.
    """
    rows = []
    n_between = max((len(row.get("between", ())) for row in evaluations), default=0)
    for row in evaluations:
        before, after = row.get("before"), row.get("after")
        between = [*row.get("between", ())]
        numbers = [value for value in (before, after) if value is not None]
        if set(row) - _EVALUATION or not all(
            isinstance(value, int | float | None) for value in (*numbers, *between)
        ):
            raise ConfigError(
                f"evaluation is {row!r}, expected name, unit, and numbers before and after"
            )
        rows.append(
            EvaluationRow(
                name=str(row.get("name", "")),
                unit=str(row.get("unit") or ""),
                before=_number(before),
                between=tuple(map(_number, between or [None] * n_between)),
                after=_number(after),
                change=_change(*numbers) if len(numbers) == 2 else "",
                verdict=str(row.get("verdict") or ""),
            )
        )
    return rows


def _number(value: float | None) -> str:
    """Returns three or four significant digits, and no exponent for what a reader can take in.

    >>> _number(0.24317), _number(10234.5), _number(71.25), _number(None)
    ('0.243', '10,234', '71.25', '–')
    """
    if value is None:
        return "–"
    size = abs(value)
    text = f"{value:,.0f}" if 1e3 <= size < 1e9 else f"{value:.{3 if size < 1 else 4}g}"
    return text.replace("-", "−")


def _change(before: float, after: float) -> str:
    sign = "+" if after > before else "−" if after < before else "±"
    return sign + _number(abs(after - before))
