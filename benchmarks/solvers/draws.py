"""Gaussian fields a second: pushforward's, and the formula that FNO's scripts draw theirs by.

The latter takes n^2 complex normals, scales them by the root of the eigenvalues and keeps the real
part of a full complex transform: half of what was drawn and transformed is thrown away. Its draws
hang on the order in which they are asked for; pushforward's are addressed by (seed, member), and
are the same functions on every grid.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from pushforward.solvers import GaussianField, Grid

POINTS, BATCH, ROUNDS = 256, 20, 7
ALPHA, TAU = 2.5, 7.0


@dataclass
class Draws:
    """Fields a second on one core, and how far pushforward's variance is from the law's.

    That is the mean over all waves and fields of |u_k|^2 / E|u_k|^2, less 1.
    """

    ours: float
    fno: float
    variance: float


def draws(points: int = POINTS, rounds: int = ROUNDS) -> Draws:
    """FNO's law, float32 there and float64 here (as `GaussianField` always draws)."""
    torch.set_num_threads(1)
    grid = Grid((points, points), (1.0, 1.0))
    field = GaussianField.matern(ALPHA, 1 / TAU, amplitude=TAU ** (ALPHA - 1), mean=False)
    formula, law = _formula(points), field.symbol(grid)
    drawn = law > 0
    ours, fno = [], []
    variance = 0.0
    for i in range(rounds):
        members = range(i * BATCH, (i + 1) * BATCH)
        found, seconds = _timed(lambda members=members: field.sample(members, grid))
        ours.append(seconds)
        variance += float((grid.fft(found)[:, drawn].abs().square() / law[drawn]).mean()) / rounds
        fno.append(_timed(formula)[1])
    return Draws(BATCH / min(ours), BATCH / min(fno), variance - 1)


def _formula(n: int) -> Callable[[], torch.Tensor]:
    k = torch.fft.fftfreq(n, 1 / n)
    square = 4 * math.pi**2 * (k[:, None] ** 2 + k**2)
    deviation = n**2 * math.sqrt(2) * TAU ** (ALPHA - 1) * (square + TAU**2) ** (-ALPHA / 2)
    deviation[0, 0] = 0

    def draw() -> torch.Tensor:
        normals = torch.randn(BATCH, n, n, 2)
        return torch.fft.ifft2(torch.view_as_complex(normals * deviation[..., None])).real

    return draw


def _timed(draw: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, float]:
    began = time.perf_counter()
    found = draw()
    return found, time.perf_counter() - began
