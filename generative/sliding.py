r"""Fields wider than those a surrogate learnt: a window slides along with its columns' turns.

On a path whose `Windows` go by column, column g of n has at time t the time of its own

    u_g(t) = clip((t - delay + g d) / (1 - delay), 0, 1),      d = delay / (n - 1),

clear (0) at the left, noise (1) at the right. It depends on t + g d alone:

    u_g(t + r d) = u_{g + r}(t),

so a window at time t is, but for its r columns at the left, one at t + r d that stands r columns
further right. That is the whole scheme: the path runs from t = 1 down to a time of rest (see
`front`); the window moves on by r columns, and t goes back by r d and falls to the rest again,
over and over. The levels of what stays are what they were, what leaves is clear, and what enters
is fresh noise, as at the path's noisy end. Every state that the network sees is one of the path's
own, at a time from rest to rest + r d (or 1, before the first move). Where the law is the same in
all columns and a column, given those in the window, does not depend on ones that have left it, the
strip has the law of the whole.

With an exact denoiser every column of y keeps unit variance; a network's drifts. `levelled` strips
are drawn first, and what keeps their columns' variance at one, by move and step, is applied to all
others: the sampler's calibration, column by column.

Whitened coefficients belong to a place in the window. What moves is the field: a column of xi, in
the fields' units, is whitened again by the mean of where it comes to,

    y' = y + cos(theta) L^{-1} (m_g - m_{g - r}),

and its noise is addressed by its number in the strip. So a wider strip has the same columns first.

    Gerdes et al., GUD (2024), arXiv:2410.02667, figure 6: images extended to the right
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.generative.addresses import draw, paired
from pushforward.generative.basis import Basis
from pushforward.generative.calibration import InBatches
from pushforward.generative.denoiser import angle
from pushforward.generative.draw import FLOWS, Sampler
from pushforward.generative.front import ROUNDING, Front, front_of
from pushforward.generative.surrogate import BATCH, Surrogate
from pushforward.solvers import Use


@torch.no_grad()
def slide(
    surrogate: Surrogate,
    members: Iterable[int],
    width: int,
    *,
    seed: int = 0,
    sampler: Sampler | None = None,
    stride: int | None = None,
    levelled: int = 0,
    batch: int = BATCH,
) -> Float[Tensor, "member channel *strip"]:
    """Members as fields `width` columns (points of the last axis) wide, float32.

    The other axes are those of the training grid, the spacing of points as well. `sampler` is the
    preset's when it does not say; its `steps` are those of a whole path, from which a move by
    `stride` columns takes its share, one at least and one evaluation more. `stride` is by default
    half of the columns that are clear at rest; the fewer, the more of them stay in sight. A
    column's variance is levelled by that of so many strips, with an error of its sampling; 0
    leaves it to the network. Gains of the surrogate's own calibration, which are of whole windows,
    are not applied.

    Raises ValueError for a basis other than pixel, a periodic box, a path without windows by
    column or with a front wider than the window, columns that cannot vary alike, a sampler that
    moves several variables, and a width, stride, batch or number of strips that cannot be.

    >>> from pushforward.generative import Backbone, Path, Windows, preset
    >>> from pushforward.solvers import Grid
    >>> grid, small = Grid((4, 8), boundary="neumann"), Backbone("unet", width=8, layers=1)
    >>> u = torch.randn(64, 1, 4, 8, generator=torch.Generator().manual_seed(0))
    >>> path = Path(windows=Windows("column", delay=0.6))
    >>> surrogate = Surrogate.fit(preset("gud", basis="pixel", path=path, backbone=small), u, grid)
    >>> strip = slide(surrogate, range(2), 20)
    >>> strip.shape, strip[..., :12].equal(slide(surrogate, range(2), 12))
    (torch.Size([2, 1, 4, 20]), True)
    """
    members, sampler = list(members), sampler or Sampler()
    sampler = sampler.or_else(surrogate.architecture.method, surrogate.architecture.churn)
    if sampler.method not in FLOWS:
        raise ValueError(
            f"expected one of the samplers {', '.join(FLOWS)} to slide with, got "
            f"{sampler.method}; name one of them"
        )
    front, size = front_of(surrogate)
    stride = stride or size * max(1, front.clear // 2)
    if stride % size or not 0 < stride <= (front.clear - 1) * size or min(width, batch) < 1:
        raise ValueError(
            f"expected width, batch >= 1 and a stride of 1 to {front.clear - 1} times {size} "
            f"columns, so that a clear one stays, got {width}, {batch} and {stride}; change them"
        )
    if levelled == 1 or levelled < 0:
        raise ValueError(
            f"expected 0 or at least 2 strips to level columns by, got {levelled}; raise it"
        )
    gains = _gains(surrogate, levelled, width, stride, seed, sampler, batch) if levelled else None
    strips = [surrogate.basis.mean.new_empty((0, *_shape(surrogate.basis, width))).float()]
    for start in range(0, len(members), batch):
        own = members[start : start + batch]
        strips.append(_Strip(surrogate, own, seed, sampler, front, size, gains).run(width, stride))
    return torch.cat(strips)


def _gains(
    surrogate: Surrogate,
    strips: int,
    width: int,
    stride: int,
    seed: int,
    sampler: Sampler,
    batch: int,
) -> list[list[Tensor]]:
    """What columns are multiplied by, measured on strips of their own until nothing is new."""
    front, size = front_of(surrogate)
    some = _Strip(surrogate, range(strips), seed, sampler, front, size, [], batch)
    once = surrogate.basis.grid.shape[-1] + stride  # all that the first window knew has left
    some.run(min(width, front.clear * size + once), stride)
    return some.gains or []


class _Strip:
    """Some members on their way: `moved`, the columns that have left, and y of the window.

    `gains`, by run down to the rest and step, are of (channel, column); an empty list is filled by
    these members, in batches of `measuring`.
    """

    def __init__(
        self,
        surrogate: Surrogate,
        members: Sequence[int],
        seed: int,
        sampler: Sampler,
        front: Front,
        size: int,
        gains: list[list[Tensor]] | None = None,
        measuring: int = 0,
    ) -> None:
        self.basis, self.denoiser = surrogate.basis, surrogate.denoiser
        if measuring:
            self.denoiser = InBatches(self.denoiser, measuring)
        self.levels = surrogate.along(sampler.strength)
        self.members, self.seed, self.sampler = members, seed, sampler
        self.front, self.size = front, size
        self.gains, self.measuring = gains, measuring
        self.moved, self.drawn, self.runs = 0, 0, 0
        self.y = self._noise(Use.PRIOR, 0)

    def run(self, width: int, stride: int) -> Tensor:
        """The first `width` columns: those that are clear after each run down to the rest."""
        front, clear = self.front, self.front.clear * self.size
        done = [self._down(1.0)[..., :clear].clone()]  # not a view, which would keep the window
        turn = front.spacing * stride / self.size
        while clear + self.moved < width:
            self._move(stride)
            done.append(self._down(front.rest + turn)[..., clear - stride : clear].clone())
        return torch.cat(done, -1)[..., :width]

    def _down(self, start: float) -> Tensor:
        """The window's fields as if clear, from the path between `start` and the rest."""
        rest, steps = self.front.rest, self.sampler.steps
        moves = max(1, math.ceil(steps * (start - rest) - ROUNDING))
        first = self.drawn

        def levels(t: Tensor) -> Tensor:
            return self.levels(rest + (start - rest) * t.double()).to(self.y)

        def watch(i: int, y: Tensor) -> Tensor:
            if 0 < i <= moves:
                y = self._levelled(i - 1, y)
            if i == moves:  # at rest, before the step that clears all
                self.y = y
            return y

        x = replace(self.sampler, steps=moves + 1)(
            self.denoiser,
            levels,
            lambda i: self._noise(Use.CHURN, first + i),
            start=self.y,
            watch=watch,
        )
        self.drawn += moves + 1
        self.runs += 1
        return self.basis.synthesise(x, self.basis.grid)

    def _levelled(self, step: int, y: Tensor) -> Tensor:
        """y with its columns at the variance that they should have after a step of this run."""
        if self.gains is None:
            return y
        shape = self.basis.grid.shape
        if self.measuring:
            kept = self.basis.mask.to(y).view(len(self.basis.mask), -1, shape[-1]).sum(1)
            power = y.square().mean(0).view(len(kept), -1, shape[-1]).sum(1)
            power = torch.where(kept > 0, power / kept.clamp_min(1), 1.0)
            if step == 0:
                self.gains.append([])
            self.gains[self.runs].append(power.clamp(0.01, 100.0).rsqrt())
        gain = self.gains[min(self.runs, len(self.gains) - 1)][step]
        return (y.unflatten(-1, (-1, shape[-1])) * gain[:, None]).flatten(2)

    def _move(self, stride: int) -> None:
        """The window `stride` columns further right."""
        rest = torch.full((1,), self.front.rest, dtype=torch.float64, device=self.y.device)
        cos = torch.cos(angle(self.levels(rest))).to(self.y)
        shape = self.basis.grid.shape
        y = moved(self.basis, self.y, cos, stride).unflatten(-1, shape)
        self.moved += stride
        fresh = self._noise(Use.PRIOR, 0).unflatten(-1, shape)
        self.y = torch.cat([y[..., :-stride], fresh[..., -stride:]], -1).flatten(2)

    def _noise(self, use: Use, step: int) -> Tensor:
        """Normals by the numbers of columns in the strip; those of the basis before any move."""
        axes = [torch.arange(n, device=self.basis.mask.device) for n in self.basis.grid.shape]
        axes[-1] = axes[-1] + self.moved
        words, pick = paired(torch.cartesian_prod(*axes).view(-1, len(axes)))
        if self.measuring:  # other strips than any that is asked for
            use, step = Use.CALIBRATION, 0 if use == Use.PRIOR else step + 1
        g = draw(words, pick, self.basis.channels, self.seed, use, self.members, step)
        return g.float().mul_(self.basis.mask)


