r"""Darcy's inverse problem: the permeability given pressures, by conditional sampling and by MCMC.

Of plates that no training saw, pressures are told through independent Gaussian noise: at `points`,
a few sensors, and as a `picture`, all cells, with more noise. The posterior of log a is drawn by
preconditioned Crank-Nicolson with the solver itself (see `pcn`, `laplace`), which is what the
others are measured against, and by the surrogate, which sees no solver and differentiates nothing:
points by guidance, a picture as a noisy state that the reverse diffusion starts from (see
`pipeline.given`). Beside them stand the Gaussian at the posterior's mode, the surrogate without
its network (Kriging with the data's mean and spectra), the prior, and the floor: as many draws of
other chains, so that none can be nearer but by chance.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch
import xarray as xr
from torch import Tensor

from benchmarks.seeds import laplace, pcn
from benchmarks.seeds.plates import pressures
from benchmarks.seeds.posteriors import averages, figures, leading
from pushforward import Archive, Study
from pushforward.generative import Sampler, Surrogate
from pushforward.given import Given
from pushforward.solvers import Darcy, GaussianField, Grid, Use
from pushforward.solvers.normals import normals
from pushforward.solvers.white_noise import white
from pushforward.spec import Training

SEED = 2302  # of the plates; simulations have 0 where they do not say
LEAST = 5.0  # deviations of the prior at a point, below which no log a is believed


@dataclass(frozen=True)
class View:
    """What is told of a pressure: every `stride`-th cell along both axes, through noise of `noise`
    times the deviation of pressures over cells and plates."""

    name: str
    stride: int
    noise: float


VIEWS = (View("points", 4, 0.05), View("picture", 1, 0.2))


@dataclass(frozen=True)
class Budget:
    """How many cases, members of an ensemble and steps of a sampler; the chains of each case."""

    cases: int = 4
    members: int = 128
    steps: int = 64
    chains: pcn.Length = field(
        default_factory=lambda: pcn.Length(chains=32, burn_in=300, steps=1200, every=6, seed=5)
    )


SMOKE = Budget(cases=1, members=8, steps=4, chains=pcn.Length(4, 10, 40, 2))


class Posterior(NamedTuple):
    """Draws (draw, chain, *grid) of the drawn field z, their chains, and the Gaussian beside."""

    draws: Tensor
    chains: pcn.Chains
    near: laplace.Reference


@dataclass(frozen=True, eq=False)
class Case:
    """A plate that nobody saw and what is told of it: indices of cells, values and deviation."""

    truth: Tensor  # log a (*grid)
    cells: Tensor
    values: Tensor
    deviation: float


def measure(
    archive: Archive,
    study: Study,
    budget: Budget = Budget(),
    told: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Rows (view, who) of figures, and what the chains say of themselves, ready for JSON.

    Raises LookupError when the study's training is not in the archive, ValueError for a study of
    anything but a lognormal plate.
    """
    training = study.training
    plate, prior = lognormal(training)
    surrogate, grid = archive.surrogate(training), training.simulation.grid
    rows, chains = [], []
    for view in VIEWS:
        cases = seen(training, view, budget.cases)
        every: dict[str, list[dict[str, float]]] = {}
        for number, case in enumerate(cases):
            began = time.perf_counter()
            found = posterior(plate, prior, grid, case, budget.chains)
            seconds = time.perf_counter() - began
            chains.append(
                {"view": view.name, "case": number, "seconds": seconds}
                | diagnostics(found, prior, grid)
            )
            if told:
                told(chains[-1])
            for who, numbers in against(found, case, surrogate, training, budget, number).items():
                every.setdefault(who, []).append(numbers)
        for who, each in every.items():
            rows.append({"view": view.name, "ensemble": who} | averages(each))
            if told:
                told(rows[-1])
    return {
        "views": [asdict(view) for view in VIEWS],
        "budget": asdict(budget),
        "seed": SEED,
        "training": {name: getattr(training, name) for name in ("steps", "batch", "members")},
        "rows": rows,
        "chains": chains,
    }


def lognormal(training: Training) -> tuple[Darcy, GaussianField]:
    """The equation and the prior of a study's plates."""
    equation, prior = training.simulation.equation, training.simulation.initial
    if (
        isinstance(equation, Darcy)
        and isinstance(prior, GaussianField)
        and equation.coefficient == "lognormal"
    ):
        return equation, prior
    raise ValueError(
        f"expected a lognormal Darcy plate of a Gaussian field, got {equation.kind}; choose "
        "catalogs/seeds/darcy_inverse.yaml"
    )


def seen(training: Training, view: View, count: int) -> list[Case]:
    """Plates with another seed than the simulation's, solved, and what a view tells of them."""
    plate, prior = lognormal(training)
    grid = training.simulation.grid
    z = prior.sample(range(max(count, 64)), grid, SEED)
    p = pressures(plate, z, grid).flatten(1)
    deviation = view.noise * float(p.std())
    (ny, nx), first = grid.shape, view.stride // 2
    cells = torch.arange(grid.size).view(ny, nx)[first :: view.stride, first :: view.stride]
    cells = cells.flatten()
    noise = deviation * normals(SEED, Use.OBSERVATION, range(count), [cells]).real
    return [
        Case(plate.scale * z[i], cells, p[i, cells] + noise[i], deviation) for i in range(count)
    ]


