"""Errors by step and by tolerance, and the orders that they show."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from .subjects import ORDERS, Subject

TOLERANCES = tuple(10.0**-k for k in range(3, 9))
FLOOR = 1e-10  # below, round-off and the reference's own error show


@dataclass(frozen=True)
class Curve:
    """Errors of one scheme at several settings, (setting, error), and the steps each took."""

    subject: Subject
    scheme: str
    points: tuple[tuple[float, float], ...]
    steps: tuple[int, ...]

    @property
    def order(self) -> float | None:
        """The slope of the two finest settings above the floor, if there are two."""
        clear = [(s, e) for s, e in self.points if FLOOR < e < 0.1]
        if len(clear) < 2:
            return None
        (s, e), (r, f) = sorted(clear)[1::-1]
        return math.log(e / f) / math.log(s / r)

    @property
    def ratios(self) -> list[float]:
        """Error over tolerance, above the floor."""
        return [error / setting for setting, error in self.points if error > FLOOR]


def by_step(subject: Subject) -> Iterator[Curve]:
    """One curve for every scheme that is meant for the equation."""
    for scheme in subject.schemes if subject.counts else ():
        points = []
        for count in subject.counts:
            try:
                solution = subject.solve(step=subject.time / count, scheme=scheme)
            except FloatingPointError:
                continue  # too long a step
            points.append((subject.time / count, subject.error(solution)))
        yield Curve(subject, scheme, tuple(points), ())


def by_tolerance(subject: Subject) -> Curve:
    """The equation's own scheme, the step chosen by itself."""
    points, steps = [], []
    scheme = subject.equation.scheme
    for tolerance in TOLERANCES:
        solution = subject.solve(tolerance=tolerance, scheme=scheme)
        points.append((tolerance, subject.error(solution)))
        steps.append(int(solution.steps[0] + solution.rejected[0]))
    return Curve(subject, scheme, tuple(points), tuple(steps))


def expected(curve: Curve) -> int:
    """The order of a curve's scheme."""
    return ORDERS[curve.scheme]
