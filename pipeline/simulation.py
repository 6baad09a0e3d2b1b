"""The first verb: solve the equation for every member and store the trajectories, or store data.

Each member draws its initial state and its forcing from its own address (seed, member), so a block
is computed without knowledge of the others. What is stored: one variable per channel of the
equation, (member, time, *space), and the drawn forcing, (member, *space), where there is one, on
the grid or on the critical one (see `critical`). What the solver did goes to the blocks' markers
(see `effort`); it is told once, at the end. Members of data are drawn or read in place of being
solved for, and stored alike.
"""

from __future__ import annotations

import warnings
from typing import Any

import xarray as xr

from pushforward import certificate, critical, layout
from pushforward.archive import Archive
from pushforward.blocks import Map, compute, done, fill
from pushforward.dataset import STATIC
from pushforward.discovery import physics
from pushforward.effort import Effort
from pushforward.places import Place
from pushforward.progress import say
from pushforward.solvers.tail import ResolutionWarning
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
    fill(simulation, archive, template(simulation), simulate_block, map, workers)
    _tell(simulation, archive)
    return simulation.name


def template(simulation: Simulation, members: range | None = None) -> xr.Dataset:
    """What a simulation stores, or some members of it: coordinates, attributes, and shapes."""
    grid, stored_on = simulation.grid, simulation.stored_on
    subject, count = simulation.subject, simulation.members
    attributes: dict[str, Any] = {
        "title": f"{'Solutions' if simulation.solved else 'Members'} of {subject.kind}",
        "summary": f"{count} members of a spectral solver, random initial state or forcing"
        if simulation.solved
        else f"{count} members that are drawn or read, not solved for",
        **physics(subject, "spectral solver" if simulation.solved else "data"),
        "id": simulation.name,
        "source": f"pushforward, {', '.join(_method(simulation))}",
    }
    if stored_on != grid:
        attributes |= critical.attributes(grid, stored_on)
    return layout.template(
        stored_on,
        range(simulation.members) if members is None else members,
        simulation.times,
        dict(subject.channels),
        simulation.dtype,
        STATIC if simulation.forcing is not None else {},
        attributes,
    )


def simulate_block(simulation: Simulation, root: Place, block: int) -> int:
    """Solves and stores one block; returns its number."""
    return compute(simulation, root, block, _solve)


def _solve(
    simulation: Simulation, members: range, archive: Archive
) -> tuple[xr.Dataset, Effort | None]:
    if not simulation.solved:
        return _draw(simulation, members), None
    problem, seed = simulation.problem(), simulation.seed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResolutionWarning)  # told once, of all members
        solution = problem.run(members, seed=seed)
    fields = {
        name: solution.fields[:, :, place].numpy()
        for place, name in enumerate(simulation.channels)
    }
    forcing = problem.force(members, seed, on=simulation.grid)
    if forcing is not None:
        fields["forcing"] = forcing.numpy()
    dataset = template(simulation, members)
    for name, values in fields.items():
        stored = critical.move(values, simulation.grid, simulation.stored_on)
        dataset[name] = dataset[name].copy(data=stored)
    return dataset, Effort.of(solution, members, simulation.times)


def _draw(simulation: Simulation, members: range) -> xr.Dataset:
    """Members of data."""
    fields = simulation.source().draw(members, simulation.grid, simulation.seed)
    dataset = template(simulation, members)
    for place, name in enumerate(simulation.channels):
        values = fields[:, None, place].numpy().astype(simulation.dtype)
        dataset[name] = dataset[name].copy(data=values)
    return dataset


def _method(simulation: Simulation) -> list[str]:
    """How the solver steps, in words."""
    if not simulation.solved:
        return [simulation.subject.kind]
    named = {"tolerance": simulation.tolerance, "step": simulation.step}
    scheme = simulation.scheme or getattr(simulation.equation, "scheme", "finite volumes")
    given = [f"{name} {value:g}" for name, value in named.items() if value is not None]
    fine = simulation.solver_grid
    grid = [] if fine is None else [f"solved on {'x'.join(map(str, fine.shape))} points"]
    return [scheme, *given, *grid]


def _tell(simulation: Simulation, archive: Archive) -> None:
    """What the solver did, whether its grid was fine enough, and whether anybody checked."""
    if not simulation.solved:
        return
    name, effort = simulation.name, Effort.read(archive.manifest(simulation)["blocks"])
    if effort is not None:
        say(f"{name}: {effort}")
        if effort.warning:
            say(f"{name}: {effort.warning}")
    found = certificate.read(archive.folder(simulation))
    say(f"{name}: certificate: {found.verdict if found else certificate.NONE}")
