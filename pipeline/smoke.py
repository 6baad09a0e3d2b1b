"""A lineage shrunk to seconds, of the same kinds: does a study hold together at all?

Every number that costs time is cut to what still runs every line (some blocks, a checkpoint, a few
network evaluations); what decides which code runs (equation, fields, scheme, preset, order) stays.
The numbers that come out mean nothing.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, TypeVar

from pushforward.generative import Architecture
from pushforward.images import Images
from pushforward.levels import FEWEST, scaled
from pushforward.lineage import Value
from pushforward.solvers import Grid
from pushforward.spec import Evaluation, Generation, Simulation, Training

V = TypeVar("V", bound=Value)

POINTS = {1: 32, 2: 16, 3: 8}
SOLVER_STEPS = 24
MEMBERS = 16
DRAWS = 8  # of splits and bootstraps


def shrink(evaluation: Evaluation) -> Evaluation:
    """The same lineage with small grids, few members and few steps; never larger than it was."""
    generation, training = evaluation.generation, evaluation.generation.training
    simulation, frames = _simulation(training.simulation, training.frames)
    count = min(evaluation.members, MEMBERS)
    whole = training.simulation.grid
    coarse = None if training.grid is None else _within(training.grid, whole, simulation.grid)
    small = _change(
        training,
        simulation=simulation,
        frames=frames,
        members=min(training.members, 2 * MEMBERS),
        held_out=min(training.held_out, MEMBERS),
        grid=coarse,
        surrogate=_surrogate(training.surrogate, coarse or simulation.grid),
        steps=min(training.steps, 20),
        batch=min(training.batch, 8),
        calibration=min(training.calibration, MEMBERS),
        checkpoint_every=10,
        levels=scaled(training.levels, training.learnt_on, coarse or simulation.grid),
        snapshots=min(training.snapshots, 4, training.steps),
    )
    return _change(
        evaluation,
        generation=_generation(generation, small, count),
        members=count,
        pool=None,
        splits=min(evaluation.splits, DRAWS),
        bootstrap=min(evaluation.bootstrap, DRAWS),
    )


def _simulation(
    simulation: Simulation, frames: tuple[int, ...]
) -> tuple[Simulation, tuple[int, ...]]:
    """A short run on a coarse grid, with the times that training looks at and the first one."""
    if not simulation.solved:
        return _data(simulation), frames
    used = sorted({frame % len(simulation.times) for frame in frames} | {0})
    first = 0 if simulation.times[0] == 0 else 1
    interval = next((time for time in simulation.times if time > 0), 0.0)
    if simulation.step is not None:
        interval = min(interval, simulation.step * max(1, SOLVER_STEPS // len(used)))
    times = tuple(interval * (first + place) for place in range(len(used)))
    small = _change(
        simulation,
        grid=_coarse(simulation.grid),
        solver_grid=_finer(simulation.grid, simulation.solver_grid),
        storage="full" if simulation.forcing is not None else simulation.storage,
        times=times,
        members=min(simulation.members, 7 * MEMBERS),
        batch=min(simulation.batch, MEMBERS),
        block=2 * min(simulation.batch, MEMBERS),
    )
    return small, tuple(used.index(frame % len(simulation.times)) for frame in frames)


def _data(simulation: Simulation) -> Simulation:
    """Few members on a coarse grid, if the data have another than their own; without files."""
    data, members = simulation.data, min(simulation.members, 7 * MEMBERS)
    if isinstance(data, Images):
        data = replace(data, synthetic=True, files=(), sha256=(), split="all")
    small = {
        "data": data,
        "members": members,
        "batch": min(simulation.batch, MEMBERS),
        "block": 2 * min(simulation.batch, MEMBERS),
    }
    try:
        return _change(simulation, grid=_coarse(simulation.grid), **small)
    except ValueError:  # they lie on one grid only
        return _change(simulation, **small)


def _generation(generation: Generation, training: Training, count: int) -> Generation:
    batch, sampler = min(generation.batch, MEMBERS // 2), generation.sampler
    return _change(
        generation,
        training=training,
        members=min(generation.members, max(count, MEMBERS)),
        grid=None if generation.grid is None else _coarse(generation.grid),
        sampler=replace(sampler, steps=min(sampler.steps, 4)),
        batch=batch,
        block=batch,
    )


def _surrogate(surrogate: Architecture, grid: Grid) -> Architecture:
    small = replace(
        surrogate.backbone,
        width=min(surrogate.backbone.width, 8),
        modes=min(surrogate.backbone.modes, min(grid.shape) // 4),
        layers=min(surrogate.backbone.layers, 2),
    )
    return replace(surrogate, backbone=small)


def _coarse(grid: Grid) -> Grid:
    return replace(grid, shape=tuple(min(n, POINTS[grid.ndim]) for n in grid.shape))


def _within(grid: Grid, whole: Grid, small: Grid) -> Grid:
    """A grid that is as much coarser than a small one as it was than the whole."""
    shapes = zip(grid.shape, whole.shape, small.shape, strict=True)
    return replace(small, shape=tuple(max(FEWEST, 2 * (n * k // m // 2)) for n, m, k in shapes))


def _finer(grid: Grid, solver_grid: Grid | None) -> Grid | None:
    """The solver's grid, as much finer than the coarse grid as it was than the grid."""
    if solver_grid is None:
        return None
    coarse = _coarse(grid)
    shapes = zip(coarse.shape, solver_grid.shape, grid.shape, strict=True)
    return replace(coarse, shape=tuple(2 * math.ceil(n * m / k / 2) for n, m, k in shapes))


def _change(value: V, **fields: Any) -> V:
    """A copy with other fields, validated anew."""
    return type(value)(**{**dict(value), **fields})
