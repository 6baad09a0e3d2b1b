r"""Two-dimensional incompressible Navier-Stokes flow in vorticity form, on the torus.

    w_t + u . grad w = nu Lap w - mu w + f,     -Lap psi = w,   u = (psi_y, -psi_x)

with axes (y, x). The advection is computed as the curl of the momentum flux (Basdevant's form),

    u . grad w = (d_xx - d_yy)(u v) + d_xy (v^2 - u^2),

two inverse and two forward transforms; after 2/3 dealiasing it conserves energy and enstrophy. A
torus has no mean vorticity: the means of what is drawn, initial states and forcings, are left out.

    Basdevant, J. Comput. Phys. 50 (1983), doi:10.1016/0021-9991(83)90045-5
    Boffetta, Ecke, Annu. Rev. Fluid Mech. 44 (2012), doi:10.1146/annurev-fluid-120710-101240
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from pushforward.solvers.equation import Equation, Nonlinear
from pushforward.solvers.grid import Grid


@dataclass(frozen=True)
class NavierStokes(Equation):
    """Vorticity with viscosity nu, linear drag mu and a static forcing f.

    f is what `Problem` draws from a Gaussian field plus the deterministic Kolmogorov forcing
    -A k cos(k y) of integer wave number `forcing_wavenumber` and velocity amplitude
    `forcing_amplitude` (the curl of A sin(k y) e_x on a box of height 2 pi).
    Good values: nu = 1e-3..1e-2 on a box of 2 pi with |f| near 1.

    Raises ValueError for negative viscosity or drag.

    >>> NavierStokes(viscosity=1e-3).linear(Grid((8, 8)))[0, 0, 1].item()
    -0.001
    """

    kind: Literal["navier_stokes"] = "navier_stokes"
    viscosity: float = 1e-3
    drag: float = 0.0
    forcing_amplitude: float = 0.0
    forcing_wavenumber: int = 4

    channels: ClassVar[dict[str, str]] = {"vorticity": "vertical component of the vorticity"}
    forced: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.viscosity < 0 or self.drag < 0:
            raise ValueError(
                f"expected viscosity, drag >= 0, got {self.viscosity}, {self.drag}; "
                "change the sign"
            )

    def linear(self, grid: Grid, device: torch.device | str = "cpu") -> Tensor:
        _check_plane(grid)
        return (self.viscosity * grid.laplacian(device) - self.drag)[None]

    def nonlinear(self, grid: Grid, dtype: torch.dtype, device: torch.device | str) -> Nonlinear:
        _check_plane(grid)
        i_y, i_x = grid.gradient(device)
        k2 = -grid.laplacian(device)
        inverse = torch.where(k2 > 0, 1 / k2.clamp_min(1e-300), 0.0)
        complex_dtype = dtype.to_complex()
        velocity = torch.stack([i_y * inverse, -i_x * inverse]).to(complex_dtype)
        keep = grid.resolved(2 / 3, device)
        flux = torch.stack([(i_y**2 - i_x**2) * keep, -i_x * i_y * keep]).real.to(dtype)
        steady = (
            self._kolmogorov(grid, device).to(complex_dtype) if self.forcing_amplitude else None
        )

        def advection(w_hat: Tensor, f_hat: Tensor | None) -> Tensor:
            u, v = grid.ifft(velocity * w_hat).unbind(-3)
            products = grid.fft(torch.stack([u * v, (v - u) * (v + u)], dim=-3))
            n_hat = (flux * products).sum(-3, keepdim=True)
            for f in (f_hat, steady):
                if f is not None:
                    n_hat = n_hat + f
            n_hat[..., 0, 0] = 0
            return n_hat

        return advection

    def initial_state(self, z: Tensor | None, grid: Grid) -> Tensor:
        if z is None:
            return torch.zeros(1, 1, *grid.shape, dtype=torch.float64)
        return (z - z.mean(grid.axes, keepdim=True))[:, None]

    def _kolmogorov(self, grid: Grid, device: torch.device | str) -> Tensor:
        if not 1 <= self.forcing_wavenumber < grid.shape[0] / 3:
            raise ValueError(
                f"expected a forcing_wavenumber from 1 to below a third of the {grid.shape[0]} "
                f"points along y, got {self.forcing_wavenumber}; lower it or refine the grid"
            )
        y = grid.coordinates()[0].to(device)
        kappa = 2 * torch.pi / grid.extent[0] * self.forcing_wavenumber
        profile = -self.forcing_amplitude * kappa * torch.cos(kappa * y)
        return grid.fft(profile[:, None].expand(grid.shape))[None]


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


def _check_plane(grid: Grid) -> None:
    if grid.ndim != 2:
        raise ValueError(
            f"expected a grid of 2 axes for a vorticity, got {grid.ndim}; use (ny, nx)"
        )
