r"""What one measures on solutions: spectra on integer shells, derivatives, invariants.

A shell holds the waves whose wave number |k|, in units of the longest side's, rounds to n; between
walls it counts half waves. Spectra
are *totals* per shell, so that they add up to what they split: sum_n P(n) = mean u^2,
sum_n E(n) = mean |velocity|^2 / 2, sum_n Z(n) = mean w^2 / 2 (Parseval, to round-off).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers.grid import Grid


def shells(grid: Grid, device: torch.device | str = "cpu") -> Tensor:
    """The shell number of every coefficient, int64, of `spectral_shape`.

    It is |k| in units of the lowest wave (between walls: half wave) of the longest side, so that
    shells are round on any box.

    >>> shells(Grid((4, 4)))[1]
    tensor([1, 1, 2])
    """
    longest = max(grid.extent)
    k = torch.broadcast_tensors(
        *(
            k.double() * (longest / length)
            for k, length in zip(grid.integers(device), grid.extent, strict=True)
        )
    )
    return torch.round(torch.stack(k).square().sum(0).sqrt()).long()


def shell_sums(density: Float[Tensor, ...], grid: Grid) -> Float[Tensor, "... shell"]:
    """Sums of a spectral density (..., *spectral_shape) over shells, both half-planes counted.

    >>> shell_sums(torch.ones(4, 3), Grid((4, 4))).sum().item()
    16.0
    """
    number = shells(grid, density.device)
    weighted = density * grid.multiplicity(density.device).to(density.dtype)
    out = density.new_zeros((*density.shape[: -grid.ndim], int(number.max()) + 1))
    return out.index_add(-1, number.flatten(), weighted.flatten(-grid.ndim))


def power_spectrum(u: Float[Tensor, ...], grid: Grid) -> Float[Tensor, "... shell"]:
    """The mean square of fields (..., *grid), split over shells.

    >>> u = torch.sin(3 * Grid((16,)).coordinates()[0])
    >>> power_spectrum(u, Grid((16,)))[3].item()
    0.5
    """
    return shell_sums(grid.fft(u).abs().square(), grid)


def enstrophy_spectrum(vorticity: Float[Tensor, ...], grid: Grid) -> Float[Tensor, "... shell"]:
    """Half the mean square vorticity, split over shells.

    >>> w = torch.cos(Grid((8, 8)).coordinates()[0])[:, None].expand(8, 8)
    >>> enstrophy_spectrum(w, Grid((8, 8)))[1].item()
    0.25
    """
    return power_spectrum(vorticity, grid) / 2


def energy_spectrum(vorticity: Float[Tensor, ...], grid: Grid) -> Float[Tensor, "... shell"]:
    """The kinetic energy (half the mean square velocity) of a vorticity field, split over shells.

    Raises ValueError between walls, where the stream function is not one of cosines.

    >>> w = 2 * torch.cos(2 * Grid((8, 8)).coordinates()[0])[:, None].expand(8, 8)
    >>> energy_spectrum(w, Grid((8, 8)))[2].item()
    0.25
    """
    if not grid.periodic:
        raise ValueError(
            f"expected a vorticity on a periodic grid, got boundary {grid.boundary}; use "
            "power_spectrum"
        )
    k2 = -grid.laplacian(vorticity.device)
    inverse = torch.where(k2 > 0, 0.5 / k2.clamp_min(1e-300), 0.0).to(vorticity.dtype)
    return shell_sums(grid.fft(vorticity).abs().square() * inverse, grid)


def gradients(u: Float[Tensor, ...], grid: Grid) -> Float[Tensor, "... axis *grid"]:
    """The spectral derivatives of fields (..., *grid) along each axis, stacked before the grid.

    >>> y = Grid((8, 8)).coordinates()[0][:, None].expand(8, 8)
    >>> d = gradients(torch.sin(y), Grid((8, 8)))
    >>> torch.allclose(d[0], torch.cos(y)), bool(d[1].abs().max() < 1e-12)
    (True, True)
    """
    if not grid.periodic:
        return torch.stack(_slopes(u, grid), dim=-grid.ndim - 1)
    u_hat = grid.fft(u)
    parts = [grid.ifft((symbol * u_hat).to(u_hat.dtype)) for symbol in grid.gradient(u.device)]
    return torch.stack(parts, dim=-grid.ndim - 1)


def _slopes(u: Tensor, grid: Grid) -> list[Tensor]:
    """The derivatives of cosines, along each axis those of the field continued by reflection."""
    slopes = []
    for axis, n, length in zip(grid.axes, grid.shape, grid.extent, strict=True):
        line = u.movedim(axis, -1)
        mirrored = Grid((2 * n,), (2 * length,))
        u_hat = mirrored.fft(torch.cat([line, line.flip(-1)], -1))
        slope = mirrored.ifft((mirrored.gradient(u.device)[0] * u_hat).to(u_hat.dtype))
        slopes.append(slope[..., :n].movedim(-1, axis))
    return slopes
