r"""A mixture of Gaussian fields: several means, one covariance; a law whose score is known.

    u = m_j + xi,      j of probability w_j,      xi ~ N(0, C)

with means that are ramps a + b . x, as they are or smoothed, C^{1/2} (a + b . x). The posterior
mean of u given u + noise is known in closed form (`generative.exact`), from the means and from C:
its eigenvalues, where the field has them (`field.symbol`), or its matrix (`covariance`).

Two published experiments are such laws:

    DDO (section 5)         [0, 1] between walls, means 10 x - 5 and 5 - 10 x, kernel
                            0.4 exp(-r^2 / (2 0.1^2)): a `StationaryField`. (A `GaussianField`
                            between walls has its kernel mirrored in them, K(x - y) + K(x + y).)
    Multilevel (5.1)        the unit torus, Q = (s - Laplacian)^-1.1, means Q^{1/2} of x and 1 - y

Multilevel's numbers depend on its grid: it filters noise of unit variance at each of N^2 points,
which is N(0, Q) divided by N, and adds means that are not divided. Its law on 64^2 points is
therefore that of slopes 64 here (up to a factor 1/64 of the field): the components lie
64 |x + y - 1| = 26 deviations apart. Restricted as it does, other grids show the same law.

Smoothed ramps are sums of the waves' own coefficients of a + b . x, in closed form, so that a mean
is one function on every grid. A `StationaryField` is drawn on twice the points, of which those in
the middles of cells are kept: grids that resolve a smooth kernel share one function to 1e-7, which
is what rounding leaves of its eigenvalues' roots; those of a rough kernel nearly one.

    Lim et al., Score-based diffusion models in function space (2023), arXiv:2302.07400
    Hagemann et al., Multilevel diffusion (2023), arXiv:2303.04772
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pushforward.solvers.circulant import StationaryField
from pushforward.solvers.gaussian_field import GaussianField
from pushforward.solvers.grid import Grid
from pushforward.solvers.normals import Use, uniforms

CHOICE = 1  # the step of the numbers that choose components; 0 draws the fields
PUBLISHED = StationaryField(kernel="squared_exponential", length=0.1, deviation=0.4**0.5)  # DDO's


@dataclass(frozen=True)
class Ramp:
    """The function offset + slope . x, one slope an axis of the box.

    >>> Ramp(slope=(10.0,), offset=-5.0).at(Grid((4,), (1.0,), "neumann"))
    tensor([-3.7500, -1.2500,  1.2500,  3.7500], dtype=torch.float64)
    """

    slope: tuple[float, ...]
    offset: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", tuple(self.slope))
        if not all(math.isfinite(number) for number in (*self.slope, self.offset)):
            raise ValueError(
                f"expected a finite slope and offset, got {self.slope} and {self.offset}; "
                "correct them"
            )

    def check(self, grid: Grid) -> None:
        """Raises ValueError for a grid of other axes."""
        if len(self.slope) != grid.ndim:
            raise ValueError(
                f"expected one slope for each of {grid.ndim} axes, got {self.slope}; give as many"
            )

    def at(self, grid: Grid) -> Float[Tensor, ...]:
        """The values at a grid's points, float64.

        Raises ValueError as `check` does.
        """
        self.check(grid)
        value = torch.tensor(self.offset, dtype=torch.float64)
        for slope, x in zip(self.slope, grid.coordinates(), strict=True):
            value = value[..., None] + slope * x
        return value

    def coefficients(self, grid: Grid) -> Tensor:
        """The box's own coefficients of the function, for the waves of `grid.fft`.

        They are integrals over the box, not sums over the points: a finer grid only adds some.

        >>> c = Ramp((1.0,)).coefficients(Grid((8,), (1.0,), "neumann"))
        >>> round(c[0].item(), 3), round(c[1].item() * math.pi**2, 3)       # -2 sqrt(2)
        (0.5, -2.828)
        """
        self.check(grid)
        dtype = torch.complex128 if grid.periodic else torch.float64
        out = torch.zeros(grid.spectral_shape, dtype=dtype)
        constant = self.offset
        for axis, (slope, k, side) in enumerate(
            zip(self.slope, grid.integers(), grid.extent, strict=True)
        ):
            constant += slope * side / 2
            k = k.flatten().double()
            inverse = torch.where(k != 0, 1 / k, 0.0)
            if grid.periodic:
                wave = 1j * side / (2 * math.pi) * inverse
            else:
                odd = (1 - torch.cos(math.pi * k)) / 2
                wave = -2 * math.sqrt(2) * side / math.pi**2 * odd * inverse**2
            line = tuple(slice(None) if i == axis else 0 for i in range(grid.ndim))
            out[line] = slope * wave
        out[(0,) * grid.ndim] = constant
        return out


@dataclass(frozen=True)
class GaussianMixture:
    """Fields that are a mean, one of several, plus a centred Gaussian field; equations need none.

    `weights` are in proportion to the probabilities of the means, equal ones by default. With
    `smooth` the means are C^{1/2} of the ramps, C the field's covariance, and so lie in its
    Cameron-Martin space; they are |f - g| in L^2 apart there. The defaults are DDO's law.

    Raises ValueError for no means, weights that are not positive or not as many, and smoothed
    means of a stationary field, whose C has no waves.

    >>> law = GaussianMixture()
    >>> law.draw(range(3), Grid((32,), (1.0,), "neumann")).shape
    torch.Size([3, 1, 32])
    """

    kind: Literal["gaussian_mixture"] = "gaussian_mixture"
    means: tuple[Ramp, ...] = (Ramp((10.0,), -5.0), Ramp((-10.0,), 5.0))
    field: GaussianField | StationaryField = PUBLISHED
    weights: tuple[float, ...] = ()
    smooth: bool = False
    channels: ClassVar[dict[str, str]] = {"u": "field of a Gaussian mixture"}
    boundary: ClassVar[tuple[str, ...]] = ("periodic", "neumann")

    def __post_init__(self) -> None:
        object.__setattr__(self, "means", tuple(self.means))
        object.__setattr__(self, "weights", tuple(self.weights))
        if not self.means or len(self.weights) not in (0, len(self.means)):
            raise ValueError(
                f"expected one weight for each of at least one mean, got {len(self.weights)} for "
                f"{len(self.means)}; give as many, or none for equal ones"
            )
        if not all(0 < weight < math.inf for weight in self.weights):
            raise ValueError(
                f"expected positive weights, got {self.weights}; leave out the others"
            )
        if self.smooth and isinstance(self.field, StationaryField):
            raise ValueError(
                "expected a field with a spectrum to smooth means by, got a stationary one; "
                "take a GaussianField, or smooth = False"
            )

    @property
    def probabilities(self) -> Float[Tensor, " component"]:
        """The probability of each component, float64.

        >>> GaussianMixture(weights=(1.0, 3.0)).probabilities.tolist()
        [0.25, 0.75]
        """
        weights = torch.tensor(self.weights or (1.0,) * len(self.means), dtype=torch.float64)
        return weights / weights.sum()

    def check(self, grid: Grid, members: int) -> None:
        """Raises ValueError for a grid of other axes, or one that fields or means do not fit."""
        for mean in self.means:
            mean.check(grid)
        if grid.periodic and isinstance(self.field, StationaryField):
            raise ValueError(
                "expected walls around a stationary field, whose sides are open, got a periodic "
                "box; take boundary neumann, or a GaussianField"
            )
        if grid.periodic and not self.smooth and any(any(mean.slope) for mean in self.means):
            raise ValueError(
                "expected means that close around a periodic box, got ramps; smooth them, or take "
                "boundary neumann"
            )
        if isinstance(self.field, StationaryField):
            self.field.covariance(torch.zeros(1), grid.ndim)
        else:
            self.field.symbol(replace(grid, shape=(4,) * grid.ndim))

    def draw(
        self, members: Sequence[int], grid: Grid, seed: int = 0
    ) -> Float[Tensor, "member channel *grid"]:
        """Members at a grid's points, (member, 1, *grid.shape), float64.

        Raises ValueError as `check` does.

        >>> law = GaussianMixture(means=(Ramp((0.0,), 1.0), Ramp((0.0,), -1.0)),
        ...     field=GaussianField.matern(3.0, 0.2, deviation=1.0, cutoff=7))
        >>> coarse, fine = (law.draw([4, 5], Grid((n,))) for n in (16, 32))
        >>> torch.allclose(coarse, fine[..., ::2])
        True
        """
        means = self.components(grid)[self.which(members, seed)]
        return (means + self._centred(members, grid, seed))[:, None]

    def components(self, grid: Grid) -> Float[Tensor, "component ..."]:
        """The means at a grid's points, float64.

        Raises ValueError as `check` does.
        """
        self.check(grid, 1)
        if not self.smooth:
            return torch.stack([mean.at(grid) for mean in self.means])
        assert isinstance(self.field, GaussianField)  # it was asked for when this was made
        root = (self.field.symbol(grid) * grid.volume).sqrt()
        return grid.ifft(torch.stack([mean.coefficients(grid) for mean in self.means]) * root)

    def which(self, members: Sequence[int], seed: int = 0) -> Int[Tensor, " member"]:
        """The component of each member.

        >>> law = GaussianMixture(weights=(3.0, 1.0))
        >>> law.which(range(8)).tolist(), law.which([7]).tolist()
        ([0, 0, 0, 0, 0, 0, 0, 1], [1])
        """
        one = [torch.zeros(1, dtype=torch.int64)]
        u = uniforms(seed, Use.INITIAL, members, one, CHOICE)[:, 0]
        return torch.searchsorted(self.probabilities.cumsum(0)[:-1], u, right=True)

    def covariance(self, grid: Grid) -> Float[Tensor, "point point"]:
        """C at every two points of a grid, in the order of a field's values; for small grids.

        >>> field = GaussianField.matern(2.0, 1.0, deviation=1.0, cutoff=3)
        >>> c = GaussianMixture(means=(Ramp((0.0,)),), field=field).covariance(Grid((8,)))
        >>> torch.allclose(c.diagonal(), torch.ones(8).double())
        True
        """
        self.check(grid, 1)
        if isinstance(self.field, StationaryField):
            axes = torch.meshgrid(*grid.coordinates(), indexing="ij")
            points = torch.stack([axis.flatten() for axis in axes], 1)
            r = (points[:, None] - points).square().sum(-1).sqrt()
            return self.field.covariance(r, grid.ndim)
        one = torch.eye(grid.size, dtype=torch.float64).view(-1, *grid.shape)
        return grid.size * grid.ifft(grid.fft(one) * self.field.symbol(grid)).flatten(1)

    def _centred(self, members: Sequence[int], grid: Grid, seed: int) -> Tensor:
        if isinstance(self.field, GaussianField):
            return self.field.sample(members, grid, seed)
        # circulant draws begin at the wall itself: on half the spacing, every second point is
        # the middle of a cell
        twice = replace(grid, shape=tuple(2 * n for n in grid.shape))
        return self.field.sample(members, twice, seed)[(..., *[slice(1, None, 2)] * grid.ndim)]
