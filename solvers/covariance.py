r"""Covariances C that are diagonal in the waves of a box, as plain numbers.

C e_k = c(k) e_k for the waves e_k of a grid (exp(i k . x) on a periodic box, products of cosines
between walls), normalised in L^2(dx); c is one of `spectra`, or has a random filter in it. On the
coefficients of `Grid.fft`, which are normalised in L^2(dx / V), C is multiplication by the
variances E|u_k|^2 = c(k) / V (the *symbol*), and its powers by theirs.

    Lindgren, Rue, Lindstrom, J. R. Stat. Soc. B 73 (2011), doi:10.1111/j.1467-9868.2011.00777.x
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers import spectra
from pushforward.solvers.grid import Boundary, Grid
from pushforward.solvers.normals import Use

Kind = Literal[
    "matern",
    "squared_exponential",
    "exponential",
    "power_law",
    "tabulated",
    "fno_random",
    "combined",
]
RANDOM = ("fno_random", "combined")  # kinds with a random filter, which no isotropic spectrum has
ROUGH = ("matern", "power_law", "combined")  # kinds that may fail to be of trace class


@dataclass(frozen=True)
class Covariance(ABC):
    """The numbers of a covariance and what they make of fields; `GaussianField` says what each is.

    >>> from pushforward.solvers import GaussianField
    >>> GaussianField.power_law(2.0).symbol(Grid((4,)))[0].item()
    0.0
    """

    kind: Kind
    exponent: float = 0.0
    length: float = 1.0
    amplitude: float = 1.0
    deviation: float | None = None
    cutoff: int | None = None
    mean: bool = True
    table: tuple[tuple[float, float], ...] = ()
    modes: tuple[int, ...] = ()
    law: int = 0
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(
                f"expected a field of kind {', '.join(get_args(Kind))}, got {self.kind!r}; "
                "choose one"
            )
        if (
            not 0 < self.length < math.inf
            or not 0 <= self.amplitude < math.inf
            or (self.deviation is not None and not 0 <= self.deviation < math.inf)
        ):
            raise ValueError(
                f"expected length > 0 and amplitude, deviation >= 0, got length {self.length}, "
                f"amplitude {self.amplitude}, deviation {self.deviation}; change them"
            )
        if not math.isfinite(self.exponent):
            raise ValueError(
                f"expected a finite exponent, got {self.exponent}; choose one above half the "
                "number of axes"
            )
        if self.cutoff is not None and self.cutoff < 1:
            raise ValueError(
                f"expected a cutoff of at least 1, got {self.cutoff}; raise it or omit it"
            )
        if self.kind == "tabulated":
            spectra.check_table(self.table)
        if self.kind in RANDOM and (not self.modes or min(self.modes) < 1):
            raise ValueError(
                f"expected at least one mode an axis for a {self.kind} field, got {self.modes}; "
                "give the box of its random filter"
            )

    @abstractmethod
    def sample(
        self,
        members: Sequence[int],
        grid: Grid,
        seed: int = 0,
        use: Use = Use.INITIAL,
        device: torch.device | str = "cpu",
        step: int = 0,
    ) -> Float[Tensor, "member ..."]:
        """Draws (member, *grid.shape) with this covariance, float64."""

    def symbol(self, grid: Grid, device: torch.device | str = "cpu") -> Float[Tensor, ...]:
        """The variance E|u_k|^2 of every coefficient of `grid.fft`, float64, of `spectral_shape`.

        Raises ValueError when C is not of trace class and no cutoff ends the spectrum.
        """
        shape = self._on(grid, device)
        if self.deviation is None:
            return self.amplitude**2 * shape / grid.volume
        return self.deviation**2 * shape / _total(self, grid.extent, grid.boundary)

    def trace(self, grid: Grid) -> float:
        """The variance at a point: the sum of `symbol` over all waves that the grid resolves.

        Between walls it is the mean over the points.

        >>> from pushforward.solvers import GaussianField
        >>> field = GaussianField.squared_exponential(0.5, deviation=2.0)
        >>> round(field.trace(Grid((64, 64))), 6)
        4.0
        """
        return float((self.symbol(grid) * grid.multiplicity()).sum())

    def log_share(
        self,
        k: Float[Tensor, ...],
        extent: Sequence[float],
        boundary: Boundary = "periodic",
    ) -> Float[Tensor, ...]:
        """log of what a real coefficient of angular wave number k adds to the variance at a point.

        Relative to that variance, so the shares of all waves of the box sum to 1; `amplitude` and
        `deviation` do not matter. Never underflows. Raises ValueError for a kind with a random
        filter, whose spectrum is no function of |k|.

        >>> from pushforward.solvers import GaussianField
        >>> field, k = GaussianField.squared_exponential(0.5), torch.tensor([0.0, 100.0])
        >>> field.log_share(k, (1.0, 1.0)).diff()             # -(100 / 2)^2 / 2
        tensor([-1250.])
        """
        if self.kind in RANDOM:
            raise ValueError(
                f"expected a field whose spectrum is a function of |k|, got {self.kind}; choose "
                "another kind"
            )
        if self.kind == "squared_exponential":
            log = -0.5 * self.length**2 * k**2
            log = log + math.log(self._shape(torch.zeros(1), len(extent)).item())
        else:
            log = torch.log(self._shape(k**2, len(extent)))
        plain = replace(self, amplitude=1.0, deviation=None)
        return log - math.log(_total(plain, tuple(extent), boundary))

    def power(self, u: Float[Tensor, ...], grid: Grid, s: float) -> Float[Tensor, ...]:
        """C^s u of fields, for any real s, C as an operator on L^2(dx / V).

        Waves that the field does not have (beyond its cutoff, or its mean) give 0, also for s <=
        0: C^0 projects on the others, C^-s inverts C^s there.

        >>> from pushforward.solvers import GaussianField
        >>> field, grid = GaussianField.matern(2.0, 1.0), Grid((16, 16))
        >>> u = field.sample([0], grid)
        >>> torch.allclose(field.power(field.power(u, grid, 0.3), grid, -0.3), u)
        True
        """
        symbol = self.symbol(grid, u.device)
        factor = torch.where(symbol > 0, symbol.clamp_min(1e-300) ** s, 0.0)
        return grid.ifft(grid.fft(u) * factor)

    def color(self, white_hat: Tensor, grid: Grid) -> Float[Tensor, ...]:
        """Fields C^{1/2} w of white coefficients w (of `spectral_shape`, unit variance)."""
        root = self.symbol(grid, white_hat.device).sqrt()
        return grid.ifft(white_hat * root)

    def whiten(self, u: Float[Tensor, ...], grid: Grid) -> Tensor:
        """The white coefficients C^{-1/2} u of fields; waves that the field does not have give 0.

        >>> from pushforward.solvers import GaussianField
        >>> field, grid = GaussianField.matern(2.0, 1.0), Grid((16, 16))
        >>> w = grid.fft(field.sample([0], grid))
        >>> torch.allclose(field.whiten(field.color(w, grid), grid), w, atol=1e-10)
        True
        """
        symbol = self.symbol(grid, u.device)
        return torch.where(symbol > 0, grid.fft(u) / symbol.clamp_min(1e-300).sqrt(), 0)

    def norm(self, u: Float[Tensor, ...], grid: Grid) -> Float[Tensor, ...]:
        """The Cameron-Martin norm |C^{-1/2} u| of fields; it grows without bound for draws of C.

        >>> from pushforward.solvers import GaussianField
        >>> field, grid = GaussianField.matern(2.0, 1.0), Grid((16, 16))
        >>> float(field.norm(field.sample([0], grid), grid)) > 0
        True
        """
        w = self.whiten(u, grid).abs().square() * grid.multiplicity(u.device)
        return w.sum(grid.axes).sqrt()

    def _shape(self, k2: Tensor, ndim: int) -> Tensor:
        """An isotropic spectrum up to its amplitude, as a function of |k|^2."""
        if self.kind in ROUGH and 2 * self.exponent <= ndim and self.cutoff is None:
            raise ValueError(
                f"expected 2 exponent > {ndim} for a {self.kind} field on {ndim} axes (trace "
                f"class), got exponent {self.exponent}; raise it, or give a cutoff"
            )
        if self.kind == "tabulated":
            return spectra.tabulated(k2, self.table)
        if self.kind == "exponential":
            return spectra.exponential(k2, self.length, ndim)
        if self.kind == "squared_exponential":
            return spectra.squared_exponential(k2, self.length, ndim)
        if self.kind == "matern":
            return spectra.matern(k2, self.exponent, self.length)
        return spectra.power_law(k2, self.exponent)

    def _on(self, grid: Grid, device: torch.device | str) -> Tensor:
        """The spectrum up to its amplitude on the waves that a grid and the field have."""
        k2, keep = grid.laplacian(device).neg(), self._kept(grid, device)
        if self.kind not in RANDOM:
            return self._shape(k2, grid.ndim) * keep
        filters = self.weight * spectra.random_filter(grid, self.modes, self.law, device)
        if self.kind == "combined":
            filters = filters + self._shape(k2, grid.ndim).sqrt()
        return filters.abs().square() * keep

    def _kept(self, grid: Grid, device: torch.device | str) -> Tensor:
        keep = grid.resolved(1.0, device)
        if self.cutoff is not None:
            keep = keep & (sum(k**2 for k in grid.integers(device)) <= self.cutoff**2)
        if not self.mean:
            keep[(0,) * grid.ndim] = False
        return keep


@lru_cache(maxsize=64)
def _total(field: Covariance, extent: tuple[float, ...], boundary: Boundary) -> float:
    """The sum of the spectrum's shape over all waves, on a fine grid: it must not depend on N."""
    ndim = len(extent)
    n = field.cutoff + 1 if field.cutoff is not None else {1: 4096, 2: 512, 3: 64}[ndim]
    reference = Grid((max(2 * n, 4),) * ndim, extent, boundary)
    shape = field._on(reference, "cpu")
    return float((shape * reference.multiplicity()).sum())
