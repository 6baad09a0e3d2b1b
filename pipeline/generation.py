"""The third verb: draw an ensemble from a trained surrogate and store it as the solver's is.

Member m of a seed is the same function on every grid and whatever else is drawn with it. The
channels that the surrogate stacks, frame by frame, become one variable per channel of the equation
with the frames along `time`, so that a generated ensemble reads like a simulated one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import xarray as xr
from numpy.typing import NDArray

from pushforward import layout
from pushforward.archive import Archive
from pushforward.blocks import Map, compute, done, fill
from pushforward.device import chosen, exact
from pushforward.discovery import physics
from pushforward.given import FREE, Conditions
from pushforward.places import Place
from pushforward.spec import Generation

if TYPE_CHECKING:
    from pushforward.generative import Surrogate


def generate(
    generation: Generation,
    archive: Archive,
    *,
    map: Map = map,
    workers: int = 1,
    device: str | None = None,
) -> str:
    """Draws what is missing of an ensemble, and seals it; returns its name.

    `map` has the signature of the built-in; `workers` > 1 uses as many processes. Run again after
    any interruption: the result has the same bits. `device` is what computes: auto (None), cpu,
    cuda or cuda:N; blocks take the GPUs of a machine in turns, and are stored one by one.

    Raises LookupError, with what to run, when the training is not complete or no such device is
    there, ValueError for a name that is none, OSError when the disk
    refuses; blocks that are stored stay.

    >>> import tempfile
    >>> from pushforward.simulation import simulate
    >>> from pushforward.study import Study
    >>> from pushforward.training import train
    >>> study, archive = Study.load("smoke", ["training.steps=0"]), Archive(tempfile.mkdtemp())
    >>> study = study.smoke()
    >>> names = simulate(study.simulation, archive), train(study.training, archive)
    >>> name = generate(study.generation, archive)
    >>> archive.open(study.generation).sizes["member"] == study.generation.members
    True
    """
    if done(generation, archive):
        return generation.name
    archive.require(generation.training)
    chosen(device)  # is it there at all?
    block = partial(generate_block, device=device)
    return fill(generation, archive, template(generation), block, map, workers)


def template(generation: Generation, members: range | None = None) -> xr.Dataset:
    """What a generation stores, or some members of it: coordinates, attributes, and shapes."""
    training = generation.training
    equation, sampler = training.simulation.subject, generation.drawn_with
    attributes: dict[str, Any] = {
        "title": f"Surrogate ensemble of {equation.kind}",
        "summary": f"{generation.members} members drawn from {training.name} with "
        f"{sampler.steps} steps of {sampler.method}",
        "network_evaluations": sampler.evaluations,
        **physics(equation, "diffusion surrogate"),
        "id": generation.name,
        "source": f"pushforward, {training.surrogate.preset}",
    }
    return layout.template(
        generation.target,
        range(generation.members) if members is None else members,
        training.times,
        dict(equation.channels),
        training.simulation.dtype,
        {name: training.about[name] for name in training.static},
        attributes,
    )


def draw(
    generation: Generation,
    members: Sequence[int],
    surrogate: Surrogate,
    conditions: Conditions = FREE,
) -> dict[str, NDArray[Any]]:
    """Any members of an ensemble, each variable (member, time, *space) as it is stored.

    They need not be below `generation.members`, nor in order. Computed on the surrogate's device.
    `conditions` are what is known of all of them.
    """
    u = surrogate.sample(
        members,
        generation.target,
        seed=generation.seed,
        sampler=generation.sampler,
        observed=conditions.observed,
        guided=conditions.guided,
        extend=generation.extend,
        batch=generation.batch,
    ).cpu()
    training, out = generation.training, {}
    for name in generation.channels:
        own = [place for place, (_, channel) in enumerate(training.stack) if channel == name]
        fields = u[:, own[0]] if name in training.static else u[:, own]
        out[name] = fields.numpy().astype(training.simulation.dtype)
    return out


def labelled(generation: Generation, members: range, surrogate: Surrogate) -> xr.Dataset:
    """The same, of members in a row, with their coordinates: what `Archive.write` takes."""
    dataset = template(generation, members)
    for name, values in draw(generation, members, surrogate).items():
        dataset[name] = dataset[name].copy(data=values)
    return dataset


def generate_block(
    generation: Generation, root: Place, block: int, device: str | None = None
) -> int:
    """Draws and stores one block; returns its number."""
    own = chosen(device, block)
    with exact(own):
        return compute(generation, root, block, partial(_sample, device=own))


def _sample(
    generation: Generation, members: range, archive: Archive, device: torch.device
) -> tuple[xr.Dataset, None]:
    surrogate = archive.surrogate(generation.training).to(device)
    return labelled(generation, members, surrogate), None
