r"""Averages of weights along a training, and any other average made from them afterwards.

Two rules say how much of the newest weights an average takes at step t = 1, 2, ...:

    decay   1 - min(ema, t / (t + 9))                 an exponential window of fixed length
    power   1 - (1 - 1 / t)^(gamma + 1)               weights ~ s^gamma of all steps s <= t

The second has no length of its own: its window grows with the training, and its *width*, the
standard deviation of its profile p(s) = (gamma + 1) s^gamma / t^(gamma + 1) relative to t, is

    width = sqrt(gamma + 1) / ((gamma + 2) sqrt(gamma + 3)).

Averages of two widths, stored now and then, span nearly all profiles between: the profile of any
width and step is nearly a sum of stored ones, and the same sum of stored weights is nearly the
average that one would have kept. The sum is the one of least squares in L^2(ds), whose inner
products are known,

    <p_a, p_b> = (a + 1) (b + 1) / (a + b + 1) * min(t_a, t_b)^c / max(t_a, t_b)^(c + 1),

c being the exponent of the profile that ends last.

    Karras et al., EDM2 (2024), arXiv:2312.02696, section 3 and appendix C
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

WIDTHS = (0.05, 0.10)  # of the averages that are stored (EDM2's)
WIDEST = 0.28  # a flat average has 1 / sqrt(12) = 0.289
LEAST = 1e-10  # of the largest eigenvalue: profiles closer than that are taken for the same


class Rule(Protocol):
    """How much of the newest weights an average takes."""

    def weight(self, step: int) -> float:
        """The share of step `step`, counted from 0."""
        ...


@dataclass(frozen=True)
class Decay:
    """An exponential average, shorter at the start so as to forget it.

    >>> [round(Decay(0.999).weight(step), 3) for step in (0, 90, 10**6)]
    [0.9, 0.09, 0.001]
    """

    ema: float

    def weight(self, step: int) -> float:
        return 1 - min(self.ema, (step + 1) / (step + 10))


@dataclass(frozen=True)
class Power:
    """An average over all steps with weights that grow as a power of the step.

    >>> [round(Power(0.1).weight(step), 4) for step in (0, 99, 9999)]
    [1.0, 0.0767, 0.0008]
    """

    width: float

    def weight(self, step: int) -> float:
        return 1 - (1 - 1 / (step + 1)) ** (exponent(self.width) + 1)


def exponent(width: float) -> float:
    """The power gamma of a profile of relative width `width`.

    Raises ValueError for a width that none of them has.

    >>> gamma = exponent(0.1)
    >>> round(gamma, 2), round((gamma + 1) ** 0.5 / (gamma + 2) / (gamma + 3) ** 0.5, 12)
    (6.94, 0.1)
    """
    if not 0 < width <= WIDEST:
        raise ValueError(
            f"expected a relative width above 0 and at most {WIDEST}, got {width}; choose one "
            "such as 0.1"
        )
    least = width**-2
    return float(np.roots([1, 7, 16 - least, 12 - least]).real.max())


def follow(average: Sequence[Tensor], parameters: Sequence[Tensor], weight: float) -> None:
    """Moves an average towards the parameters by a share of the way, in place."""
    with torch.no_grad():
        torch._foreach_lerp_([*average], [*parameters], weight)  # pyright: ignore


@dataclass(frozen=True)
class Snapshot:
    """An average of some width as it was after `step` steps."""

    width: float
    step: int
    tensors: Sequence[Tensor]


def coefficients(
    stored: Sequence[tuple[float, int]], width: float, step: int
) -> NDArray[np.float64]:
    """By what to multiply stored averages (width, step), for that of `width` at `step`.

    They add up to 1. Of a stored one itself they are that one alone.

    Raises ValueError where nothing is stored up to that step.

    >>> coefficients([(0.05, 100), (0.1, 100)], 0.1, 100).round(6).tolist()
    [0.0, 1.0]
    """
    if not stored or min(at for _, at in stored) > step or step < 1:
        raise ValueError(
            f"expected an average stored at step {step} or before, got those of steps "
            f"{sorted({at for _, at in stored})}; choose a later step"
        )
    exact = [place for place, one in enumerate(stored) if one == (width, step)]
    if exact:
        return np.eye(len(stored))[exact[0]]
    gamma = np.array([exponent(one) for one, _ in stored])
    t = np.array([at for _, at in stored], float)
    gram = _products(gamma[:, None], t[:, None], gamma, t)
    right = _products(gamma, t, np.array(exponent(width)), np.array(float(step)))
    size = np.sqrt(gram.diagonal())  # profiles of unit length: late ones are longer and flatter
    answer = np.linalg.lstsq(gram / np.outer(size, size), right / size, rcond=LEAST)[0] / size
    return answer / answer.sum()


def reconstruct(
    snapshots: Sequence[Snapshot], width: float, step: int | None = None
) -> list[Tensor]:
    """The average of any width, at a step (None: the last one stored), from those that are stored.

    Raises ValueError for no snapshots, none up to that step, and a width that no profile has.

    >>> two = [Snapshot(width, 8, [torch.full((1,), 10 * width)]) for width in (0.05, 0.1)]
    >>> reconstruct(two, 0.1)
    [tensor([1.])]
    """
    last = max((one.step for one in snapshots), default=0)
    shares = coefficients([(one.width, one.step) for one in snapshots], width, step or last)
    return [
        sum(
            (share * tensor.double() for share, tensor in zip(shares, tensors, strict=True)),
            start=torch.zeros(()),
        ).to(tensors[0])
        for tensors in zip(*(one.tensors for one in snapshots), strict=True)
    ]


def _products(
    a: NDArray[np.float64], at_a: NDArray[np.float64], b: NDArray[np.float64], at_b: NDArray
) -> NDArray[np.float64]:
    """The inner products of two profiles, by their exponents and steps."""
    later = np.where(at_a < at_b, b, a)
    short, long = np.minimum(at_a, at_b), np.maximum(at_a, at_b)
    return (a + 1) * (b + 1) / (a + b + 1) * (short / long) ** later / long
