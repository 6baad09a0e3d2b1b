"""Colour scales of fields: which values are shown, by which colours.

A variable has one scale for all members and times, so that colours can be compared. Its ends are
quantiles, so that one sharp peak does not pale the rest; values beyond are clipped, and a bar says
so by its pointed ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import Normalize
from numpy.typing import ArrayLike

TAIL = 0.002  # of the values lies beyond each end
ENOUGH = 10**6  # values that quantiles are taken of
DIVERGING, SEQUENTIAL = "RdBu_r", "viridis"


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` in colours; a diverging one is white at 0."""

    low: float
    high: float
    diverging: bool
    extend: str = "neither"

    @classmethod
    def of(cls, values: ArrayLike) -> Scale:
        """The scale of some values; of a constant, one that has it in the middle.

        Values that are not finite are left out.

        >>> Scale.of(np.linspace(-1, 1, 1001))
        Scale(low=-0.996, high=0.996, diverging=True, extend='neither')
        >>> Scale.of([3.0, 3.0])
        Scale(low=2.5, high=3.5, diverging=False, extend='neither')
        """
        array = np.asarray(values, dtype=float)
        array = array[np.isfinite(array)]
        if not array.size:
            return cls(0.0, 1.0, False)
        low, high, diverging = limits(array)
        if high - low <= 1e-9 * max(abs(low), abs(high)):
            reach = max(abs(low), 1.0) / 2 if abs(low) < 2 else abs(low) / 6
            low, high, diverging = low - reach, high + reach, False
        seen = 0.01 * (high - low)  # less than that beyond an end is no clipping that one sees
        below, above = array.min() < low - seen, array.max() > high + seen
        return cls(low, high, diverging, _EXTENDS[bool(below), bool(above)])

    @property
    def drawn(self) -> dict[str, Any]:
        """What matplotlib is told to draw an image in these colours."""
        norm = Normalize(self.low, self.high, clip=True)
        return {"norm": norm, "cmap": DIVERGING if self.diverging else SEQUENTIAL}


_EXTENDS = {
    (False, False): "neither",
    (True, False): "min",
    (False, True): "max",
    (True, True): "both",
}


def limits(values: ArrayLike) -> tuple[float, float, bool]:
    """A colour scale's ends, and whether it lies around 0: it is symmetric then.

    >>> limits(np.array([-1.0, 0.0, 1.0]))[2]
    True
    """
    flat = np.asarray(values, dtype=float).ravel()
    low, high = np.quantile(flat[:: 1 + len(flat) // ENOUGH], (TAIL, 1 - TAIL)).tolist()
    if low < 0 < high and min(-low, high) > 0.3 * max(-low, high):
        reach = max(-low, high)
        return -reach, reach, True
    return low, high, False
