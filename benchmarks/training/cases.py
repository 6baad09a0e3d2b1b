"""What is trained: sizes of grids and networks, the fields, and what is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pushforward.batches import Batches
from pushforward.generative import Backbone, Surrogate, preset
from pushforward.solvers import GaussianField, Grid
from pushforward.spec import Training
from pushforward.study import Study

MEMBERS = 64  # fields that batches are taken from
SEED = 0
OPTIMISER, WAITING = 0.10, 0.02  # largest shares of a step


@dataclass(frozen=True)
class Case:
    """An FNO of `width` channels and four layers on `points`^2, convolving |k_i| <= `modes`.

    `goal` is the largest ratio wanted, pushforward's time to the peer's; `convolutional` whether
    a U-Net of as many parameters is timed, too.
    """

    name: str
    points: int
    width: int
    modes: int
    goal: float
    batch: int = 8
    convolutional: bool = True

    @property
    def title(self) -> str:
        """What a table calls it."""
        return f"{self.points}², width {self.width}, modes {self.modes}"

    @property
    def backbone(self) -> Backbone:
        """The network's numbers."""
        return Backbone("fno", width=self.width, modes=self.modes, layers=4)

    @property
    def grid(self) -> Grid:
        """The points."""
        return Grid((self.points, self.points))

    def quick(self) -> Case:
        """The same, small."""
        return replace(self, points=self.points // 4, width=8, modes=self.modes // 4, batch=4)

    def fields(self) -> Tensor:
        """What is learnt from: (member, channel, y, x), float32, every wave of the grid alive, so
        that networks work at the grid's full size."""
        smooth = GaussianField.matern(2.0, 0.3).sample(range(MEMBERS), self.grid)
        noise = torch.randn(smooth.shape, generator=torch.Generator().manual_seed(SEED))
        return (smooth + 0.1 * noise).float()[:, None]

    def training(self) -> Training:
        """Its numbers."""
        study = Study.load("smoke")
        return study.training.model_copy(
            update={"batch": self.batch, "surrogate": preset("gud", backbone=self.backbone)}
        )

    def untrained(self) -> tuple[Surrogate, Batches, Training]:
        """A surrogate of the fields, its batches and its training."""
        training, fields = self.training(), self.fields()
        surrogate = Surrogate.fit(training.surrogate, fields, self.grid, seed=SEED)
        x = surrogate.basis.analyse(fields, self.grid)
        return surrogate, Batches(x, surrogate, training), training


CASES = {
    case.name: case
    for case in (
        Case("64", 64, 32, 12, 0.6),
        Case("64w", 64, 64, 16, 0.6, convolutional=False),
        Case("128", 128, 32, 12, 0.4),
        Case("128w", 128, 64, 16, 0.4, convolutional=False),
    )
}
