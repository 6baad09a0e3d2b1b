r"""Pushforward: the preset `gud`, drawn by the multistep sampler of order two in 10 evaluations.

A law that is the same everywhere is whitened in waves. The forced flows of the benchmark are not:
their forcing stands still, so the mean varies in space and a wave's phase is not free. A network
of convolutions alone turns noise without a place into fields without one, so these are whitened
in their principal components, whose network knows where it is. It sees them on the smallest grid
that holds all but `FLOOR` of the power, as it does in waves. What lies below the floor, far below
what the solver is certain of, is the Gaussian field of its own spectrum.

The order of scales is a = 0.7 of GUD's: with 1 a step of ten passes a scale too fast, with less
the few components that hold all the power are lost in a loss that counts all of them alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pushforward.generative import Backbone, Hierarchy, Path, Sampler, Surrogate, preset
from pushforward.generative.bases import BASES
from pushforward.generative.pca import PCABasis
from pushforward.generative.waves import smooth_size
from pushforward.solvers import Grid

from .rival import BATCH, Spent, Watch, count, draw, train

FLOOR, RANK, SOME, SEVERAL = 1e-9, 1024, 256, 2048
STEPS, MEMBERS = 10, 256
PATH = Path(Hierarchy(variance=0.7), schedule="linear", lowest=-4.0, highest=4.0)


@dataclass
class Ours:
    """A surrogate, and the Gaussian one of what it leaves out."""

    surrogate: Surrogate
    grid: Grid
    spent: Spent
    rest: Surrogate | None = None

    def sample(
        self, count: int, seed: int = 0, *, evaluations: int, grid: Grid | None = None
    ) -> Tensor:
        """Members (count, channel, *grid) in as many steps as evaluations."""
        sampler, target = Sampler(steps=evaluations), grid or self.grid
        fields = self.surrogate.sample(range(count), target, seed=seed, sampler=sampler)
        if self.rest is None:
            return fields
        return fields + self.rest.sample(range(count), target, seed=seed, sampler=Sampler(steps=1))

    def state(self) -> dict[str, Tensor]:
        """What training has changed."""
        return self.surrogate.state_dict()

    def load(self, state: dict[str, Tensor]) -> None:
        """Takes over what another's training has changed."""
        self.surrogate.log_gain = torch.zeros_like(state["log_gain"])
        self.surrogate.load_state_dict(state)


def untrained(fields: Tensor, grid: Grid, network: Backbone, seed: int) -> Ours:
    """The Gaussian surrogate with a network that is still zero."""
    waves = preset("gud", backbone=network, path=PATH, floor=FLOOR)
    if grid.periodic and BASES["fourier"].fit(fields, grid).homogeneous:
        return Ours(Surrogate.fit(waves, fields, grid, seed=seed), grid, Spent())
    coarse = working_grid(fields[:SOME], grid)
    pca = replace(waves, basis="pca")
    basis = components(grid.resample(fields, coarse), coarse)
    rest = components(beyond(fields[:SEVERAL], grid, basis), grid)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        surrogate, below = Surrogate(pca, coarse, basis), Surrogate(pca, grid, rest).gaussian()
    return Ours(surrogate, grid, Spent(), below)


def components(fields: Tensor, grid: Grid) -> PCABasis:
    """As many principal components as the fields have, up to `RANK`."""
    return PCABasis.fit(fields, grid, floor=FLOOR, rank=min(RANK, grid.size, len(fields)) - 1)


def beyond(fields: Tensor, grid: Grid, basis: PCABasis) -> Tensor:
    """What fields are without the kept components; in float64, or it is all round-off."""
    fields = fields.double()
    return (fields - basis.synthesise(basis.analyse(fields, grid), grid)).float()


def working_grid(fields: Tensor, grid: Grid) -> Grid:
    """The smallest grid without which at most `FLOOR` of the fields' power is lost."""
    fields = fields.double()
    power = (fields - fields.mean(0)).square().sum()
    for half in range(2, min(grid.shape) // 2):
        coarse = replace(grid, shape=(smooth_size(2 * half + 1),) * grid.ndim)
        if min(coarse.shape) >= min(grid.shape):
            break
        lost = fields - coarse.resample(grid.resample(fields, coarse), grid)
        if lost.square().sum() <= FLOOR * power:
            return coarse
    return grid


def fit(fields: Tensor, grid: Grid, network: Backbone, watch: Watch, seed: int) -> Ours:
    """Trains and calibrates."""
    ours = untrained(fields, grid, network, seed)
    surrogate = ours.surrogate
    x = torch.cat([surrogate.basis.analyse(part, grid).float() for part in fields.split(1024)])
    generator = torch.Generator().manual_seed(seed)

    def loss(step: int) -> Tensor:
        places = (torch.arange(BATCH) + torch.rand(BATCH, generator=generator)) / BATCH
        batch = draw(x, generator)
        eps = torch.randn(batch.shape, generator=generator)
        return surrogate.loss(batch, places, eps).mean()

    ours.spent = train([surrogate.denoiser], loss, watch)
    ours.spent.weights = count(surrogate.denoiser)
    surrogate.calibrate(MEMBERS, seed=seed, steps=STEPS)
    watch(ours.spent)
    return ours
