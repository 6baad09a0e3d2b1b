"""The first verb: solve the equation for every member and store the trajectories.

Each member draws its initial state and its forcing from its own address (seed, member), so a block
is computed without knowledge of the others. What is stored: one variable per channel of the
equation, (member, time, *space), and the drawn forcing, (member, *space), where there is one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr

from pushforward import layout
from pushforward.archive import Archive
from pushforward.blocks import Map, compute, done, fill
from pushforward.spec import Simulation


def simulate(simulation: Simulation, archive: Archive, *, map: Map = map, workers: int = 1) -> str:
    """Computes what is missing of a simulation, and seals it; returns its name.

    `map` has the signature of the built-in; `workers` > 1 uses as many processes. Run again after
    any interruption: the result has the same bits.

    Raises FloatingPointError naming a member that became non-finite and when, OSError when the
    disk refuses; blocks that are stored stay.

    >>> import tempfile
    >>> from pushforward.solvers import GaussianField, Grid, NavierStokes
    >>> simulation = Simulation(equation=NavierStokes(viscosity=1e-2), grid=Grid((8, 8)),
    ...     initial=GaussianField.matern(4.0, 0.3, deviation=1.0),
    ...     times=(0.1,), step=0.1, members=2)
    >>> archive = Archive(tempfile.mkdtemp())
    >>> name = simulate(simulation, archive)
    >>> archive.open(simulation).vorticity.shape
    (2, 1, 8, 8)
    """
    if done(simulation, archive):
        return simulation.name
    return fill(simulation, archive, template(simulation), simulate_block, map, workers)


def template(simulation: Simulation, members: range | None = None) -> xr.Dataset:
    """What a simulation stores, or some members of it: coordinates, attributes, and shapes."""
    attributes: dict[str, Any] = {
        "title": f"Solutions of {simulation.equation.kind}",
        "summary": f"{simulation.members} members of a spectral solver, random initial state "
        "or forcing",
        "id": simulation.name,
        "source": f"pushforward, {simulation.scheme}, step {simulation.step:g}",
    }
    return layout.template(
        simulation.grid,
        range(simulation.members) if members is None else members,
        simulation.times,
        dict(simulation.equation.channels),
        simulation.dtype,
        {"forcing": "drawn forcing"} if simulation.forcing is not None else {},
        attributes,
    )


def simulate_block(simulation: Simulation, root: Path, block: int) -> int:
    """Solves and stores one block; returns its number."""
    return compute(simulation, root, block, _solve)


def _solve(simulation: Simulation, members: range, archive: Archive) -> xr.Dataset:
    problem, seed = simulation.problem(), simulation.seed
    u = problem.solve(members, seed=seed)
    dataset = template(simulation, members)
    for place, name in enumerate(simulation.channels):
        dataset[name] = dataset[name].copy(data=u[:, :, place].numpy())
    forcing = problem.force(members, seed=seed)
    if forcing is not None:
        dataset["forcing"] = dataset["forcing"].copy(data=forcing.numpy())
    return dataset
