"""The residual of generated frames beside that of the solver's own: a row of the table of scores.

`pushforward.physics` moves a member's frames on with the study's solver. That costs what solving
costs, so 64 members of every ensemble are asked, and 128 of the pool, whose random halves are the
floor. There is such a score where the surrogate generates several frames of an evolution that
nothing random acts on (no noise, no drawn forcing: a forcing that is not generated is not known).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import xarray as xr
from jaxtyping import Float
from torch import Tensor

from pushforward.draws import Draws
from pushforward.members import Members
from pushforward.physics import flows, residual_size, residuals
from pushforward.solvers import Grid
from pushforward.spec import Training
from pushforward.verdicts import Drawn, Title, table

ASKED = 64  # members of an ensemble
TITLE = Title("Residual of the solver's flow", "")


def followed(training: Training) -> bool:
    """Whether the frames that a surrogate generates determine each other.

    >>> from pushforward.study import Study
    >>> forced = ["training.frames=[0,1]"]
    >>> free = [*forced, "simulation.forcing=null"]
    >>> [followed(Study.load("smoke", changed).training) for changed in (forced, free)]
    [False, True]
    """
    return len(training.frames) > 1 and flows(training.simulation.problem())


def squares(
    members: Members, training: Training, grid: Grid, count: int
) -> Float[Tensor, "member 1"]:
    """The squared residuals of the first `count` members (member, variable, *grid)."""
    fields = members.head(count)
    frames = fields.unflatten(1, (len(training.frames), -1))
    order = sorted(range(len(training.times)), key=training.times.__getitem__)
    times = [training.times[i] for i in order]
    r = residuals(frames[:, order], training.simulation.problem(), times, grid)
    return r.square()[:, None]


def residual_table(
    ensembles: Mapping[str, Members],
    pool: Members,
    training: Training,
    grid: Grid,
    variables: Sequence[str],
    *,
    splits: int,
    bootstrap: int,
    seed: int,
) -> xr.Dataset:
    """The verdict as a Dataset (ensemble, variable, score) of one score, `residual`.

    `variables` are those of the table that it joins: the score stands under the last, `joint`.
    """
    size = min(ASKED, len(pool) // 2, *(len(members) for members in ensembles.values()))
    draws = Draws.make(ensembles, size, 2 * size, splits=splits, bootstrap=bootstrap, seed=seed)
    solver = squares(pool, training, grid, 2 * size)
    null = residual_size(solver, *draws.splits)
    values = []
    for name, members in ensembles.items():
        a = draws.ensembles[name]
        values.append(residual_size(squares(members, training, grid, size), a, a))
    found: dict[str, dict[str, Drawn]] = {name: {} for name in variables}
    found[variables[-1]]["residual"] = Drawn(null, values)
    return table(found, list(ensembles), {"residual": TITLE}, {})


def with_residual(scores: xr.Dataset, other: xr.Dataset) -> xr.Dataset:
    """The table of scores with the rows of another, its attributes kept.

    >>> row = xr.Dataset({"value": ("score", [1.0])}, {"score": ["w1"]}, {"members": 8})
    >>> both = with_residual(row, row.assign_coords(score=["residual"]))
    >>> both.score.values.tolist(), both.attrs
    (['w1', 'residual'], {'members': 8})
    """
    return xr.concat([scores, other], "score").assign_attrs(scores.attrs)
