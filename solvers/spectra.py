r"""Spectra of Gaussian fields: the eigenvalues c(k) of a covariance, for waves normalised in L^2.

The isotropic ones are functions of |k|^2, k the angular wave number, and Fourier transforms of
kernels over all of space (d axes, length l, up to the square of the amplitude):

    matern               (|k|^2 + l^-2)^-alpha
    exponential          of exp(-r / l), with a = (d + 1) / 2:
                         (2 l)^d pi^(a-1) Gamma(a) (1 + l^2 |k|^2)^-a
    squared exponential  of exp(-r^2 / (2 l^2)): (2 pi l^2)^(d/2) exp(-l^2 |k|^2 / 2)
    power law            |k|^(-2 beta), none at k = 0
    tabulated            log c linear in log |k| between given points

The exponential kernel is Matern's of smoothness 1/2, alpha = a: its paths are continuous
and nowhere smooth. A *random filter* is none of these: its weights are drawn, once for the law,

    R_k = 0.2 + 0.8 U_k + 0.8 i U'_k    for |k_i| < m_i,

U, U' uniform in [0, 1): a Fourier layer's random kernel, which colours noise to c(k) = |R_k|^2.

    Rasmussen, Williams, Gaussian Processes for Machine Learning (2006), section 4.2
    Hagemann et al., Multilevel diffusion (2023), arXiv:2303.04772
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from pushforward.solvers.grid import Grid
from pushforward.solvers.normals import Use, uniforms

LEAST, REST = 0.2, 0.8  # the random filter's weights: a sure part and what chance adds


def matern(k2: Tensor, exponent: float, length: float) -> Tensor:
    """(|k|^2 + length^-2)^-exponent.

    >>> matern(torch.tensor([0.0, 3.0]), 2.0, 1.0).tolist()
    [1.0, 0.0625]
    """
    return (k2 + length**-2) ** -exponent


def exponential(k2: Tensor, length: float, ndim: int) -> Tensor:
    """The spectrum of the kernel exp(-r / length).

    >>> exponential(torch.tensor([0.0, 1.0]), 1.0, ndim=1).tolist()
    [2.0, 1.0]
    """
    alpha = (ndim + 1) / 2
    volume = (2 * length) ** ndim * math.pi ** ((ndim - 1) / 2) * math.gamma(alpha)
    return volume * (1 + length**2 * k2) ** -alpha


def squared_exponential(k2: Tensor, length: float, ndim: int) -> Tensor:
    """The spectrum of the kernel exp(-r^2 / (2 length^2)).

    >>> squared_exponential(torch.zeros(1), 1.0, ndim=2)     # 2 pi
    tensor([6.2832])
    """
    kernel = (2 * math.pi * length**2) ** (ndim / 2)  # its integral over space
    return kernel * torch.exp(-0.5 * length**2 * k2)


def power_law(k2: Tensor, exponent: float) -> Tensor:
    """|k|^(-2 exponent), 0 at k = 0.

    >>> power_law(torch.tensor([0.0, 4.0]), 1.0).tolist()
    [0.0, 0.25]
    """
    return torch.where(k2 > 0, k2.clamp_min(1e-300) ** -exponent, 0.0)


def tabulated(k2: Tensor, table: Sequence[tuple[float, float]]) -> Tensor:
    """A table of (|k|, c), log c linear in log |k|; the first c below it and 0 beyond it.

    >>> tabulated(torch.tensor([0.0, 1.0, 4.0, 16.0, 17.0]), [(1.0, 1.0), (4.0, 0.0625)])
    tensor([1.0000, 1.0000, 0.2500, 0.0625, 0.0000])
    """
    x, y = torch.tensor(table, dtype=torch.float64, device=k2.device).log().T.contiguous()
    at = 0.5 * k2.double().clamp_min(1e-300).log()
    right = torch.searchsorted(x, at.contiguous()).clamp(1, len(x) - 1)
    share = ((at - x[right - 1]) / (x[right] - x[right - 1])).clamp(0, 1)
    value = torch.exp(y[right - 1] + share * (y[right] - y[right - 1]))
    # the last point itself counts, whatever its logarithm rounds to
    return torch.where(at <= x[-1] + 1e-12, value, 0.0).to(k2.dtype)


def check_table(table: Sequence[tuple[float, float]]) -> None:
    """Raises ValueError unless a table has two rows or more of positive numbers, |k| increasing.

    >>> check_table([(1.0, 1.0)])
    Traceback (most recent call last):
    ValueError: expected a table of at least two rows (|k|, c) > 0 with |k| increasing, got ...
    """
    increasing = all(a[0] < b[0] for a, b in pairwise(table))
    if len(table) < 2 or not increasing or min(min(row) for row in table) <= 0:
        raise ValueError(
            "expected a table of at least two rows (|k|, c) > 0 with |k| increasing, got "
            f"{tuple(table)}; sort it, and end it where the spectrum ends"
        )


def random_filter(
    grid: Grid, modes: Sequence[int], law: int, device: torch.device | str = "cpu"
) -> Tensor:
    """The weights R of every coefficient, complex128, of `spectral_shape`; `law` is their seed.

    They are 0 outside the box |k_i| < modes_i. Acting on real periodic fields, a weight of the
    plane k_d = 0 is (R_k + conj R_{-k}) / 2. Waves are addressed by their numbers: all grids, on
    all machines, have the same filter.

    >>> abs(random_filter(Grid((8,)), (3,), law=0)) > 0
    tensor([ True,  True,  True, False, False])
    """
    if len(modes) != grid.ndim:
        raise ValueError(
            f"expected one number of modes per axis of the grid {grid.shape}, got {tuple(modes)}; "
            "give as many"
        )
    k = torch.broadcast_tensors(*grid.integers(device))
    weights = _weights(k, law)
    if grid.periodic:
        mirrored = (weights + _weights(tuple(-part for part in k), law).conj()) / 2
        weights = torch.where(k[-1] == 0, mirrored, weights)
    for part, count in zip(k, modes, strict=True):
        weights = weights * (part.abs() < count)
    return weights


def _weights(k: Sequence[Tensor], law: int) -> Tensor:
    real, imaginary = (uniforms(law, Use.FILTER, [0], k, step)[0] for step in (0, 1))
    return torch.complex(LEAST + REST * real, REST * imaginary)
