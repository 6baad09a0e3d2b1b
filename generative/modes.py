"""What a path needs to know of a basis's coefficients: their variance, scale and place."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Modes:
    """The coefficients (channel, mode) of a basis; None where a basis has no such notion.

    `log_variance` is log v_k with every channel's v summing to 1; `frequency` |k| in waves per
    longest side of the box; `level` a wavelet's scale, 0 the coarsest; `position` the middle of a
    localised coefficient, in fractions of the box; `points` the number of grid points fitted on;
    `extent` the box, `folds` how often the box is unfolded to become periodic (cosines: 2).

    >>> import torch
    >>> Modes(torch.zeros(1, 4)).points
    1
    """

    log_variance: Float[Tensor, "channel mode"]
    frequency: Float[Tensor, " mode"] | None = None
    level: Int[Tensor, " mode"] | None = None
    position: Float[Tensor, "mode axis"] | None = None
    points: int = 1
    extent: tuple[float, ...] = (1.0,)
    folds: int = 1
