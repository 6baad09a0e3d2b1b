r"""A periodic box, its points and its waves.

A real field on the torus [0, L_1) x ... x [0, L_d) is written as

    u(x) = sum_k u_k exp(i 2 pi k . x / L),      k an integer vector, u_{-k} = conj(u_k).

`fft` gives the coefficients u_k themselves: they are orthonormal in L^2(dx / volume), so that
sum_k |u_k|^2 is the mean square of u on every grid, and a finer grid only adds coefficients.
Half of them are kept (last axis 0..N/2); `multiplicity` says how often each one counts.

The Nyquist waves |k_i| = N_i / 2 are no functions of their own on an even grid (a sine there
vanishes at every point), so derivatives and resampling leave them out, and fields are drawn
without them.

    Trefethen, Spectral Methods in MATLAB (2000), doi:10.1137/1.9780898719598
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """An even number of equidistant points per axis of a periodic box, one to three axes.

    `shape` counts points, `extent` is the box's side lengths (default 2 pi each).

    Raises ValueError for odd or tiny sizes, and when `extent` does not match `shape`.

    >>> grid = Grid((8, 8), extent=(1.0, 1.0))
    >>> grid.spacing, grid.spectral_shape
    ((0.125, 0.125), (8, 5))
    """

    shape: tuple[int, ...]
    extent: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        extent = tuple(float(length) for length in self.extent) or (2 * math.pi,) * len(shape)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "extent", extent)
        if not 1 <= len(shape) <= 3:
            raise ValueError(
                f"expected a grid of 1 to 3 axes, got shape {shape}; give one size per axis"
            )
        if any(n < 4 or n % 2 for n in shape):
            raise ValueError(
                f"expected even grid sizes of at least 4, got {shape}; choose even numbers"
            )
        if len(extent) != len(shape) or any(length <= 0 for length in extent):
            raise ValueError(
                f"expected {len(shape)} positive side lengths for shape {shape}, got extent "
                f"{extent}; give one length per axis"
            )

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
        """The shape of `fft`'s result: the last axis holds the waves 0..N/2 only."""
        return (*self.shape[:-1], self.shape[-1] // 2 + 1)

    @property
    def axes(self) -> tuple[int, ...]:
        """The spatial axes of a tensor, counted from its end."""
        return tuple(range(-self.ndim, 0))

    def coordinates(self) -> tuple[Float[Tensor, " _"], ...]:
        """The points along each axis, float64."""
        return tuple(
            torch.arange(n, dtype=torch.float64) * h
            for n, h in zip(self.shape, self.spacing, strict=True)
        )

    def integers(self, device: torch.device | str = "cpu") -> tuple[Tensor, ...]:
        """The integer wave numbers k_i, int64, one broadcastable tensor an axis."""
        waves = []
        for axis, n in enumerate(self.shape):
            k = torch.arange(n, device=device)
            last = axis == self.ndim - 1
            k = k[: n // 2 + 1] if last else torch.where(k < n // 2, k, k - n)
            view = [1] * self.ndim
            view[axis] = -1
            waves.append(k.view(view))
        return tuple(waves)

    def wavenumbers(self, device: torch.device | str = "cpu") -> tuple[Tensor, ...]:
        """The angular wave numbers 2 pi k_i / L_i, float64, one broadcastable tensor an axis."""
        return tuple(
            2 * math.pi / length * k.double()
            for k, length in zip(self.integers(device), self.extent, strict=True)
        )

    def laplacian(self, device: torch.device | str = "cpu") -> Tensor:
        """The symbol -|k|^2 of the Laplacian, float64, of `spectral_shape`."""
        return -sum((k**2 for k in self.wavenumbers(device)), torch.zeros((), dtype=torch.float64))

    def gradient(self, device: torch.device | str = "cpu") -> tuple[Tensor, ...]:
        """The symbols i k_i of the first derivatives, complex128, zero at the Nyquist waves."""
        return tuple(
            1j * torch.where(k.abs() == n // 2, 0.0, kappa)
            for k, kappa, n in zip(
                self.integers(device), self.wavenumbers(device), self.shape, strict=True
            )
        )

    def resolved(self, fraction: float = 1.0, device: torch.device | str = "cpu") -> Tensor:
        """Where |k_i| < fraction N_i / 2 on every axis, bool, of `spectral_shape`.

        `fraction = 1` leaves out the Nyquist waves, 2/3 is Orszag's rule: products of two kept
        fields then alias only into waves that are cut.
        """
        keep = torch.ones(self.spectral_shape, dtype=torch.bool, device=device)
        for k, n in zip(self.integers(device), self.shape, strict=True):
            keep = keep & (k.abs() < fraction * n / 2)
        return keep

    def multiplicity(self, device: torch.device | str = "cpu") -> Tensor:
        """How many coefficients of the full spectrum each one stands for (1 or 2), float64."""
        k = self.integers(device)[-1]
        inner = (k > 0) & (k < self.shape[-1] // 2)
        return torch.where(inner, 2.0, 1.0).double().expand(self.spectral_shape)

    def half_plane(self, device: torch.device | str = "cpu") -> Tensor:
        """+1 where the last non-zero component of k is positive (or k = 0), else -1, int64.

        Of every two waves k and -k one is positive: it names both, since u_{-k} = conj(u_k).
        """
        waves = torch.broadcast_tensors(*self.integers(device))
        sign = torch.zeros_like(waves[0])
        for k in reversed(waves):
            sign = torch.where(sign == 0, torch.sign(k), sign)
        return torch.where(sign == 0, 1, sign)

    def fft(self, u: Float[Tensor, ...]) -> Complex[Tensor, ...]:
        """The coefficients of real fields, over the last `ndim` axes.

        >>> grid = Grid((8,))
        >>> abs(grid.fft(torch.cos(2 * grid.coordinates()[0]))[2].item())
        0.5
        """
        if tuple(u.shape[-self.ndim :]) != self.shape:
            raise ValueError(
                f"expected fields ending in {self.shape}, got shape {tuple(u.shape)}; "
                "put the grid's axes last"
            )
        return torch.fft.rfftn(u, dim=self.axes, norm="forward")

    def ifft(self, u_hat: Complex[Tensor, ...]) -> Float[Tensor, ...]:
        """The real fields of given coefficients; the inverse of `fft`."""
        return torch.fft.irfftn(u_hat, s=self.shape, dim=self.axes, norm="forward")

    def resample(self, u: Float[Tensor, ...], to: Grid) -> Float[Tensor, ...]:
        """The same functions on another grid of the same box: coefficients cropped or padded.

        >>> coarse, fine = Grid((8,)), Grid((16,))
        >>> u = torch.sin(3 * coarse.coordinates()[0])
        >>> torch.allclose(coarse.resample(u, fine)[::2], u, atol=1e-12)
        True
        """
        if to.extent != self.extent:
            raise ValueError(
                f"expected a grid of the same box {self.extent}, got extent {to.extent}; "
                "resampling changes the number of points only"
            )
        return u if to.shape == self.shape else to.ifft(crop(self.fft(u), self, to))


def crop(u_hat: Complex[Tensor, ...], source: Grid, target: Grid) -> Complex[Tensor, ...]:
    """Coefficients moved to another grid; what the target lacks is dropped, the rest is 0.

    >>> crop(torch.ones(3, dtype=torch.complex64), Grid((4,)), Grid((8,))).real
    tensor([1., 1., 0., 0., 0.])
    """
    common = [min(n, m) for n, m in zip(source.shape, target.shape, strict=True)]
    batch = u_hat.shape[: -source.ndim]
    out = u_hat.new_zeros((*batch, *target.spectral_shape))
    for corner in _corners(common):
        out[(..., *corner)] = u_hat[(..., *corner)]
    return out


def _corners(common: Sequence[int]) -> list[tuple[slice, ...]]:
    """The index boxes of the waves |k_i| < common_i / 2: positive and negative ones an axis."""
    corners: list[tuple[slice, ...]] = [()]
    for n in common[:-1]:
        halves = (slice(0, n // 2), slice(1 - n // 2, None))
        corners = [(*corner, half) for corner in corners for half in halves]
    return [(*corner, slice(0, common[-1] // 2)) for corner in corners]
