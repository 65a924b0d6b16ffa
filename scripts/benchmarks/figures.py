"""What a part of the bench found: tables, checks and the raw samples behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

PERCENTILES = (50.0, 99.0, 99.9)


def percentile(samples: Sequence[float], share: float) -> float:
    """The value that `share` percent of the samples do not exceed; NaN without samples.

    The higher neighbour is taken, never a mean of two: a tail is not made smoother than it was.
    """
    if not len(samples):
        return float("nan")
    return float(np.percentile(np.asarray(samples), share, method="higher"))


def summary(samples: Sequence[float]) -> dict[str, float]:
    """Count, median, p99, p99.9 and maximum."""
    return {
        "n": len(samples),
        "p50": percentile(samples, 50),
        "p99": percentile(samples, 99),
        "p99.9": percentile(samples, 99.9),
        "max": percentile(samples, 100),
    }


@dataclass(slots=True)
class Table:
    """One table of the page; cells are texts or numbers.

    Args:
        title: Above it.
        header: Names of the columns.
        rows: As many cells each.
        note: Below it: what the figures mean and what they don't.
    """

    title: str
    header: list[str]
    rows: list[list[Any]] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A claim that was aimed at, with what was found.

    Args:
        claim: What should be true.
        found: What was measured.
        holds: Whether it is; None where it could not be told, as `found` explains.
    """

    claim: str
    found: str
    holds: bool | None


@dataclass(slots=True)
class Part:
    """All that one part of the bench found.

    Args:
        name: As on the command line.
        title: For the page.
        how: A paragraph: what was run against what.
        tables: The figures.
        checks: The claims.
        series: Raw samples by name, milliseconds unless the name says otherwise.
        plots: Plots of series: title and the names of the series in it.
        facts: What else is worth keeping, for programs.
    """

    name: str
    title: str
    how: str
    tables: list[Table] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    series: dict[str, list[float]] = field(default_factory=dict)
    plots: list[tuple[str, list[str]]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def check(self, claim: str, found: str, holds: bool | None) -> None:
        """Add a claim."""
        self.checks.append(Check(claim, found, holds))

    def to_json(self) -> dict[str, Any]:
        """Everything but the raw samples, which lie in a CSV beside it."""
        document = asdict(self)
        document["series"] = {name: summary(values) for name, values in self.series.items()}
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Part:
        """Read what `to_json` wrote; without the raw samples."""
        return cls(
            name=document["name"],
            title=document["title"],
            how=document["how"],
            tables=[Table(**entry) for entry in document["tables"]],
            checks=[Check(**entry) for entry in document["checks"]],
            plots=[(title, list(names)) for title, names in document["plots"]],
            facts=dict(document["facts"]),
        )


def spread_row(
    name: str, samples: Sequence[float], base: Sequence[float] | None = None
) -> list[Any]:
    """A table row: name, runs, p50, p99, p99.9 and the median's ratio to the baseline's."""
    found = summary(samples)
    row: list[Any] = [name, found["n"], *(ms(found[key]) for key in ("p50", "p99", "p99.9"))]
    if base is not None:
        row.append(ratio(found["p50"], percentile(base, 50)))
    return row


SPREAD_HEADER = ["", "runs", "p50 ms", "p99 ms", "p99.9 ms"]


def ms(value: float) -> str:
    """Milliseconds with three significant digits or so."""
    if value != value:  # noqa: PLR0124 - NaN
        return "-"
    if abs(value) < 1:
        return f"{value:.3f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def ratio(value: float, base: float) -> str:
    """How many times the baseline."""
    return f"{value / base:.2f}" if base > 0 and value == value else "-"  # noqa: PLR0124 - NaN
