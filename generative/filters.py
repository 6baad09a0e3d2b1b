r"""The filters that Multilevel diffusion colours its noise with, so that every wave gets some.

Each is a spectrum c(f) of f = |k| in waves per longest side of the box, up to a factor:

    laplacian   f^(-2 alpha)
    band        E|R|^2 for f < m;  beyond, `BEYOND` of it times (f / m)^(-2 alpha)
    combined    E|R / 2 + l|^2 for f < m, l^2 beyond;  l = 10 (2 pi f)^-alpha

with R the random weights of a Fourier layer, 0.2 + 0.8 U + 0.8 i U', m the whole number nearest to
1 / length, alpha the exponent. The published filters leave out the mean (the Laplacian's) or all
beyond the band (R's). A coefficient that the noise does not reach stays as clear as it was on the
whole path, and so is never drawn. Here the mean has what the longest wave has, and the band a tail
that falls by `BEYOND` at its edge: a constant one would not be of trace class, and its share of
the noise would grow with the grid. In place of one draw of R on |k_i| < m_i stands its mean square
on a disc: E|R|^2 = 0.6267, E Re R = 0.6. Both filters of `combined` act on one noise, so their
cross term counts, and their ratio, 1 to 20, needs no convention for the noise's size at a point;
the published noise shrinks like N^{-1/2} with the number of points, this does not.

A spectrum is divided by its sum over the waves of the box (up to 512 an axis, 4096 on a line, 64
in a volume): a wave's share is the same on every grid.

    Hagemann et al., Multilevel diffusion (2023), arXiv:2303.04772, and its code
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers import Grid

Filter = Literal["laplacian", "band", "combined"]

BEYOND = 1e-3  # of the band's spectrum: what the noise has just outside it
POWER, MEAN = 0.04 + 0.16 + 2 * 0.64 / 3, 0.6  # E|R|^2 and E Re R, U and U' uniform in [0, 1)
SHARE, AMPLITUDE = 0.5, 10.0  # of R and of the Laplacian's filter in `combined`
REFERENCE = {1: 8192, 2: 1024, 3: 128}  # points an axis of the grid that shares are taken on


def log_share(
    kind: Filter,
    frequency: Float[Tensor, " mode"],
    extent: Sequence[float],
    boundary: Literal["periodic", "neumann"],
    *,
    exponent: float,
    length: float,
) -> Float[Tensor, " mode"]:
    """log of what a real coefficient of so many waves per longest side adds to the variance.

    Raises ValueError for 2 exponent that is not above the number of axes.

    >>> f = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    >>> log_share("laplacian", f, (1.0, 1.0), "periodic", exponent=1.1, length=1.0).diff()
    tensor([ 0.0000, -1.5249], dtype=torch.float64)
    """
    if 2 * exponent <= len(extent):
        raise ValueError(
            f"expected 2 exponent > {len(extent)} for a {kind} prior on {len(extent)} axes (trace "
            f"class), got exponent {exponent}; raise it"
        )
    lowest = 1.0 if boundary == "periodic" else 0.5
    total = _total(kind, tuple(extent), boundary, exponent, length)
    return _spectrum(kind, frequency.double(), lowest, exponent, length).log() - math.log(total)


def _spectrum(kind: Filter, f: Tensor, lowest: float, exponent: float, length: float) -> Tensor:
    modes = max(round(1 / length), 1)
    if kind == "band":
        tail = BEYOND * (f / modes).clamp_min(1.0) ** (-2 * exponent)
        return POWER * torch.where(f < modes, 1.0, tail)
    f = f.clamp_min(lowest)
    if kind == "laplacian":
        return f ** (-2 * exponent)
    laplacian = AMPLITUDE * (2 * math.pi * f) ** -exponent
    layer = SHARE**2 * POWER + 2 * SHARE * MEAN * laplacian
    return laplacian**2 + torch.where(f < modes, layer, 0.0)


@lru_cache(maxsize=64)
def _total(
    kind: Filter,
    extent: tuple[float, ...],
    boundary: Literal["periodic", "neumann"],
    exponent: float,
    length: float,
) -> float:
    """The sum of a spectrum over the box's waves, on one grid whatever is asked about."""
    grid = Grid((REFERENCE[len(extent)],) * len(extent), extent, boundary)
    f = grid.laplacian().neg().sqrt() * max(extent) / (2 * math.pi)
    lowest = 1.0 if boundary == "periodic" else 0.5
    waves = _spectrum(kind, f.double(), lowest, exponent, length) * grid.resolved()
    return float((waves * grid.multiplicity()).sum())