def moved(
    basis: Basis,
    y: Float[Tensor, "member channel mode"],
    cos: Float[Tensor, "one channel mode"],
    stride: int,
) -> Float[Tensor, "member channel mode"]:
    """y of a window that stands `stride` columns further right; its last columns are to be drawn.

    The field xi that y = cos(theta) L^{-1} (xi - m) shows stays where it is in space.

    >>> from pushforward.generative.pixel import PixelBasis
    >>> from pushforward.solvers import Grid
    >>> u = torch.randn(64, 1, 4, generator=torch.Generator().manual_seed(0))
    >>> basis = PixelBasis.fit(u, Grid((4,)))
    >>> y = torch.arange(4.0).view(1, 1, 4)
    >>> moved(basis, y, torch.ones_like(y), 1)[..., :3]
    tensor([[[1., 2., 3.]]])
    """

    def along(values: Tensor) -> Tensor:
        return values.unflatten(-1, basis.grid.shape).roll(-stride, -1).flatten(-len(basis.extent))

    gap = along(basis.mean) - basis.mean
    y, cos = along(y), along(cos)
    if not gap.any():
        return y
    return y + cos * basis.whiten(gap + basis.mean).to(y)


def _shape(basis: Basis, width: int) -> tuple[int, ...]:
    """(channel, *strip)."""
    return (basis.channels, *basis.grid.shape[:-1], width)
