r"""Gaussian random fields N(0, C) with C diagonal in the waves of a box.

A field is drawn coefficients first,

    u(x) = sum_k sqrt(c(k) / V) g_k e_k(x),    E|g_k|^2 = 1,

with k the angular wave number, V the volume of the box and e_k the waves of its grid: exp(i k . x)
with g_{-k} = conj(g_k) on a periodic box, products of cosines with real g_k between walls. c is
the eigenvalue of C for the wave normalised in L^2(dx). The variance is sum_k c(k) / V, whatever
the grid: at every point of a periodic box, on average over space between walls (there a field is
the whole space's, folded at the walls: twice the variance at a wall, four times at an edge). A
member (seed, number) is one function that every grid samples as far as it resolves it. The spectra
c are those of `spectra`.

C must be of trace class for the draws to be functions at all: matern and power law need
2 alpha > d (2 beta > d), unless a `cutoff` ends the spectrum.

    Lindgren, Rue, Lindstrom, J. R. Stat. Soc. B 73 (2011), doi:10.1111/j.1467-9868.2011.00777.x
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers.covariance import Covariance
from pushforward.solvers.grid import Grid
from pushforward.solvers.normals import Use
from pushforward.solvers.white_noise import white


@dataclass(frozen=True)
class GaussianField(Covariance):
    """A centred Gaussian field; build it with a constructor, or with one of `priors`.

    `exponent` is alpha, beta; `length` is 1 / tau or l; `amplitude` is s, which multiplies the
    field. With `deviation` given, the spectrum is scaled so that the standard deviation at a point
    of the box (root mean square over points between walls) is that number, and `amplitude` is
    ignored; it counts waves up to 512 an axis (4096 on a line, 64 in a volume), of which a coarse
    grid holds less, and of a rough field (2 exponent near the number of axes) much less. `cutoff`
    is the largest integer wave number |k| kept (in half waves between walls): with it, all grids
    that resolve the cutoff carry the same function exactly. `mean` = False removes the constant
    wave. `table`, `modes`, `law` and `weight` belong to the kinds tabulated, fno_random and
    combined.

    Raises ValueError for numbers of the wrong sign and for what its kind lacks.

    >>> field = GaussianField.matern(smoothness=3.0, length=0.2, deviation=1.0)
    >>> field.sample(range(2), Grid((32, 32))).shape
    torch.Size([2, 32, 32])
    """

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

        `smoothness` is alpha of the operator s^2 (-Laplacian + tau^2)^-alpha; paths have
        alpha - d/2 derivatives.

        >>> GaussianField.matern(2.5, 0.1, deviation=1.0).exponent
        2.5
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
    def exponential(
        cls, length: float, deviation: float = 1.0, *, cutoff: int | None = None, mean: bool = True
    ) -> GaussianField:
        """The field with kernel deviation^2 exp(-r / length) wrapped round the box.

        It is Matern's of smoothness 1/2: exponent (d + 1) / 2, the same length.

        >>> GaussianField.exponential(0.5).kind
        'exponential'
        """
        return cls("exponential", 0.0, length, 1.0, deviation, cutoff, mean)

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

    @classmethod
    def tabulated(
        cls,
        table: Sequence[tuple[float, float]],
        deviation: float | None = None,
        *,
        amplitude: float = 1.0,
        cutoff: int | None = None,
        mean: bool = True,
    ) -> GaussianField:
        """The field with spectrum s^2 c(|k|), c given at angular wave numbers: rows (|k|, c).

        log c is linear in log |k| between the rows, constant below the first and 0 beyond the
        last.

        >>> GaussianField.tabulated([(1.0, 1.0), (10.0, 1e-3)], deviation=1.0).kind
        'tabulated'
        """
        rows = tuple((float(k), float(c)) for k, c in table)
        return cls("tabulated", 0.0, 1.0, amplitude, deviation, cutoff, mean, rows)

    def sample(
        self,
        members: Sequence[int],
        grid: Grid,
        seed: int = 0,
        use: Use = Use.INITIAL,
        device: torch.device | str = "cpu",
        step: int = 0,
    ) -> Float[Tensor, "member ..."]:
        """Draws on a grid, float64, shape (member, *grid.shape), addressed by (seed, member).

        `step` numbers independent draws of one member.

        >>> field = GaussianField.matern(3.0, 0.2, deviation=1.0, cutoff=7)
        >>> coarse, fine = (field.sample([4], Grid((n, n))) for n in (16, 32))
        >>> torch.allclose(coarse, fine[:, ::2, ::2], atol=1e-12)
        True
        """
        return self.color(white(members, grid, seed, use, device, step), grid)
