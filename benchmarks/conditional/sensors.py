"""500 sensors of one field, and the other one wanted: the protocol of DiffusionPDE and FunDPS.

Of 128 x 128 values of the seen field 500 are told, at random places. `forward` sees the initial
state (the permeability) and asks for the later one (the pressure), `inverse` the other way round.
The surrogate has been trained on 32 x 32 points; what these do not hold is noise of its sensors,
whose deviation is measured on fields of their own.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from pushforward import Archive, Study
from pushforward.generative import Sampler, Surrogate
from pushforward.given import Given
from pushforward.solvers import Grid
from pushforward.spec import Training

POINTS, SENSORS = 128, 500
CASES, MEMBERS, SEED = 24, 8, 77
TAIL = 64  # fields that the sensors' noise is measured on
DRAWN = {
    "flow": Sampler(steps=32, churn=0.0),
    "reverse diffusion": Sampler(steps=64, churn=1.0),
}


def measure(study: Study, archive: Archive, told: Any = print) -> list[dict[str, Any]]:
    """Relative L2 errors of what was not seen, by direction, surrogate and sampler."""
    training, fine = study.training, replace(study.simulation.grid, shape=(POINTS, POINTS))
    surrogate = archive.surrogate(training)
    truth = solved(training, fine, CASES, SEED)
    tail = beyond(surrogate, solved(training, fine, TAIL, SEED + 1), fine)
    rows = []
    for seen, direction in ((0, "forward"), (1, "inverse")):
        for kind, one in (("trained", surrogate), ("Gaussian", surrogate.gaussian())):
            for words, sampler in DRAWN.items():
                began, errors = time.monotonic(), []
                for case in range(CASES):
                    given = sensors(training, truth[case, seen], fine, seen, tail[seen], case)
                    observed, guided = given.on(training, one.basis)
                    members = range(case * MEMBERS, (case + 1) * MEMBERS)
                    u = one.sample(
                        members, fine, seed=SEED, sampler=sampler, observed=observed, guided=guided
                    )
                    errors.append(error(u[:, 1 - seen].double(), truth[case, 1 - seen]))
                single, mean, spread = torch.stack(errors, 1)
                rows.append(
                    {
                        "direction": direction,
                        "surrogate": kind,
                        "sampler": words,
                        "evaluations": sampler.evaluations,
                        "single": float(single.mean()),
                        "mean": float(mean.mean()),
                        "mean_error": float(mean.std() / CASES**0.5),
                        "spread_skill": float(
                            (spread.square().mean() / mean.square().mean()).sqrt()
                        ),
                        "seconds": (time.monotonic() - began) / CASES / MEMBERS,
                    }
                )
                told(rows[-1])
    return rows


def solved(training: Training, grid: Grid, count: int, seed: int) -> Tensor:
    """Both fields (member, 2, *grid) of members that no training saw, solved on a fine grid."""
    problem = replace(training.simulation.problem(), grid=grid, solver_grid=None)
    return problem.solve(range(count), seed=seed).flatten(1, 2)


def beyond(surrogate: Surrogate, fields: Tensor, grid: Grid) -> list[float]:
    """The deviation at a point of what the surrogate's waves do not hold, channel by channel."""
    basis = surrogate.basis
    held = basis.synthesise(basis.analyse(fields.double(), grid), grid)
    return (fields - held).square().mean((0, 2, 3)).sqrt().tolist()


def sensors(
    training: Training, field: Tensor, grid: Grid, channel: int, deviation: float, case: int
) -> Given:
    """What 500 points of a field say."""
    generator = torch.Generator().manual_seed(case)
    some = torch.randperm(grid.size, generator=generator)[:SENSORS]
    y, x = (points.numpy() for points in grid.coordinates())
    frame, name = training.stack[channel]
    places = {"y": ("point", y[some // POINTS]), "x": ("point", x[some % POINTS])}
    values = xr.DataArray(field.flatten()[some].double().numpy(), places, ("point",), name=name)
    if frame is not None:
        values = values.assign_coords(time=training.simulation.times[frame])
    return Given.of(values, max(deviation, 1e-3 * float(field.std())))


def error(drawn: Tensor, truth: Tensor) -> Tensor:
    """Relative L2 (3,): errors of single members, on average, and of their mean; the spread that
    the error of the mean has where members differ from each other as they do from the truth."""
    size, count = truth.norm(), len(drawn)
    each = (drawn - truth).flatten(1).norm(dim=1).mean()
    spread = (drawn.var(0).sum() * (count + 1) / count).sqrt()
    return torch.stack([each, (drawn.mean(0) - truth).norm(), spread]) / size
