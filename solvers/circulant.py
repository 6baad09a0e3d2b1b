r"""Stationary Gaussian fields without periodic or reflecting sides, by circulant embedding.

The covariance matrix of a stationary field at equidistant points of a box is a corner of that on a
torus some times larger, as soon as the kernel K(r), r the distance to the nearest image, is a
covariance there: its discrete Fourier transform lambda_k must not be negative. Then

    z(x) = sum_k sqrt(lambda_k) (g_k + i g'_k) exp(2 pi i k . x / P),

restricted to the box, holds two independent fields, real part and imaginary part, whose covariance
is K at every two points exactly: members 2m and 2m + 1 of the ensemble. The torus has twice the
box's sides and grows until lambda is non-negative to round-off; smooth kernels need one on which K
has decayed. Nothing of size N x N is ever formed.

    matern               (s^2 2^(1-nu) / Gamma(nu)) (r / l)^nu K_nu(r / l),   nu = alpha - d / 2
    exponential          s^2 exp(-r / l)
    squared_exponential  s^2 exp(-r^2 / (2 l^2))

    Dietrich, Newsam, SIAM J. Sci. Comput. 18 (1997), doi:10.1137/S1064827592240555
    Wood, Chan, J. Comput. Graph. Stat. 3 (1994), doi:10.1080/10618600.1994.10474655
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import torch
from jaxtyping import Float
from scipy import special
from torch import Tensor

from pushforward.solvers.grid import Grid
from pushforward.solvers.normals import Use, normals

Kernel = Literal["matern", "exponential", "squared_exponential"]
FACTORS = (2, 3, 4, 6, 8, 12, 16, 24, 32)  # sides of the torus tried, in sides of the box
POINTS = 2**24  # the largest torus tried
ROUNDING = 1e-10  # share of the variance that negative eigenvalues may have as round-off


@dataclass(frozen=True)
class StationaryField:
    """A centred Gaussian field of a stationary, isotropic kernel on a box with open sides.

    `length` is l and `deviation` s, the standard deviation at every point. `exponent` is alpha of
    a matern kernel, as in `GaussianField`: the smoothness is nu = alpha - d/2 > 0.

    Raises ValueError for an unknown kernel and numbers of the wrong sign.

    >>> field = StationaryField(kernel="exponential", length=0.3)
    >>> field.sample(range(3), Grid((16, 16), (1.0, 1.0))).shape
    torch.Size([3, 16, 16])
    """

    kind: Literal["stationary"] = "stationary"
    kernel: Kernel = "matern"
    exponent: float = 2.0
    length: float = 1.0
    deviation: float = 1.0

    def __post_init__(self) -> None:
        if self.kernel not in get_args(Kernel):
            raise ValueError(
                f"expected the kernel {', '.join(get_args(Kernel))}, got {self.kernel!r}; "
                "choose one"
            )
        if not (0 < self.length < math.inf and 0 <= self.deviation < math.inf):
            raise ValueError(
                f"expected length > 0 and deviation >= 0, got {self.length} and "
                f"{self.deviation}; give finite numbers"
            )

    def covariance(self, r: Float[Tensor, ...], ndim: int) -> Float[Tensor, ...]:
        """The covariance at points a distance r apart, float64.

        Raises ValueError for a matern kernel that is not of trace class on so many axes.

        >>> StationaryField(kernel="exponential").covariance(torch.tensor([0.0, 1.0]), 2)
        tensor([1.0000, 0.3679], dtype=torch.float64)
        """
        x = r.double() / self.length
        if self.kernel == "squared_exponential":
            return self.deviation**2 * torch.exp(-0.5 * x**2)
        if self.kernel == "exponential":
            return self.deviation**2 * torch.exp(-x)
        nu = self.exponent - ndim / 2
        if nu <= 0:
            raise ValueError(
                f"expected 2 exponent > {ndim} for a matern field on {ndim} axes (trace class), "
                f"got exponent {self.exponent}; raise it"
            )
        return self.deviation**2 * _bessel(x, nu)

    def sample(
        self,
        members: Sequence[int],
        grid: Grid,
        seed: int = 0,
        use: Use = Use.INITIAL,
        device: torch.device | str = "cpu",
        step: int = 0,
    ) -> Float[Tensor, "member ..."]:
        """Draws at a grid's points, float64, shape (member, *grid.shape).

        They are addressed by (seed, member), on another grid of the box they are close to the same
        functions, not equal to them. The grid's own boundary does not matter. `step` numbers
        independent draws of one member.

        Raises ValueError when no torus of up to 32 sides of the box carries the kernel.

        >>> field, grid = StationaryField(exponent=2.5, length=0.2), Grid((32,), (1.0,))
        >>> bool((field.sample([5], grid) == field.sample([4, 5], grid)[1:]).all())
        True
        """
        root = _root(self, grid.shape, grid.spacing).to(device)
        waves = [
            k.view(-1, *[1] * (grid.ndim - 1 - axis))
            for axis, k in enumerate(_integers(n, device) for n in root.shape)
        ]
        box = tuple(slice(n) for n in grid.shape)
        fields: dict[int, Tensor] = {}
        for pair in sorted({member // 2 for member in members}):
            # one pair at a time: the torus is large, and a member is the same bits in any company
            g = normals(seed, use, [pair], waves, step)[0]
            z = torch.fft.ifftn(root * g, norm="forward")[box]
            fields[2 * pair], fields[2 * pair + 1] = z.real, z.imag
        if not len(members):
            return torch.empty((0, *grid.shape), dtype=torch.float64, device=device)
        return torch.stack([fields[member] for member in members])


def _integers(n: int, device: torch.device | str) -> Tensor:
    k = torch.arange(n, device=device)
    return torch.where(k < n // 2, k, k - n)


def _bessel(x: Tensor, nu: float) -> Tensor:
    """2^(1-nu) / Gamma(nu) x^nu K_nu(x), 1 at 0; in closed form for nu = 1/2, 3/2, 5/2."""
    polynomials = {0.5: (1.0,), 1.5: (1.0, 1.0), 2.5: (1.0, 1.0, 1 / 3)}
    if nu in polynomials:
        return sum(c * x**i for i, c in enumerate(polynomials[nu])) * torch.exp(-x)
    values = torch.where(x > 0, x, 1.0).cpu().numpy()
    kernel = special.kv(nu, values) * values**nu * 2 ** (1 - nu) / math.gamma(nu)
    return torch.where(x > 0, torch.from_numpy(kernel).to(x.device), 1.0)


def _eigenvalues(
    field: StationaryField, shape: tuple[int, ...], spacing: tuple[float, ...]
) -> Tensor:
    """The transform of the kernel on a torus of that shape, of norm "forward"."""
    r2 = torch.zeros((), dtype=torch.float64)
    for n, h in zip(shape, spacing, strict=True):
        r2 = r2[..., None] + (h * _integers(n, "cpu").double()) ** 2
    kernel = field.covariance(r2.sqrt(), len(shape))
    return torch.fft.fftn(kernel, norm="forward").real


@lru_cache(maxsize=4)
def _root(field: StationaryField, shape: tuple[int, ...], spacing: tuple[float, ...]) -> Tensor:
    """Square roots of the eigenvalues on the smallest torus that has no negative ones."""
    tried = [factor for factor in FACTORS if math.prod(factor * n for n in shape) <= POINTS]
    for factor in tried:
        values = _eigenvalues(field, tuple(factor * n for n in shape), spacing)
        negative = values.clamp_max(0).sum().neg()
        if bool(negative <= ROUNDING * values.sum()):
            return values.clamp_min(0).sqrt()
    sides = max(n * h for n, h in zip(shape, spacing, strict=True))
    raise ValueError(
        f"expected a kernel that decays within {tried[-1] if tried else 1} times the box of side "
        f"{sides:g}, got {field.kernel} of length {field.length:g} on {shape} points; shorten it, "
        "take fewer points, or a GaussianField"
    )
