r"""Where the nonlinear term moves energy and enstrophy: fluxes through shells of waves.

Let N be the nonlinear part of u_t, without forcing, and T(k) = Re(conj(u_k) N_k) what it brings to
the wave k of <u^2> / 2. The flux through shell n,

    Pi(n) = - sum over waves in shells <= n of T(k),

is what shells up to n lose to those beyond it: positive where a cascade goes to small scales.

    vorticity on a plane   N = -u . grad w:  Pi_Z of the enstrophy <w^2> / 2 with T, and Pi_E of
                           the energy <|u|^2> / 2 with T / |k|^2
    a line                 N = -a (u^2 / 2)_x:  Pi_E of <u^2> / 2 (Burgers, Korteweg-de Vries)

Fluxes are of third order: they vanish in the mean for any Gaussian field and any field with random
phases, whatever its spectrum. Products are formed on 3/2 of the points, so that every wave below
the grid's Nyquist waves takes part and none is an alias; then N conserves what it moves, and the
last Pi is 0 to round-off.

    Kraichnan, Phys. Fluids 10 (1967), doi:10.1063/1.1762301
    Boffetta, Ecke, Annu. Rev. Fluid Mech. 44 (2012), doi:10.1146/annurev-fluid-120710-101240
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.solvers.burgers import check_line, steepening
from pushforward.solvers.diagnostics import shell_sums, shells
from pushforward.solvers.grid import Grid, crop
from pushforward.solvers.navier_stokes import NavierStokes


def vorticity_fluxes(
    vorticity: Float[Tensor, ...], grid: Grid
) -> tuple[Float[Tensor, "... shell"], Float[Tensor, "... shell"]]:
    """The fluxes (Pi_E, Pi_Z) through every shell, of vorticity fields (..., *grid) on a plane.

    Raises ValueError between walls and for grids that are no plane.

    >>> grid = Grid((16, 16))
    >>> y, x = (c.view(-1, 1) if i == 0 else c for i, c in enumerate(grid.coordinates()))
    >>> w = torch.cos(x) + torch.cos(2 * y) + torch.cos(2 * y - x)      # one triad
    >>> energy, enstrophy = vorticity_fluxes(w, grid)       # shell 1 gains what shell 2 loses
    >>> round(energy[1].item(), 9), round(enstrophy[1].item(), 9), abs(energy[2].item()) < 1e-15
    (-0.025, -0.025, True)
    """
    _check_periodic(grid)
    fine = _padded(grid)
    w_hat = crop(grid.fft(vorticity), grid, fine)
    flow = NavierStokes(viscosity=0.0).nonlinear(fine, vorticity.dtype, vorticity.device)
    transfer = _transfer(w_hat, flow(w_hat, None))
    k2 = -fine.laplacian(vorticity.device)
    inverse = torch.where(k2 > 0, 1 / k2.clamp_min(1e-300), 0.0).to(transfer.dtype)
    return _flux(transfer * inverse, grid, fine), _flux(transfer, grid, fine)


def line_flux(
    u: Float[Tensor, ...], grid: Grid, coefficient: float = 1.0
) -> Float[Tensor, "... shell"]:
    """The flux Pi_E of <u^2> / 2 through every shell by -a u u_x, of fields (..., n) on a line.

    Raises ValueError between walls and for grids of more axes.

    >>> x = Grid((16,)).coordinates()[0]        # steepens: wave 1 feeds wave 2
    >>> round(line_flux(torch.sin(x) - torch.sin(2 * x), Grid((16,)))[1].item(), 9)
    0.25
    """
    check_line(grid, "field")
    _check_periodic(grid)
    fine = _padded(grid)
    u_hat = crop(grid.fft(u), grid, fine)
    rate = steepening(coefficient, fine, u.dtype, u.device)
    return _flux(_transfer(u_hat, rate(u_hat, None)), grid, fine)


def _padded(grid: Grid) -> Grid:
    """The grid whose 2/3 rule keeps every wave below the Nyquist waves of this one."""
    return replace(grid, shape=tuple(-(-3 * n // 4) * 2 for n in grid.shape))


def _transfer(u_hat: Tensor, n_hat: Tensor) -> Tensor:
    return u_hat.real * n_hat.real + u_hat.imag * n_hat.imag


def _flux(transfer: Tensor, grid: Grid, fine: Grid) -> Tensor:
    last = int(shells(grid).max()) + 1  # the shells of the grid's own corners
    return -shell_sums(transfer, fine)[..., :last].cumsum(-1)


def _check_periodic(grid: Grid) -> None:
    if not grid.periodic:
        raise ValueError(
            f"expected a periodic grid for fluxes through shells, got boundary {grid.boundary}; "
            "compare spectra and structure functions there"
        )
