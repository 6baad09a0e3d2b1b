r"""The fourth verb: score an ensemble against solver members that training never saw.

    trained    the first `members` of the generation
    gaussian   the same members of the same surrogate with its network left out: what training with
               no steps gives, so that the difference is what training brought
    reference  the last `members` of the simulation, which are the last of the pool
    pool       all simulated members that are neither learnt from nor held out for validation, or
               the last few of them; the floors are splits of it (`pushforward.floors`)

A generation on another grid is the same functions at other points: everything is restricted to
the coarser of the two grids, mode by mode, and compared there. Several channels and times are
several variables. Members are read from the archive a block at a time, and the Gaussian ones are
drawn when they are needed, so ensembles of any size fit. The result, one small Dataset of scores,
one of curves and one of controls (`pushforward.controls`), is stored as JSON beside the other
files of its name; a second run reads it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import xarray as xr
from torch import Tensor

from pushforward import controls
from pushforward.archive import Archive
from pushforward.blocks import Map
from pushforward.comparison import common
from pushforward.floors import Settings, examine
from pushforward.members import Members, tensor
from pushforward.places import for_workers
from pushforward.profiles import drawn
from pushforward.progress import say
from pushforward.residual import asked, followed, residual_scores
from pushforward.solvers import Grid
from pushforward.spec import Evaluation, Generation, Training
from pushforward.tables import plain, restore
from pushforward.verdicts import Judged

if TYPE_CHECKING:
    from pushforward.generative import Surrogate

ENSEMBLES = ("trained", "gaussian")
SCORES_FILE = "scores.json"
CURVES_FILE = "curves.json"


def evaluate(
    evaluation: Evaluation, archive: Archive, *, map: Map = map, workers: int = 1
) -> xr.Dataset:
    """Scores the generation: a Dataset (ensemble, variable, score) with errors and floors; stored.

    `map` has the signature of the built-in; `workers` > 1 uses as many processes. Neither changes
    a bit of the result.

    Raises LookupError, with what to run, when something upstream is missing.

    >>> from pushforward.study import Study
    >>> evaluate(Study.load("smoke").evaluation, Archive("nowhere"))
    Traceback (most recent call last):
    LookupError: simulation-... is not in nowhere; run simulate(study.simulation, archive) first
    """
    if archive.sealed(evaluation):
        say(f"{evaluation.name} is complete: nothing to do")
        return restore(archive.read_json(evaluation, SCORES_FILE))
    for_workers(archive.root, workers)
    generation, training = evaluation.generation, evaluation.generation.training
    began = time.monotonic()
    simulated = archive.open(training.simulation)
    generated = archive.open(generation)
    grid = common(generation.target, training.simulation.grid)
    size, unseen = evaluation.members, evaluation.unseen
    solver = members(simulated, training, training.simulation.grid, grid)
    pool = solver[unseen.start :]
    sets = {
        "trained": members(generated, training, generation.target, grid)[:size],
        "gaussian": Members(size, _Gaussian.of(generation, archive, grid)),
    }
    say(f"{evaluation.name}: scoring {size} members against {size} of {len(pool)} unseen ones")
    settings = _settings(evaluation, map, workers)
    variables, examples = labels(training), solver[: training.members]
    further: Iterable[Judged] = ()
    if followed(training):
        few = asked(sets, pool)
        draws = settings.draws(sets, few, 2 * few, few)
        further = residual_scores(sets, pool, training, grid, draws)
    found = examine(sets, None, pool, grid, variables, examples, settings, further)
    scores, sums = found.scores, {**found.ensembles, "solver": found.reference}
    chosen = {key: getattr(settings, key) for key in ("splits", "seed", "pairs", "translations")}
    known = controls.controls(pool, examples, grid, variables, **chosen, run=map, workers=workers)
    lines = drawn(sums, found.sticks, grid, variables)
    scores.attrs |= {"name": evaluation.name, "seconds": round(time.monotonic() - began, 2)}
    archive.create(evaluation)
    archive.write_json(evaluation, CURVES_FILE, plain(lines))
    archive.write_json(evaluation, SCORES_FILE, plain(scores))
    if known is not None:
        archive.write_json(evaluation, controls.FILE, plain(known))
    archive.seal(evaluation)
    took = scores.attrs["seconds"]
    said = f"{evaluation.name} is complete: {size} members scored"
    say(said, event="complete", name=evaluation.name, members=size, seconds=took)
    return scores


def _settings(evaluation: Evaluation, run: Map, workers: int) -> Settings:
    """How an evaluation draws, and where it is computed."""
    return Settings(
        splits=evaluation.splits,
        bootstrap=evaluation.bootstrap,
        seed=evaluation.seed,
        pairs=evaluation.pairs,
        translations=evaluation.generation.training.translations,
        run=run,
        workers=workers,
        told="evaluate",
    )


def gaussian(
    evaluation: Evaluation, archive: Archive, members: Iterable[int], grid: Grid
) -> Tensor:
    """Members (member, variable, *grid) of the surrogate without its network."""
    return _Gaussian.of(evaluation.generation, archive, grid).draw(list(members))


def members(dataset: xr.Dataset, training: Training, source: Grid, target: Grid) -> Members:
    """The channels that the surrogate sees, of either dataset, read when they are used."""
    return Members.labelled(_channels(dataset, training), source, target)


def labels(training: Training) -> list[str]:
    """What the variables are called: channels, with their times when there are several.

    The order is that of the surrogate's channels.
    """
    several, times = len(training.frames) > 1, training.simulation.times
    return [
        f"{channel} at t={times[frame]:g}" if several and frame is not None else channel
        for frame, channel in training.stack
    ]


def stacked(dataset: xr.Dataset, training: Training, members: Iterable[int]) -> Tensor:
    """The channels that the surrogate sees, (member, variable, *grid), of either dataset.

    A generation holds the training's times in their order, a simulation all of its own.
    """
    chosen = _channels(dataset.isel(member=list(members)), training)
    return torch.stack([tensor(array) for array in chosen], dim=1)


def _channels(dataset: xr.Dataset, training: Training) -> list[xr.DataArray]:
    times, moments = training.simulation.times, dataset["time"].values.tolist()
    return [
        dataset[channel].drop_vars("time", errors="ignore")
        if frame is None
        else dataset[channel].isel(time=moments.index(times[frame]), drop=True)
        for frame, channel in training.stack
    ]


@dataclass(frozen=True, eq=False)
class _Gaussian:
    """A reader that draws members of a surrogate without its network, on the common grid."""

    surrogate: Surrogate
    generation: Generation
    grid: Grid

    @classmethod
    def of(cls, generation: Generation, archive: Archive, grid: Grid) -> _Gaussian:
        return cls(archive.surrogate(generation.training).gaussian(), generation, grid)

    def __call__(self, start: int, stop: int) -> Tensor:
        return self.draw(list(range(start, stop)))

    def draw(self, numbers: list[int]) -> Tensor:
        generation = self.generation
        parts = [
            self.surrogate.sample(
                numbers[i : i + generation.batch],
                generation.target,
                seed=generation.seed,
                sampler=generation.sampler,
                extend=generation.extend,
            )
            for i in range(0, len(numbers), generation.batch)
        ]
        return generation.target.resample(torch.cat(parts), self.grid)
