r"""What an average over the spectrum hides: its worst shell, its top octave, and empty waves.

With E the spectrum per shell of the scored ensemble a and of the solver's members b, over the
shells that count (`Yardstick.resolved`), and z = (u - mean) / sigma:

    worst_shell     max_k |log10 E_a(k) / E_b(k)|, dex
    top_octave      sqrt(mean_k log10(E_a(k) / E_b(k))^2) over k > k_max / 2, dex: where generators
                    lose or invent small scales first
    mean_mode       |m_a - m_b|, m^2 = <(mean of z over the box)^2>, in sigma. Where a law of
                    conservation fixes the mean, m_b is 0 and m_a must be; where the mean varies
                    from member to member, it must vary as much
    dealiased_tail  the share of a's power in waves that b leaves empty

A solver that cuts by the 2/3 rule fills a box of waves |k_i| < N_i / 3 and not a ball, so
emptiness is asked of *frames*, the waves with max_i 2 |k_i| / N_i in one of N / 2 equal bins. A
frame is empty when its waves hold, each, less than 1e-9 of the fullest frame's. Single precision
is no mistake: m below 1e-5 and shares below 1e-10 are round-off, and count as 0; so between sets
of solver members both scores are exactly 0 where the solver leaves nothing, and any more is
outside. Where no wave is empty there is no such score: NaN.

    Orszag (the 2/3 rule), J. Atmos. Sci. 28 (1971),
    doi:10.1175/1520-0469(1971)028<1074:OTEOAI>2.0.CO;2
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.scores import NOTHING, SPECTRUM, Score, Statistic
from pushforward.solvers import Grid
from pushforward.yardstick import Yardstick

EMPTY = 1e-9  # power a wave, of the fullest frame's, below which nothing was meant
ROUND_OFF = 1e-10  # share of the power that single precision leaves anywhere


def log_ratio(a: Tensor, b: Tensor, yardstick: Yardstick) -> Float[Tensor, "... shell"]:
    """log10 of a's over b's power in every resolved shell.

    >>> grid = Grid((16, 16))
    >>> stick = Yardstick.fit(torch.randn(8, 16, 16), grid)
    >>> b = torch.ones(12).double()
    >>> log_ratio(100 * b, b, stick)
    tensor([2., 2., 2., 2., 2., 2., 2.], dtype=torch.float64)
    """
    a, b = a[..., yardstick.resolved], b[..., yardstick.resolved]
    nothing = NOTHING * b.amax(-1, keepdim=True)
    return (torch.maximum(a, nothing) / torch.maximum(b, nothing)).log10()


def frames(grid: Grid) -> Tensor:
    """The frame of every coefficient, int64: max_i 2 |k_i| / N_i in bins of the longest axis.

    Between walls a half wave counts as half a wave.

    >>> frames(Grid((8, 8)))[:5, :4]
    tensor([[0, 1, 2, 3],
            [1, 1, 2, 3],
            [2, 2, 2, 3],
            [3, 3, 3, 3],
            [4, 4, 4, 4]])
    """
    halves = max(grid.shape) / (2 if grid.periodic else 1)
    share = [
        k.abs() / (n / (2 if grid.periodic else 1))
        for k, n in zip(grid.integers(), grid.shape, strict=True)
    ]
    largest = torch.stack(torch.broadcast_tensors(*share)).amax(0)
    return torch.round(largest * halves).long()


def _power(fields: Tensor, yardstick: Yardstick) -> Tensor:
    """The squared mean of z, then its power per frame."""
    grid = yardstick.grid
    z_hat = grid.fft(yardstick.standardise(fields))
    power = z_hat.abs().square() * grid.multiplicity()
    number = frames(grid)
    rows = power.new_zeros(len(power), int(number.max()) + 1)
    rows.index_add_(1, number.flatten(), power.flatten(1))
    return torch.cat([z_hat.flatten(1)[:, :1].abs().square(), rows], 1)


def _worst_shell(a: Tensor, b: Tensor, yardstick: Yardstick) -> Tensor:
    return log_ratio(a, b, yardstick).abs().amax(-1)


def _top_octave(a: Tensor, b: Tensor, yardstick: Yardstick) -> Tensor:
    number = yardstick.resolved.nonzero().flatten()
    top = 2 * number > number.max()
    return log_ratio(a, b, yardstick)[..., top].square().mean(-1).sqrt()


def _mean_mode(a: Tensor, b: Tensor, yardstick: Yardstick) -> Tensor:
    sizes = [torch.where(m[..., 0] > ROUND_OFF, m[..., 0], 0.0).sqrt() for m in (a, b)]
    return (sizes[0] - sizes[1]).abs()


def _dealiased_tail(a: Tensor, b: Tensor, yardstick: Yardstick) -> Tensor:
    grid = yardstick.grid
    number, count = frames(grid), b.new_zeros(b.shape[-1] - 1)
    count.index_add_(0, number.flatten(), grid.multiplicity().flatten())
    density = b[..., 1:] / count
    empty = density < EMPTY * density.amax(-1, keepdim=True)
    if not bool(empty.any()):
        return torch.full_like(a[..., 0], torch.nan)
    share = (a[..., 1:] * empty).sum(-1) / a[..., 1:].sum(-1)
    return torch.where(share > ROUND_OFF, share, 0.0)


FRAMES = Statistic("frames", _power)
SCORES = (
    Score("worst_shell", "Worst shell", "dex", SPECTRUM, _worst_shell),
    Score("top_octave", "Top octave", "dex", SPECTRUM, _top_octave),
    Score("mean_mode", "Mean mode", "σ", FRAMES, _mean_mode),
    Score("dealiased_tail", "Power in empty waves", "", FRAMES, _dealiased_tail),
)