def posterior(
    plate: Darcy, prior: GaussianField, grid: Grid, case: Case, length: pcn.Length
) -> Posterior:
    """The drawn field z given what is told, by chains with the solver."""

    def told(w: Tensor) -> Tensor:
        z = prior.color(w.view(-1, *grid.shape), grid)
        return pressures(plate, z, grid).flatten(1)[:, case.cells]

    def misfit(w: Tensor) -> Tensor:
        return (told(w) - case.values).square().sum(1) / (2 * case.deviation**2)

    near = laplace.reference(told, grid.size, case.values, case.deviation)
    found = pcn.run(near.misfit(misfit), grid, length)
    w = near.place(found.draws.flatten(0, 1)).view_as(found.draws)
    return Posterior(prior.color(w, grid), found, near)


def diagnostics(found: Posterior, prior: GaussianField, grid: Grid) -> dict[str, float]:
    """Of the leading waves, the worst of them: split R-hat and effective sample size."""
    x = leading(found.draws, prior, grid)
    size = pcn.effective_size(x)
    return {
        "r_hat": float(pcn.r_hat(x).max()),
        "least_size": float(size.min()),
        "median_size": float(size.median()),
        "accepted": found.chains.accepted,
        "step": found.chains.step,
    }


def against(
    found: Posterior,
    case: Case,
    surrogate: Surrogate,
    training: Training,
    budget: Budget,
    number: int,
) -> dict[str, dict[str, float]]:
    """The figures of a case's ensembles by their names; the first half of the chains judges."""
    plate, prior = lognormal(training)
    grid, chains = training.simulation.grid, plate.scale * found.draws
    half = chains.shape[1] // 2
    theirs, others = chains[:, :half].flatten(0, 1), chains[:, half:].flatten(0, 1)
    some = torch.linspace(0, len(others) - 1, budget.members).long()
    w = white(range(budget.members), grid, SEED, Use.PRIOR)
    free, gaussian = (plate.scale * prior.color(one, grid) for one in (w, found.near.place(w)))
    out = {}
    for who, u in (("other chains", others[some]), ("mode", gaussian), ("prior", free)):
        out[who] = figures(u, theirs, case.truth, prior, grid) | {"below": 0.0, "evaluations": 0}
    for kind, one in (("trained", surrogate), ("Gaussian", surrogate.gaussian())):
        for words, sampler in samplers(case, grid, budget.steps).items():
            began = time.perf_counter()
            u, below = drawn(one, training, case, sampler, budget.members, number)
            took = {"seconds": time.perf_counter() - began, "below": below}
            took["evaluations"] = sampler.evaluations
            out[f"{kind}, {words}"] = figures(u, theirs, case.truth, prior, grid) | took
    return out


def samplers(case: Case, grid: Grid, steps: int) -> dict[str, Sampler]:
    """The reverse diffusion, which alone is right for a noisy state, and for points the flow."""
    out = {"reverse diffusion": Sampler(steps=steps, churn=1.0)}
    if len(case.cells) < grid.size:
        out["flow"] = Sampler(steps=max(steps // 2, 1), churn=0.0)
    return out


def drawn(
    surrogate: Surrogate,
    training: Training,
    case: Case,
    sampler: Sampler,
    members: int,
    number: int,
) -> tuple[Tensor, float]:
    """log a of members given what is told, and the share of values that are not believed."""
    observed, guided = given(training, case).on(training, surrogate.basis)
    u = surrogate.sample(
        range(number * members, (number + 1) * members),
        seed=SEED,
        sampler=sampler,
        observed=observed,
        guided=guided,
    )
    a = u[:, [name for _, name in training.stack].index("permeability")].double()
    plate, prior = lognormal(training)
    least = -LEAST * plate.scale * prior.trace(training.simulation.grid) ** 0.5
    low = a <= torch.exp(torch.tensor(least))
    return torch.where(low, least, a.log()), float(low.double().mean())


def given(training: Training, case: Case) -> Given:
    """What is told of a case's pressure as labelled values."""
    grid = training.simulation.grid
    y, x = (points.numpy() for points in grid.coordinates())
    if len(case.cells) == grid.size:
        picture = case.values.view(grid.shape).numpy()
        values = xr.DataArray(picture, {"y": y, "x": x}, ("y", "x"), name="pressure")
        values.attrs["boundary"] = grid.boundary
    else:
        row, column = case.cells // grid.shape[1], case.cells % grid.shape[1]
        places = {"y": ("point", y[row]), "x": ("point", x[column])}
        values = xr.DataArray(case.values.numpy(), places, ("point",), name="pressure")
    return Given.of(values.assign_coords(time=training.simulation.times[0]), case.deviation)
