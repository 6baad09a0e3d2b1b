"""Curves of quality by time: medians and ranges over seeds, and when a quality was reached."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .scoring import GRADIENTS, beyond

Row = dict[str, Any]  # arm, seed, mark, seconds, steps; scores by name: value and floor

GAUSSIAN = "gaussian"  # the arm of the one row before any training


def gradients(scores: dict[str, dict[str, float]]) -> float:
    """Gradient W1 in units of its floor; infinite where there are no scores."""
    if not scores:
        return math.inf
    return scores[GRADIENTS]["value"] / scores[GRADIENTS]["floor"]


MEASURES: dict[str, Callable[[dict[str, dict[str, float]]], float]] = {
    "all scores": beyond,
    "gradient W₁": gradients,
}


def start(rows: Sequence[Row], measure: str) -> float:
    """What the Gaussian surrogate has."""
    return next(MEASURES[measure](row["scores"]) for row in rows if row["arm"] == GAUSSIAN)


@dataclass(frozen=True)
class Curve:
    """One arm's: the marks in seconds, and at each the values of all seeds in order."""

    seconds: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]
    steps: int  # at the last mark, the median

    @classmethod
    def of(cls, rows: Sequence[Row], arm: str, measure: str) -> Curve:
        """From the rows of all arms."""
        mine = [row for row in rows if row["arm"] == arm]
        marks = sorted({row["mark"] for row in mine})
        at = [[row for row in mine if row["mark"] == mark] for mark in marks]
        values = tuple(
            tuple(sorted(MEASURES[measure](row["scores"]) for row in some)) for some in at
        )
        return cls(tuple(marks), values, int(statistics.median(row["steps"] for row in at[-1])))

    @property
    def medians(self) -> list[float]:
        """The middle one at every mark."""
        return [statistics.median(values) for values in self.values]

    def reaches(self, quality: float) -> float:
        """The seconds at which the median is that good: between marks, logarithms are linear.

        0 where the first mark is as good, infinite where the last one is not.

        >>> Curve((10.0, 40.0), ((4.0,), (1.0,)), 0).reaches(2.0)
        20.0
        """
        medians = self.medians
        if medians[0] <= quality:
            return 0.0
        for i in range(1, len(medians)):
            before, after = medians[i - 1], medians[i]
            if after <= quality:
                if math.isinf(before):
                    return self.seconds[i]
                share = math.log(before / quality) / math.log(before / after)
                return self.seconds[i - 1] * (self.seconds[i] / self.seconds[i - 1]) ** share
        return math.inf


def apart(one: Curve, other: Curve) -> bool:
    """Whether no seed of one lies among the other's at the last mark.

    >>> apart(Curve((1.0,), ((1.0, 2.0),), 0), Curve((1.0,), ((2.5, 3.0),), 0))
    True
    """
    a, b = one.values[-1], other.values[-1]
    return a[-1] < b[0] or b[-1] < a[0]
