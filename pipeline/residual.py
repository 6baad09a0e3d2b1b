"""The residual of generated frames beside that of the solver's own: a row of the table of scores.

`pushforward.physics` moves a member's frames on with the study's solver. That costs what solving
costs, so 64 members of every ensemble are asked, and 128 of the pool, whose random halves are the
floor. There is such a score where the surrogate generates several frames of an evolution that
nothing random acts on (no noise, no drawn forcing: a forcing that is not generated is not known).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.draws import Draws
from pushforward.members import Members
from pushforward.physics import flows, residual_size, residuals
from pushforward.solvers import Grid
from pushforward.spec import Training
from pushforward.verdicts import Drawn, Judged

ASKED = 64  # members of an ensemble


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


def residual_scores(
    ensembles: Mapping[str, Members], pool: Members, training: Training, grid: Grid, draws: Draws
) -> Iterator[Judged]:
    """The score `residual`, of all variables together, on draws of `asked` members."""
    size = draws.size
    solver = squares(pool, training, grid, size + draws.others)
    null = residual_size(solver, *draws.splits)
    values = []
    for name, members in ensembles.items():
        both = torch.cat([squares(members, training, grid, size), solver])
        values.append(residual_size(both, *draws.pair(name)))
    yield "residual", None, Drawn(null, values)


def asked(ensembles: Mapping[str, Members], pool: Members) -> int:
    """How many members of an ensemble are moved on by the solver, and twice as many of the pool.

    >>> asked({"a": Members.of(torch.ones(100, 1, 8))}, Members.of(torch.ones(100, 1, 8)))
    50
    """
    return min(ASKED, len(pool) // 2, *(len(members) for members in ensembles.values()))
