r"""Levels of a training: coarse grids first, for a share of its steps each, the data's own last.

    training: {levels: [{points: [16, 16], share: 0.5}, {points: [32, 32], share: 0.25}], ...}

A level sees the waves that its grid holds of the same members, moved by the same shifts and
through the same noise as on the finest grid, on its own path; one network, one optimiser and one
average go through all of them (see `generative.restriction`). Which level a step belongs to is a
function of the step, so a training goes on across a border as anywhere else. Tests during the
training are made on the finest level.

    Hagemann et al., Multilevel diffusion (2023), arXiv:2303.04772
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pushforward.solvers import Grid

FEWEST = 4  # points an axis


@dataclass(frozen=True)
class Level:
    """A grid by its points, and the share of a training's steps on it.

    Raises ValueError for a share that is none.

    >>> Level((16, 16), 0.5).on(Grid((64, 64), (1.0, 1.0))).extent
    (1.0, 1.0)
    """

    points: tuple[int, ...]
    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(
                f"expected a share of the steps between 0 and 1, got {self.share}; what is left "
                "is for the data's own grid"
            )

    def on(self, grid: Grid) -> Grid:
        """The level's grid of the box of another."""
        return replace(grid, shape=self.points)


def check(levels: Sequence[Level], grid: Grid) -> None:
    """Refuses levels that do not lead, coarse to fine, to a grid, or take all of the steps.

    Raises ValueError.

    >>> check([Level((16, 16), 0.5)], Grid((16, 16)))
    Traceback (most recent call last):
    ValueError: expected levels of 4 points an axis or more, each finer than the one before, below
    (16, 16), got (16, 16); ...
    """
    shapes = [*(level.points for level in levels), grid.shape]
    for coarse, fine in pairwise(shapes):
        some = len(coarse) == grid.ndim and min(coarse) >= FEWEST
        if not some or coarse == fine or any(n > m for n, m in zip(coarse, fine, strict=False)):
            raise ValueError(
                f"expected levels of {FEWEST} points an axis or more, each finer than the one "
                f"before, below {grid.shape}, got {', '.join(map(str, shapes[:-1]))}; change them"
            )
    total = sum(level.share for level in levels)
    if total >= 1:
        raise ValueError(
            f"expected shares of levels that leave steps for the data's own grid, got {total:g} "
            "together; lower them"
        )


def ends(levels: Sequence[Level], steps: int) -> list[int]:
    """The steps at which the levels end, the data's own grid last.

    >>> ends([Level((16,), 0.5), Level((32,), 0.25)], 10)
    [5, 8, 10]
    """
    total, found = 0.0, []
    for level in levels:
        total += level.share
        found.append(round(total * steps))
    return [*found, steps]


def scaled(levels: Sequence[Level], grid: Grid, small: Grid) -> tuple[Level, ...]:
    """The levels of a grid made those of a smaller one, as far as it has room for them.

    >>> scaled([Level((8,), 0.2), Level((16,), 0.5)], Grid((64,)), Grid((16,)))
    (Level(points=(4,), share=0.5),)
    """
    shapes: dict[tuple[int, ...], Level] = {}
    for level in levels:
        ratios = zip(level.points, grid.shape, small.shape, strict=True)
        points = tuple(max(FEWEST, n * little // large) for n, large, little in ratios)
        if points != small.shape and all(n <= m for n, m in zip(points, small.shape, strict=True)):
            shapes[points] = replace(level, points=points)
    return tuple(shapes.values())


def at(ends: Sequence[int], step: int) -> int:
    """Which level a step belongs to.

    >>> [at([5, 8, 10], step) for step in (0, 4, 5, 9)]
    [0, 0, 1, 2]
    """
    return bisect_right(ends, step)
