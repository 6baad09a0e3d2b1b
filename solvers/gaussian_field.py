r"""Gaussian random fields N(0, C) with C diagonal in the waves of a periodic box.

A field is drawn coefficients first,

    u(x) = sum_k sqrt(c(|k|) / V) g_k exp(i k . x),    g_{-k} = conj(g_k),   E|g_k|^2 = 1,

with k the angular wave number and V the volume of the box: c is the eigenvalue of C for the wave
normalised in L^2(dx). The amplitude at a point is sum_k c(|k|) / V, whatever the grid, and a
member (seed, number) is one function that every grid samples as far as it resolves it.

Spectra (d axes, length l, amplitude s):

    matern               s^2 (|k|^2 + tau^2)^{-alpha}, or normalised to unit variance
    squared exponential  kernel s^2 exp(-r^2 / (2 l^2))
    power law            s^2 |k|^{-2 beta}, no mean

C must be of trace class for the draws to be functions at all: matern and power law need
2 alpha > d (2 beta > d), unless a `cutoff` ends the spectrum.

    Lindgren, Rue, Lindstrom, J. R. Stat. Soc. B 73 (2011), doi:10.1111/j.1467-9868.2011.00777.x
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers.grid import Grid
from pushforward.solvers.normals import Use, normals


@dataclass(frozen=True)
class GaussianField:
    """A centred, stationary, isotropic Gaussian field; build it with a constructor.

    `exponent` is alpha, beta; `length` is 1 / tau or l; `amplitude` is s. With `deviation` given,
    the spectrum is scaled so that the standard deviation at a point of the box is that number (and
    `amplitude` is ignored). `cutoff` is the largest integer wave number |k| kept: with it, all
    grids that resolve the cutoff carry the same function exactly. `mean` = False removes the
    constant wave.

    >>> field = GaussianField.matern(smoothness=3.0, length=0.2, deviation=1.0)
    >>> field.sample(range(2), Grid((32, 32))).shape
    torch.Size([2, 32, 32])
    """

    kind: Literal["matern", "squared_exponential", "power_law"]
    exponent: float = 0.0
    length: float = 1.0
    amplitude: float = 1.0
    deviation: float | None = None
    cutoff: int | None = None
    mean: bool = True

    def __post_init__(self) -> None:
        if (
            self.length <= 0
            or self.amplitude < 0
            or (self.deviation is not None and self.deviation < 0)
        ):
            raise ValueError(
                f"expected length > 0 and amplitude, deviation >= 0, got length {self.length}, "
                f"amplitude {self.amplitude}, deviation {self.deviation}; change their signs"
            )
        if self.cutoff is not None and self.cutoff < 1:
            raise ValueError(
                f"expected a cutoff of at least 1, got {self.cutoff}; raise it or omit it"
            )

    @classmethod
    def matern(
        cls,
        smoothness: float,
        length: float,
        deviation: float | None = None,
        *,
        amplitude: float = 1.0,
        cutoff: int | None = None,
        mean: bool = True,
    ) -> GaussianField:
        """The Matern (Bessel, Whittle) field: spectrum s^2 (|k|^2 + length^-2)^-smoothness.

        `smoothness` is alpha of the operator s^2 (-Laplacian + tau^2)^-alpha.

        >>> field = GaussianField.matern(2.5, 1 / 7, amplitude=7**1.5, mean=False)
        >>> round(field.trace(Grid((64, 64), (1.0, 1.0))), 4)    # the law of FNO's data sets
        0.0343
        """
        return cls("matern", smoothness, length, amplitude, deviation, cutoff, mean)

    @classmethod
    def squared_exponential(
        cls, length: float, deviation: float = 1.0, *, cutoff: int | None = None, mean: bool = True
    ) -> GaussianField:
        """The field with kernel deviation^2 exp(-r^2 / (2 length^2)) wrapped round the box.

        >>> GaussianField.squared_exponential(0.5).length
        0.5
        """
        return cls("squared_exponential", 0.0, length, 1.0, deviation, cutoff, mean)

    @classmethod
    def power_law(
        cls,
        exponent: float,
        deviation: float | None = None,
        *,
        amplitude: float = 1.0,
        cutoff: int | None = None,
    ) -> GaussianField:
        """The field with spectrum s^2 |k|^(-2 exponent) and no mean.

        >>> GaussianField.power_law(2.0).mean
        False
        """
        return cls("power_law", exponent, 1.0, amplitude, deviation, cutoff, False)

    def symbol(self, grid: Grid, device: torch.device | str = "cpu") -> Float[Tensor, ...]:
        """The variance E|u_k|^2 of every coefficient of `grid.fft`, float64, of `spectral_shape`.

        Raises ValueError when C is not of trace class and no cutoff ends the spectrum.
        """
        shape = self._shape(grid.laplacian(device).neg(), grid.ndim) * self._kept(grid, device)
        if self.deviation is None:
            return self.amplitude**2 * shape / grid.volume
        return self.deviation**2 * shape / _total(self, grid.extent)

    def trace(self, grid: Grid) -> float:
        """The variance at a point: the sum of `symbol` over all waves that the grid resolves.

        >>> field = GaussianField.squared_exponential(0.5, deviation=2.0)
        >>> round(field.trace(Grid((64, 64))), 6)
        4.0
        """
        return float((self.symbol(grid) * grid.multiplicity()).sum())

    def log_share(self, k: Float[Tensor, ...], extent: Sequence[float]) -> Float[Tensor, ...]:
        """log of what a real coefficient of angular wave number k adds to the variance at a point.

        Relative to that variance, so the shares of all waves of the box sum to 1; `amplitude` and
        `deviation` do not matter. Never underflows.

        >>> field, k = GaussianField.squared_exponential(0.5), torch.tensor([0.0, 100.0])
        >>> field.log_share(k, (1.0, 1.0)).diff()             # -(100 / 2)^2 / 2
        tensor([-1250.])
        """
        if self.kind == "squared_exponential":
            log = -0.5 * self.length**2 * k**2
            log = log + math.log(self._shape(torch.zeros(1), len(extent)).item())
        else:
            log = torch.log(self._shape(k**2, len(extent)))
        return log - math.log(_total(replace(self, amplitude=1.0, deviation=None), tuple(extent)))

    def sample(
        self,
        members: Sequence[int],
        grid: Grid,
        seed: int = 0,
        use: Use = Use.INITIAL,
        device: torch.device | str = "cpu",
    ) -> Float[Tensor, "member ..."]:
        """Draws on a grid, float64, shape (member, *grid.shape), addressed by (seed, member).

        >>> field = GaussianField.matern(3.0, 0.2, deviation=1.0, cutoff=7)
        >>> coarse, fine = (field.sample([4], Grid((n, n))) for n in (16, 32))
        >>> torch.allclose(coarse, fine[:, ::2, ::2], atol=1e-12)
        True
        """
        return self.color(white(members, grid, seed, use, device), grid)

    def color(self, white_hat: Tensor, grid: Grid) -> Float[Tensor, ...]:
        """Fields C^{1/2} w of white coefficients w (complex, `spectral_shape`, unit variance)."""
        root = self.symbol(grid, white_hat.device).sqrt()
        return grid.ifft(white_hat * root)

    def whiten(self, u: Float[Tensor, ...], grid: Grid) -> Tensor:
        """The white coefficients C^{-1/2} u of fields; waves that the field does not have give 0.

        >>> field, grid = GaussianField.matern(2.0, 1.0), Grid((16, 16))
        >>> w = white([0], grid)
        >>> torch.allclose(field.whiten(field.color(w, grid), grid), w, atol=1e-10)
        True
        """
        symbol = self.symbol(grid, u.device)
        return torch.where(symbol > 0, grid.fft(u) / symbol.clamp_min(1e-300).sqrt(), 0)

    def norm(self, u: Float[Tensor, ...], grid: Grid) -> Float[Tensor, ...]:
        """The Cameron-Martin norm |C^{-1/2} u| of fields; it grows without bound for draws of C.

        >>> field, grid = GaussianField.matern(2.0, 1.0), Grid((16, 16))
        >>> float(field.norm(field.sample([0], grid), grid)) > 0
        True
        """
        w = self.whiten(u, grid).abs().square() * grid.multiplicity(u.device)
        return w.sum(grid.axes).sqrt()

    def _shape(self, k2: Tensor, ndim: int) -> Tensor:
        """The spectrum up to its amplitude, as a function of |k|^2."""
        if self.kind == "squared_exponential":
            kernel = (2 * math.pi * self.length**2) ** (ndim / 2)  # its integral over space
            return kernel * torch.exp(-0.5 * self.length**2 * k2)
        if 2 * self.exponent <= ndim and self.cutoff is None:
            raise ValueError(
                f"expected 2 exponent > {ndim} for a {self.kind} field on {ndim} axes (trace "
                f"class), got exponent {self.exponent}; raise it, or give a cutoff"
            )
        if self.kind == "matern":
            return (k2 + self.length**-2) ** -self.exponent
        return torch.where(k2 > 0, k2.clamp_min(1e-300) ** -self.exponent, 0.0)

    def _kept(self, grid: Grid, device: torch.device | str) -> Tensor:
        keep = grid.resolved(1.0, device)
        if self.cutoff is not None:
            keep = keep & (sum(k**2 for k in grid.integers(device)) <= self.cutoff**2)
        if not self.mean:
            keep[(0,) * grid.ndim] = False
        return keep


@lru_cache(maxsize=64)
def _total(field: GaussianField, extent: tuple[float, ...]) -> float:
    """The sum of the spectrum's shape over all waves, on a fine grid: it must not depend on N."""
    ndim = len(extent)
    n = field.cutoff + 1 if field.cutoff is not None else {1: 4096, 2: 512, 3: 64}[ndim]
    reference = Grid((max(2 * n, 4),) * ndim, extent)
    shape = field._shape(reference.laplacian().neg(), ndim) * field._kept(reference, "cpu")
    return float((shape * reference.multiplicity()).sum())


def white(
    members: Sequence[int],
    grid: Grid,
    seed: int = 0,
    use: Use = Use.INITIAL,
    device: torch.device | str = "cpu",
    step: int = 0,
) -> Tensor:
    """White coefficients of real fields: unit variance, Hermitian, no Nyquist waves, complex128.

    Shape (member, *grid.spectral_shape). Waves k and -k share one address.

    >>> w = white([0], Grid((8, 8)))
    >>> bool(w[0, 1, 0] == w[0, -1, 0].conj())
    True
    """
    waves = grid.integers(device)
    sign = grid.half_plane(device)
    g = normals(seed, use, members, [k * sign for k in waves], step)
    # E|g|^2 = 1 is shared by two parts; the constant is real, of variance 1
    g = torch.where(sign > 0, g, g.conj()) * math.sqrt(0.5)
    g[(..., *[0] * grid.ndim)] = g[(..., *[0] * grid.ndim)].real * math.sqrt(2)
    return g * grid.resolved(1.0, device)
