"""p(u | f) of a linear problem: ensembles beside the solver's own, case by case."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from pushforward import Archive, Study, verify_forecast
from pushforward.generative import Sampler
from pushforward.given import Given
from pushforward.solvers import Use, integrate
from pushforward.spec import Training

CASES, MEMBERS, SEED = 96, 32, 5
DRAWN = {
    "flow, 24 steps": Sampler(steps=24),
    "reverse diffusion, 48 steps": Sampler(steps=48, churn=1.0),
}


def measure(study: Study, archive: Archive, told: Any = print) -> list[dict[str, Any]]:
    """A row an ensemble: fair CRPS over the solver's, its error, spread over skill, rank p."""
    truth, forcing, solver = solved(study.training)
    surrogate = archive.surrogate(study.training)
    reference = scores(solver, truth)
    rows = [row("solver's own", reference, reference, 0)]
    for kind, one in (("trained", surrogate), ("Gaussian", surrogate.gaussian())):
        for words, sampler in DRAWN.items():
            drawn = []
            for case in range(CASES):
                known = Given.of(field(forcing[case], study.training, "forcing"))
                observed, guided = known.on(study.training, one.basis)
                assert guided is None  # a clean start alone
                members = range(case * MEMBERS, (case + 1) * MEMBERS)
                u = one.sample(members, seed=SEED, sampler=sampler, observed=observed)
                drawn.append(u[:, -1])
            found = scores(torch.stack(drawn), truth)
            rows.append(row(f"{kind}: {words}", found, reference, sampler.evaluations + 1))
            told(rows[-1])
    free = surrogate.sample(range(CASES * MEMBERS), seed=SEED, sampler=DRAWN["flow, 24 steps"])
    unconditional = scores(free[:, -1].unflatten(0, (CASES, MEMBERS)), truth)
    rows.append(row("trained, not told the forcing", unconditional, reference, 24))
    return rows


def solved(training: Training) -> tuple[Tensor, Tensor, Tensor]:
    """What happened (case, *grid), the forcings, and the solver's ensembles (case, member, *grid).

    Every case has a forcing, and initial states that no training saw.
    """
    problem = training.simulation.problem()
    grid, laws = problem.grid, (problem.initial, problem.forcing)
    count = CASES * (MEMBERS + 1)
    start = laws[0].sample(range(count), grid, SEED, Use.INITIAL)
    f = laws[1].sample(range(CASES), grid, SEED + 1, Use.FORCING)
    each = f.repeat_interleave(MEMBERS + 1, 0)
    u = integrate(
        problem.equation,
        grid,
        start[:, None],
        forcing=each,
        times=problem.times,
        tolerance=problem.tolerance,
    )
    u = u[:, -1, 0].unflatten(0, (CASES, MEMBERS + 1))
    return u[:, 0], f, u[:, 1:]


def field(values: Tensor, training: Training, name: str) -> xr.DataArray:
    """One field of a training's box as a labelled array."""
    grid = training.simulation.grid
    y, x = (points.numpy() for points in grid.coordinates())
    return xr.DataArray(values.numpy(), {"y": y, "x": x}, ("y", "x"), name=name)


def scores(ensemble: Tensor, truth: Tensor) -> xr.Dataset:
    """Those of `verify_forecast`."""
    dims = ("case", "member", "y", "x")
    x = xr.DataArray(ensemble.double().numpy(), dims=dims)
    y = xr.DataArray(truth.double().numpy(), dims=("case", "y", "x"))
    return verify_forecast(x, y)


def row(words: str, found: xr.Dataset, solver: xr.Dataset, evaluations: int) -> dict[str, Any]:
    """Its numbers; the error of the ratio is that of its mean over cases, by resampling them."""
    mine, theirs = (one.crps.values[0] for one in (found, solver))
    rng = np.random.default_rng(0)
    some = rng.integers(len(mine), size=(1000, len(mine)))
    ratios = mine[some].mean(1) / theirs[some].mean(1)
    return {
        "ensemble": words,
        "evaluations": evaluations,
        "crps": float(mine.mean() / theirs.mean()),
        "error": float(ratios.std()),
        "spread_skill": float(found.spread_skill[0]),
        "rank_p": float(found.rank_p[0]),
    }
