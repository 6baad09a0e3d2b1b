r"""Whether a grid is fine enough, read off the spectrum.

The coefficients of a resolved smooth field fall off before the waves that the 2/3 rule keeps end.
What is left in the outermost shell of those,

    tail = |waves with max_i |k_i| / K_i >= 0.85| / |all waves but the mean|,     K_i = N_i / 3,

(norms in the mean square, the largest over channels) measures what the waves beyond would hold,
and what they do to the rest. A field that is uniform up to a thousandth is measured by its mean,
since its other waves may be round-off; where no wave is cut, a grid is part of the equation and
has no tail.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Inexact
from torch import Tensor

from pushforward.solvers.grid import Grid

SHELL = 0.85  # of the largest wave kept: where the outermost shell begins
UNIFORM = 1e-3  # of the mean: fluctuations below are not judged by themselves
COARSE = 5e-4  # measured: the relative error of flows and patterns is about their tail


class ResolutionWarning(UserWarning):
    """A grid is too coarse for what was solved on it.

    >>> issubclass(ResolutionWarning, UserWarning)
    True
    """


def tail(u_hat: Inexact[Tensor, ...], grid: Grid, dealias: float = 2 / 3) -> Float[Tensor, ...]:
    """The tails of states with coefficients (..., channel, *spectral): float64, (...).

    `dealias` is the fraction of the grid's waves that states may hold.

    >>> grid = Grid((64,))
    >>> x = grid.coordinates()[0]
    >>> round(tail(grid.fft(torch.cos(x) + 0.01 * torch.cos(20 * x))[None], grid).item(), 4)
    0.01
    """
    device = u_hat.device
    if dealias > 1:
        return torch.zeros(u_hat.shape[: -grid.ndim - 1], dtype=torch.float64, device=device)
    outer = grid.resolved(dealias, device) & ~grid.resolved(SHELL * dealias, device)
    power = u_hat.abs().double().square() * grid.multiplicity(device)
    mean = power[(..., *[0] * grid.ndim)].clone()
    power[(..., *[0] * grid.ndim)] = 0
    total = torch.maximum(power.sum(grid.axes), UNIFORM**2 * mean)
    share = (power * outer).sum(grid.axes) / torch.where(total > 0, total, 1)
    return share.sqrt().amax(-1)


def complaint(
    tails: Float[Tensor, "member time"], times: Sequence[float], names: Sequence[int], grid: Grid
) -> str | None:
    """The sentence to warn with, or None where the grid is fine enough.

    A state at t = 0 is given, not solved for, so it does not count.

    >>> grid, tails = Grid((8,)), torch.tensor([[0.5, 1e-9], [0.5, 0.1]]).double()
    >>> complaint(tails[:1], (0.0, 1.0), [3], grid)
    >>> print(complaint(tails, (0.0, 1.0), [3, 4], grid))    # doctest: +NORMALIZE_WHITESPACE
    expected less than 0.0005 of the field in the outermost waves of the grid (8,), got 0.1 for
    member 4 at t=1; refine the grid
    """
    late = [i for i, time in enumerate(times) if time > 0]
    if not late or not len(tails) or not bool((tails[:, late] > COARSE).any()):
        return None
    worst = int(tails[:, late].argmax())
    member, time = names[worst // len(late)], times[late[worst % len(late)]]
    return (
        f"expected less than {COARSE:g} of the field in the outermost waves of the grid "
        f"{grid.shape}, got {float(tails[:, late].max()):.2g} for member {member} at t={time:g}; "
        "refine the grid"
    )
