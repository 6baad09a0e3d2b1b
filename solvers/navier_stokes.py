r"""Two-dimensional incompressible Navier-Stokes flow in vorticity form, on the torus.

    w_t + u . grad w = nu Lap w - mu w + f,     -Lap psi = w,   u = (psi_y, -psi_x)

with axes (y, x). The advection is the curl of the momentum flux (Basdevant's form),

    -u . grad w = -(d_xx - d_yy)(u v) - d_xy (v^2 - u^2),

and both fluxes are parts of one complex field: z = u + i v has the coefficients
z_k = w_k / (kx - i ky), and -u . grad w is the real part of the field with the coefficients
-(i/2) (kx - i ky)^2 (z^2)_k. So it takes two complex transforms, the work of two and two real ones
with half the passes over memory; after 2/3 dealiasing it conserves energy and enstrophy. A torus
has no mean vorticity: the means of what is drawn, initial states and forcings, are left out.

    Basdevant, J. Comput. Phys. 50 (1983), doi:10.1016/0021-9991(83)90045-5
    Boffetta, Ecke, Annu. Rev. Fluid Mech. 44 (2012), doi:10.1146/annurev-fluid-120710-101240
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Complex
from torch import Tensor

from pushforward.solvers.equation import Equation, Nonlinear
from pushforward.solvers.grid import Grid


@dataclass(frozen=True)
class NavierStokes(Equation):
    """Vorticity with viscosity nu, linear drag mu, a mean velocity and a static forcing.

    `drift` is the mean velocity (U_y, U_x), which the torus leaves free: it carries everything
    along. `waves` is the deterministic forcing of the vorticity: rows (ky, kx, a, b) stand for
    a cos(k . x) + b sin(k . x), ky and kx being integers in units of the box's lowest waves. What
    `Problem` draws from a Gaussian field is added to it.
    Good values: nu = 1e-3..1e-2 on a box of 2 pi with |f| near 1.

    Raises ValueError for negative viscosity or drag, and for waves that are no vorticity.

    >>> NavierStokes(viscosity=1e-3).linear(Grid((8, 8)))[0, 0, 1].item()
    -0.001
    >>> fno = NavierStokes(waves=((1, 1, 0.1, 0.1),))   # 0.1 (sin + cos)(2 pi (x + y)), side 1
    """

    kind: Literal["navier_stokes"] = "navier_stokes"
    viscosity: float = 1e-3
    drag: float = 0.0
    drift: tuple[float, float] = (0.0, 0.0)
    waves: tuple[tuple[int, int, float, float], ...] = ()

    channels: ClassVar[dict[str, str]] = {"vorticity": "vertical component of the vorticity"}
    forced: ClassVar[bool] = True
    scheme: ClassVar[str] = "ifrk54"

    def __post_init__(self) -> None:
        object.__setattr__(self, "drift", tuple(float(speed) for speed in self.drift))
        object.__setattr__(self, "waves", tuple(_wave(row) for row in self.waves))
        if not (0 <= self.viscosity < math.inf and 0 <= self.drag < math.inf):
            raise ValueError(
                f"expected viscosity, drag >= 0, got {self.viscosity}, {self.drag}; "
                "change the sign"
            )
        if len(self.drift) != 2 or not all(map(math.isfinite, self.drift)):
            raise ValueError(
                f"expected a drift of two finite velocities (U_y, U_x), got {self.drift}; "
                "give one per axis"
            )

    @classmethod
    def kolmogorov(
        cls,
        viscosity: float,
        wavenumber: int = 4,
        amplitude: float = 1.0,
        *,
        drag: float = 0.0,
        height: float = 2 * math.pi,
    ) -> NavierStokes:
        """Kolmogorov's flow: velocity forced by A sin(kappa y) e_x, kappa = 2 pi n / height.

        In waves of the vorticity that is (n, 0, -A kappa, 0).

        >>> NavierStokes.kolmogorov(1e-3, drag=0.1).waves
        ((4, 0, -4.0, 0.0),)
        """
        kappa = 2 * math.pi * wavenumber / height
        return cls(
            viscosity=viscosity, drag=drag, waves=((wavenumber, 0, -amplitude * kappa, 0.0),)
        )

    def linear(self, grid: Grid, device: torch.device | str = "cpu") -> Tensor:
        _check_plane(grid)
        symbol = self.viscosity * grid.laplacian(device) - self.drag
        if any(self.drift):
            symbol = symbol - sum(
                speed * i_k for speed, i_k in zip(self.drift, grid.gradient(device), strict=True)
            )
        return symbol[None]

    def steady(
        self, grid: Grid, device: torch.device | str = "cpu"
    ) -> Complex[Tensor, "*spectral"] | None:
        """The coefficients of the forcing by `waves`, complex128, or None where there are none.

        Raises ValueError for a wave that the grid's 2/3 rule cuts.

        >>> NavierStokes(waves=((0, 1, 2.0, 0.0),)).steady(Grid((8, 8)))[0, 1].item()
        (1+0j)
        """
        if not self.waves:
            return None
        f_hat = torch.zeros(grid.spectral_shape, dtype=torch.complex128)
        for ky, kx, a, b in self.waves:
            if not all(3 * abs(k) < n for k, n in zip((ky, kx), grid.shape, strict=True)):
                raise ValueError(
                    f"expected waves below a third of the {grid.shape} points, got "
                    f"({ky}, {kx}); lower them or refine the grid"
                )
            c = complex(a, -b) / 2  # of exp(i k . x); its conjugate belongs to -k
            for y, x, value in ((ky, kx, c), (-ky, -kx, c.conjugate())):
                if x >= 0:
                    f_hat[y, x] += value
        return f_hat.to(device)

    def nonlinear(self, grid: Grid, dtype: torch.dtype, device: torch.device | str) -> Nonlinear:
        _check_plane(grid)
        advection = _advection(grid, dtype, device)
        steady = self.steady(grid, device)
        steady = None if steady is None else steady.to(dtype.to_complex())

        def rate(w_hat: Tensor, f_hat: Tensor | None) -> Tensor:
            n_hat = advection(w_hat)
            for f in (f_hat, steady):
                if f is not None:
                    n_hat = n_hat + f
            n_hat[..., 0, 0] = 0
            return n_hat

        return rate

    def initial_state(self, z: Tensor | None, grid: Grid) -> Tensor:
        if z is None:
            return torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
        return (z - z.mean(grid.axes, keepdim=True))[:, None]


def velocity(vorticity: Tensor, grid: Grid) -> Tensor:
    """The velocity (..., 2, *grid), components (u, v) = (x, y), of a vorticity field (..., *grid).

    >>> y = Grid((8, 8)).coordinates()[0][:, None].expand(8, 8)
    >>> u, v = velocity(torch.cos(y), Grid((8, 8)))     # w = -u_y
    >>> torch.allclose(u, -torch.sin(y)), bool(v.abs().max() < 1e-12)
    (True, True)
    """
    _check_plane(grid)
    i_y, i_x = grid.gradient(vorticity.device)
    k2 = -grid.laplacian(vorticity.device)
    psi_hat = torch.where(k2 > 0, grid.fft(vorticity) / k2.clamp_min(1e-300), 0)
    return torch.stack([grid.ifft(i_y * psi_hat), grid.ifft(-i_x * psi_hat)], -3).to(
        vorticity.dtype
    )


def _advection(
    grid: Grid, dtype: torch.dtype, device: torch.device | str
) -> Callable[[Tensor], Tensor]:
    """w_hat -> the coefficients of -u . grad w, by two complex transforms of u + i v."""
    (ny, nx), reach = grid.shape, (grid.shape[1] - 1) // 3  # the last column that the rule keeps
    ky, kx = grid.wavenumbers(device)
    rows = grid.resolved(2 / 3, device)[:, :1]
    right = torch.complex(kx.expand(ny, -1), -ky.expand(-1, kx.shape[1]))[:, : reach + 1]
    left = torch.complex(-kx.expand(ny, -1), -ky.expand(-1, kx.shape[1]))[:, 1 : reach + 1]

    def cast(weight: Tensor) -> Tensor:
        return torch.where(rows, weight, 0).to(dtype.to_complex())

    into_right = cast(torch.where(right == 0, 0, 1 / right))
    into_left = cast(1 / left).flip(-1)
    out = cast(-0.25j / grid.size * right**2)
    out_conjugate = out.conj().resolve_conj()
    mirror = -torch.arange(ny, device=device) % ny  # the row of -ky
    # a run's last complex products are rounded otherwise: members must be whole vectors, or real
    square = torch.square if grid.size % 16 == 0 else _square

    def advection(w_hat: Tensor) -> Tensor:
        z_hat = w_hat.new_zeros((*w_hat.shape[:-1], nx))
        torch.mul(w_hat[..., : reach + 1], into_right, out=z_hat[..., : reach + 1])
        mirrored = w_hat[..., 1 : reach + 1].index_select(-2, mirror).flip(-1).conj()
        torch.mul(mirrored, into_left, out=z_hat[..., nx - reach :])
        z = torch.fft.ifft2(z_hat, norm="forward")
        z_hat = torch.fft.fft2(square(z))
        n_hat = torch.zeros_like(w_hat)
        kept = n_hat[..., : reach + 1]
        torch.mul(z_hat[..., : reach + 1], out, out=kept)
        opposite = torch.cat([z_hat[..., :1], z_hat[..., nx - reach :].flip(-1)], -1)
        kept.addcmul_(opposite.index_select(-2, mirror).conj(), out_conjugate)
        return n_hat

    return advection


def _square(z: Tensor) -> Tensor:
    """z^2 by real products, which are rounded alike wherever they stand."""
    u, v = z.real, z.imag
    return torch.complex((u - v) * (u + v), 2 * (u * v))


def _wave(row: Sequence[float]) -> tuple[int, int, float, float]:
    whole = len(row) == 4 and all(k == int(k) for k in row[:2])
    if not whole or not any(row[:2]) or not all(map(math.isfinite, row)):
        raise ValueError(
            "expected waves (ky, kx, cosine, sine) with whole ky, kx, not both 0, got "
            f"{tuple(row)}; a torus has no mean vorticity"
        )
    ky, kx, cosine, sine = row
    return int(ky), int(kx), float(cosine), float(sine)


def _check_plane(grid: Grid) -> None:
    if grid.ndim != 2:
        raise ValueError(
            f"expected a grid of 2 axes for a vorticity, got {grid.ndim}; use (ny, nx)"
        )
