"""Fields to look at: a few members of the solver, the surrogate and its Gaussian start, alike.

All come on the common grid and on one colour scale a variable, that of the solver's values.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from pushforward import figures
from pushforward.archive import Archive
from pushforward.colours import limits
from pushforward.comparison import common
from pushforward.evaluation import gaussian, stacked
from pushforward.solvers import Grid
from pushforward.spec import Evaluation

SHOWN = 5  # members of each ensemble


class Samples(NamedTuple):
    """Fields (member, variable, *grid) by ensemble, what is said of each, and the grid."""

    fields: dict[str, Tensor]
    remarks: dict[str, str]
    grid: Grid


def samples(evaluation: Evaluation, archive: Archive) -> Samples:
    """The first members of an evaluation's ensembles; of the solver, those no training saw.

    Raises LookupError when anything upstream is missing.
    """
    generation, training = evaluation.generation, evaluation.generation.training
    simulation = training.simulation
    grid = common(generation.target, simulation.grid)
    count, cost = min(SHOWN, evaluation.members), generation.drawn_with.evaluations
    first = simulation.members - evaluation.members
    unseen = stacked(archive.open(simulation), training, range(first, first + count))
    drawn = stacked(archive.open(generation), training, range(count))
    return Samples(
        {
            "solver": simulation.grid.resample(unseen, grid),
            "trained": generation.target.resample(drawn, grid),
            "gaussian": gaussian(evaluation, archive, range(count), grid),
        },
        {
            "solver": f"members {first} to {first + count - 1}",
            "trained": f"members 0 to {count - 1}, {cost} network evaluations each",
            "gaussian": "the same members: the same noise, without the network",
        },
        grid,
    )


def contact(evaluation: Evaluation, archive: Archive) -> str:
    """One picture (a PNG's data URL) of the first variable: the solver above, the surrogate below.

    Raises LookupError when anything upstream is missing.
    """
    found = samples(evaluation, archive)
    low, high, diverging = limits(found.fields["solver"][:, 0])
    rows = [found.fields[name][:, 0] for name in ("solver", "trained")]
    return figures.sheet(rows, found.grid, low, high, diverging)
