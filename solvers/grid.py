r"""A box, periodic or between walls, its points and its waves.

A real field on the torus [0, L_1) x ... x [0, L_d) is written as

    u(x) = sum_k u_k exp(i 2 pi k . x / L),      k an integer vector, u_{-k} = conj(u_k).

`fft` gives the coefficients u_k themselves: they are orthonormal in L^2(dx / volume), so that
sum_k |u_k|^2 is the mean square of u on every grid, and a finer grid only adds coefficients.
Half of them are kept (last axis 0..N/2); `multiplicity` says how often each one counts.

The Nyquist waves |k_i| = N_i / 2 are no functions of their own on an even grid (a sine there
vanishes at every point), so derivatives and resampling leave them out, and fields are drawn
without them.

Between walls that nothing flows through (`boundary = "neumann"`) a field is

    u(x) = sum_k u_k prod_i c(k_i) cos(pi k_i x_i / L_i),    c(0) = 1, c(k) = sqrt 2,

with real u_k, 0 <= k_i < N_i the numbers of half waves, and points in the middles of cells,
x = (j + 1/2) h.
These functions are orthonormal, too, the last one included: there is no Nyquist wave, and every
coefficient counts once. Their derivatives are sines, which are none of them.

    Trefethen, Spectral Methods in MATLAB (2000), doi:10.1137/1.9780898719598
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from pushforward.solvers import cosine

Boundary = Literal["periodic", "neumann"]


@dataclass(frozen=True)
class Grid:
    """Equidistant points per axis of a box, one to three axes.

    `shape` counts points, an even number an axis if the box is periodic; `extent` is the box's
    side lengths (default 2 pi each); `boundary` is "periodic", or "neumann": walls that nothing
    flows through, and points in the middles of cells.

    Raises ValueError for odd or tiny sizes, an unknown boundary, and when `extent` does not match
    `shape`.

    >>> grid = Grid((8, 8), extent=(1.0, 1.0))
    >>> grid.spacing, grid.spectral_shape
    ((0.125, 0.125), (8, 5))
    >>> walls = Grid((4,), (1.0,), "neumann")
    >>> walls.coordinates()[0].tolist(), walls.spectral_shape
    ([0.125, 0.375, 0.625, 0.875], (4,))
    """

    shape: tuple[int, ...]
    extent: tuple[float, ...] = ()
    boundary: Boundary = "periodic"

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        extent = tuple(float(length) for length in self.extent) or (2 * math.pi,) * len(shape)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "extent", extent)
        if not 1 <= len(shape) <= 3:
            raise ValueError(
                f"expected a grid of 1 to 3 axes, got shape {shape}; give one size per axis"
            )
        if self.boundary not in get_args(Boundary):
            raise ValueError(
                f"expected the boundary {' or '.join(get_args(Boundary))}, got "
                f"{self.boundary!r}; choose one"
            )
        if self.periodic and any(n < 4 or n % 2 for n in shape):
            raise ValueError(
                f"expected even grid sizes of at least 4, got {shape}; choose even numbers"
            )
        if any(n < 4 for n in shape):
            raise ValueError(f"expected grid sizes of at least 4, got {shape}; raise them")
        if len(extent) != len(shape) or not all(0 < length < math.inf for length in extent):
            raise ValueError(
                f"expected {len(shape)} positive side lengths for shape {shape}, got extent "
                f"{extent}; give one length per axis"
            )

    @property
    def periodic(self) -> bool:
        """Whether the box closes in itself."""
        return self.boundary == "periodic"

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of points."""
        return math.prod(self.shape)

    @property
    def volume(self) -> float:
        """The volume of the box."""
        return math.prod(self.extent)

    @property
    def spacing(self) -> tuple[float, ...]:
        """The distance between neighbouring points along each axis."""
        return tuple(length / n for length, n in zip(self.extent, self.shape, strict=True))

    @property
    def spectral_shape(self) -> tuple[int, ...]:
        """The shape of `fft`'s result: of a periodic box the last axis holds 0..N/2 only."""
        return self.shape if not self.periodic else (*self.shape[:-1], self.shape[-1] // 2 + 1)

    @property
    def axes(self) -> tuple[int, ...]:
        """The spatial axes of a tensor, counted from its end."""
        return tuple(range(-self.ndim, 0))

    def coordinates(self) -> tuple[Float[Tensor, " _"], ...]:
        """The points along each axis, float64."""
        first = 0.0 if self.periodic else 0.5
        return tuple(
            (torch.arange(n, dtype=torch.float64) + first) * h
            for n, h in zip(self.shape, self.spacing, strict=True)
        )

    def integers(self, device: torch.device | str = "cpu") -> tuple[Tensor, ...]:
        """The integer wave numbers k_i, int64, one broadcastable tensor an axis.

        Whole waves of a periodic box, half waves between walls.
        """
        waves = []
        for axis, n in enumerate(self.shape):
            k = torch.arange(n, device=device)
            if self.periodic:
                last = axis == self.ndim - 1
                k = k[: n // 2 + 1] if last else torch.where(k < n // 2, k, k - n)
            view = [1] * self.ndim
            view[axis] = -1
            waves.append(k.view(view))
        return tuple(waves)

    def wavenumbers(self, device: torch.device | str = "cpu") -> tuple[Tensor, ...]:
        """The angular wave numbers 2 pi k_i / L_i, float64, one broadcastable tensor an axis.

        Between walls they are pi k_i / L_i.
        """
        period = 2 * math.pi if self.periodic else math.pi
        return tuple(
            period / length * k.double()
            for k, length in zip(self.integers(device), self.extent, strict=True)
        )

    def laplacian(self, device: torch.device | str = "cpu") -> Tensor:
        """The symbol -|k|^2 of the Laplacian, float64, of `spectral_shape`."""
        return -sum((k**2 for k in self.wavenumbers(device)), torch.zeros((), dtype=torch.float64))

    def gradient(self, device: torch.device | str = "cpu") -> tuple[Tensor, ...]:
        """The symbols i k_i of the first derivatives, complex128, zero at the Nyquist waves.

        Raises ValueError between walls, where the derivative of a cosine is a sine.
        """
        if not self.periodic:
            raise ValueError(
                f"expected a periodic grid for derivatives as symbols, got boundary "
                f"{self.boundary}; use the Laplacian, or diagnostics.gradients for fields"
            )
        return tuple(
            1j * torch.where(k.abs() == n // 2, 0.0, kappa)
            for k, kappa, n in zip(
                self.integers(device), self.wavenumbers(device), self.shape, strict=True
            )
        )

    def resolved(self, fraction: float = 1.0, device: torch.device | str = "cpu") -> Tensor:
        """Where |k_i| < fraction N_i / 2 on every axis, bool, of `spectral_shape`.

        Between walls k_i < fraction N_i, the same in half waves. `fraction = 1` leaves out the
        Nyquist waves, 2/3 is Orszag's rule: products of two kept fields then alias only into waves
        that are cut.
        """
        share = fraction if self.periodic else 2 * fraction
        keep = torch.ones(self.spectral_shape, dtype=torch.bool, device=device)
        for k, n in zip(self.integers(device), self.shape, strict=True):
            keep = keep & (k.abs() < share * n / 2)
        return keep

    def multiplicity(self, device: torch.device | str = "cpu") -> Tensor:
        """How many coefficients of the full spectrum each one stands for (1 or 2), float64."""
        if not self.periodic:
            return torch.ones(self.spectral_shape, dtype=torch.float64, device=device)
        k = self.integers(device)[-1]
        inner = (k > 0) & (k < self.shape[-1] // 2)
        return torch.where(inner, 2.0, 1.0).double().expand(self.spectral_shape)

    def half_plane(self, device: torch.device | str = "cpu") -> Tensor:
        """+1 where the last non-zero component of k is positive (or k = 0), else -1, int64.

        Of every two waves k and -k one is positive: it names both, since u_{-k} = conj(u_k).
        Between walls all are.
        """
        waves = torch.broadcast_tensors(*self.integers(device))
        sign = torch.zeros_like(waves[0])
        for k in reversed(waves):
            sign = torch.where(sign == 0, torch.sign(k), sign)
        return torch.where(sign == 0, 1, sign)

    def fft(self, u: Float[Tensor, ...]) -> Inexact[Tensor, ...]:
        """The coefficients of real fields, over the last `ndim` axes; real ones between walls.

        >>> grid = Grid((8,))
        >>> abs(grid.fft(torch.cos(2 * grid.coordinates()[0]))[2].item())
        0.5
        """
        if tuple(u.shape[-self.ndim :]) != self.shape:
            raise ValueError(
                f"expected fields ending in {self.shape}, got shape {tuple(u.shape)}; "
                "put the grid's axes last"
            )
        if not self.periodic:
            return cosine.analyse(u, self.shape)
        return torch.fft.rfftn(u, dim=self.axes, norm="forward")

    def ifft(self, u_hat: Inexact[Tensor, ...]) -> Float[Tensor, ...]:
        """The real fields of given coefficients; the inverse of `fft`."""
        if not self.periodic:
            return cosine.synthesise(u_hat, self.shape)
        if u_hat.device.type != "cpu":
            return torch.fft.irfftn(u_hat, s=self.shape, dim=self.axes, norm="forward")
        # one contiguous line at a time: strided transforms of a batch are grouped by what else is
        # in it, and a member's last bits would depend on its company
        for axis in self.axes[:-1]:
            lines = u_hat.movedim(axis, -1).contiguous()
            u_hat = torch.fft.ifft(lines, norm="forward").movedim(-1, axis)
        return torch.fft.irfft(u_hat.contiguous(), self.shape[-1], norm="forward")

    def resample(self, u: Float[Tensor, ...], to: Grid) -> Float[Tensor, ...]:
        """The same functions on another grid of the same box: coefficients cropped or padded.

        >>> coarse, fine = Grid((8,)), Grid((16,))
        >>> u = torch.sin(3 * coarse.coordinates()[0])
        >>> torch.allclose(coarse.resample(u, fine)[::2], u, atol=1e-12)
        True
        """
        if (to.extent, to.boundary) != (self.extent, self.boundary):
            raise ValueError(
                f"expected a grid of the same box {self.extent}, {self.boundary}, got extent "
                f"{to.extent}, {to.boundary}; resampling changes the number of points only"
            )
        return u if to.shape == self.shape else to.ifft(crop(self.fft(u), self, to))


def crop(u_hat: Inexact[Tensor, ...], source: Grid, target: Grid) -> Inexact[Tensor, ...]:
    """Coefficients moved to another grid; what the target lacks is dropped, the rest is 0.

    >>> crop(torch.ones(3, dtype=torch.complex64), Grid((4,)), Grid((8,))).real
    tensor([1., 1., 0., 0., 0.])
    """
    common = [min(n, m) for n, m in zip(source.shape, target.shape, strict=True)]
    batch = u_hat.shape[: -source.ndim]
    out = u_hat.new_zeros((*batch, *target.spectral_shape))
    corners = _corners(common) if source.periodic else [tuple(slice(0, n) for n in common)]
    for corner in corners:
        out[(..., *corner)] = u_hat[(..., *corner)]
    return out


def _corners(common: Sequence[int]) -> list[tuple[slice, ...]]:
    """The index boxes of the waves |k_i| < common_i / 2: positive and negative ones an axis."""
    corners: list[tuple[slice, ...]] = [()]
    for n in common[:-1]:
        halves = (slice(0, n // 2), slice(1 - n // 2, None))
        corners = [(*corner, half) for corner in corners for half in halves]
    return [(*corner, slice(0, common[-1] // 2)) for corner in corners]
