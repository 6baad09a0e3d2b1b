r"""Fluxes through scales: what spectra, which know no phases, cannot see.

Pi_E(n) and Pi_Z(n) are what the nonlinear term takes of energy and enstrophy from shells up to n
and gives to those beyond (`pushforward.solvers.transfer`), means over members, of the field in
units of the solver's standard deviation. Third moments: zero for Gaussian fields and for copies
with random phases, whatever their spectrum.

    energy_flux, enstrophy_flux     |Pi_a - Pi_b| / |Pi_b|, in the L2 norm over the shells that
                                    the solver resolves

A vorticity on a plane has both. A field on a periodic line has the flux of energy by u u_x, which
for Burgers and Korteweg-de Vries is the equation's own and otherwise a third moment like another.
What else there is has neither, and its scores are NaN.

    Boffetta, Ecke, Annu. Rev. Fluid Mech. 44 (2012), doi:10.1146/annurev-fluid-120710-101240
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.scores import Score, Statistic
from pushforward.solvers.transfer import line_flux, vorticity_fluxes
from pushforward.yardstick import Yardstick

PART = 2**19  # numbers worked on at once


def fluxes_of(yardstick: Yardstick) -> int:
    """How many fluxes a variable has: 2, of energy and enstrophy, 1, of energy, or none.

    >>> from pushforward.solvers import Grid
    >>> fields = torch.randn(4, 16, 16)
    >>> [fluxes_of(Yardstick.fit(fields, Grid((16, 16)), energy)) for energy in (True, False)]
    [2, 0]
    """
    line = yardstick.grid.ndim == 1 and yardstick.grid.periodic
    return 2 if yardstick.energy else int(line)


def _rows(fields: Tensor, yardstick: Yardstick) -> Tensor:
    count, grid = fluxes_of(yardstick), yardstick.grid
    if not count:
        return torch.zeros(len(fields), 0, dtype=torch.float64)
    rows = []
    for part in fields.split(max(1, PART // grid.size)):  # several padded complex copies of each
        z = yardstick.standardise(part)
        both = vorticity_fluxes(z, grid) if count == 2 else [line_flux(z, grid)]
        rows.append(torch.cat([*both], -1))
    return torch.cat(rows)


def _distance(a: Tensor, b: Tensor, yardstick: Yardstick, which: int) -> Tensor:
    count = fluxes_of(yardstick)
    if which >= count:
        return torch.full_like(a.sum(-1), torch.nan)
    a, b = (m.unflatten(-1, (count, -1))[..., which, yardstick.resolved] for m in (a, b))
    return (a - b).norm(dim=-1) / b.norm(dim=-1)


def _energy(a: Tensor, b: Tensor, yardstick: Yardstick) -> Tensor:
    return _distance(a, b, yardstick, 0)


def _enstrophy(a: Tensor, b: Tensor, yardstick: Yardstick) -> Tensor:
    return _distance(a, b, yardstick, 1)


FLUXES = Statistic("fluxes", _rows)
SCORES = (
    Score("energy_flux", "Energy flux", "", FLUXES, _energy),
    Score("enstrophy_flux", "Enstrophy flux", "", FLUXES, _enstrophy),
)
