"""What is compared: the quickstart's training, and others that differ from it in one thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from pushforward.generative import Surrogate
from pushforward.generative.ordering import Hierarchy, Prior
from pushforward.generative.path import Path
from pushforward.levels import Level
from pushforward.spec import Training

from .preconditioning import Kind, install


@dataclass(frozen=True)
class Arm:
    """One way to train: changes of the study's architecture, a denoiser, coarse levels.

    `preconditioning` of None is the library's. `levels` have shares of the budget, not of steps.
    """

    title: str
    path: Callable[[Path], Path] | None = None
    preconditioning: Kind | None = None
    levels: tuple[tuple[int, float], ...] = ()

    def training(self, training: Training, seed: int, batch: int) -> Training:
        """The numbers of the study's training, changed."""
        architecture = training.surrogate
        if self.path is not None:
            architecture = replace(architecture, path=self.path(architecture.path))
        if self.preconditioning is not None:  # its levels are looked at evenly
            architecture = replace(architecture, loss=replace(architecture.loss, weight="flat"))
        ndim = training.simulation.grid.ndim
        levels = tuple(Level((points,) * ndim, share) for points, share in self.levels)
        changes = {"surrogate": architecture, "seed": seed, "batch": batch, "slices": 1}
        return training.model_copy(update={**changes, "levels": levels, "width": WIDTH})

    def install(self, surrogate: Surrogate, seed: int) -> None:
        """What the architecture cannot say."""
        if self.preconditioning is not None:
            install(surrogate, self.preconditioning, seed)


WIDTH = 0.1  # of the moving average: a tenth of the training, whenever it is looked at
OURS = "wiener"


def _coloured(path: Path, prior: Prior) -> Path:
    """A path of noise that is not white: all waves clear up at once, so it has longer ends.

    Of white noise the weakest wave has log snr -2 to 4 at the ends and nearly all others are far
    beyond; here they would all be that near, and starts and ends would be wrong by as much.
    """
    return replace(path, hierarchy=Hierarchy(), prior=prior, lowest=-7.0, highest=8.0)


ARMS = {
    OURS: Arm("per-mode Wiener, white noise, one level"),
    "scalar": Arm("scalar EDM", preconditioning="scalar"),
    "none": Arm("no preconditioning", preconditioning="none"),
    "data": Arm("noise with the data's spectrum", path=partial(_coloured, prior=Prior())),
    "matern": Arm(
        "Matérn noise, trace class (DDO's)",
        path=partial(_coloured, prior=Prior("matern", exponent=1.5, length=0.2)),
    ),
    "levels": Arm("16², 32², then the data's grid", levels=((16, 0.25), (32, 0.25))),
}
QUESTIONS = {
    "Preconditioning": (OURS, "scalar", "none"),
    "Colour of the noise": (OURS, "data", "matern"),
    "Levels": (OURS, "levels"),
}
