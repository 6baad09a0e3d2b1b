"""The walk of a sampler that carries K variables a coefficient, down the levels of a path.

It holds what the samplers of `lifted` share: the start y = lift y_1 + rest z (see `reversal`), the
look at y_1 and the denoiser's F there, the affine step, and the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from pushforward.generative.denoiser import Denoiser, angle
from pushforward.generative.kernel import Dynamics
from pushforward.generative.reversal import field_step, view
from pushforward.generative.sampler import Levels, Normals

Watch = Callable[[int, Tensor], Tensor]
Times = Sequence[float]
Algebra = Callable[..., Sequence[Tensor]]  # of the dynamics and the taus of a move
TOGETHER = 2**16  # coefficients and moves whose algebra is done at once


class Walk:
    """A way down the levels: the state's algebra once per level, normals counted as drawn."""

    def __init__(
        self,
        denoiser: Denoiser,
        levels: Levels,
        dynamics: Dynamics,
        normals: Normals,
        watch: Watch | None,
    ) -> None:
        self.denoiser, self.levels, self.dynamics = denoiser, levels, dynamics
        self.normals, self.watch = normals, watch
        self.drawn = 0
        self.first = self._draw()

    def run(
        self,
        times: Times,
        moves: Sequence[Times],
        step: Algebra,
        start: Tensor | None,
        *,
        between: Algebra = field_step,
        midpoint: bool = False,
    ) -> Tensor:
        """x from evaluations at `times`, each but the last followed by a `step` over a move.

        With `midpoint` F is looked for again half a push on.
        """
        _, lift, rest = next(self._algebra(view, [(1.0,)]))
        seen = self.first[..., 0] if start is None else start
        y = lift * seen[..., None] + _apply(rest, self.first[..., 1:])
        if times[0] < 1:
            A, _, L = next(self._algebra(between, [(1.0, times[0])]))
            y = _apply(A, y) + _apply(L, self._draw())
        steps = self._algebra(step, moves)
        for i, (see, lift, _) in enumerate(self._algebra(view, [(time,) for time in times])):
            log_snr = self._level(times[i])
            seen = (see * y).sum(-1)
            if self.watch is not None:
                seen, before = self.watch(i, seen), seen
                y = y + lift * (seen - before)[..., None]
            f = self.denoiser.correction(seen, log_snr.expand_as(seen))
            if i == len(moves):
                seen = seen + angle(log_snr) * f
                break
            A, b, L, *half = next(steps)
            if midpoint:
                ahead, kept = half
                on = seen + angle(log_snr).tan() * ahead * f
                f = kept * f + self.denoiser.correction(on, log_snr.expand_as(seen))
            y = _apply(A, y) + b * f[..., None] + _apply(L, self._draw())
        return seen if self.watch is None else self.watch(len(times), seen)

    def _draw(self) -> Tensor:
        """The next K normals of every coefficient (batch, channel, mode, K)."""
        count = self.dynamics.variables
        self.drawn += count
        return torch.stack([self.normals(i) for i in range(self.drawn - count, self.drawn)], -1)

    def _level(self, time: float) -> Tensor:
        """log snr (1, channel, mode) at a time, as the data's dtype has it."""
        t = torch.full((1,), time, dtype=self.first.dtype, device=self.first.device)
        return self.levels(t).to(self.first)

    def _algebra(self, algebra: Algebra, moves: Sequence[Times]) -> Iterator[list[Tensor]]:
        """What `algebra` makes of the taus of every move, (channel, mode, ..) in the data's dtype.

        The K x K algebra runs in float64 beside the dynamics, for many moves together and once
        for coefficients that share their levels.
        """
        shape = self.first.shape[1:3]
        together = max(1, TOGETHER // shape.numel())
        for some in (moves[i : i + together] for i in range(0, len(moves), together)):
            rows = torch.stack([torch.cat([self._level(t) for t in move]) for move in some])
            if not (rows[:, 1:] >= rows[:, :-1]).all() or rows.isnan().any():
                raise ValueError(
                    "expected levels that fall with t and are no NaN, got some that do not; "
                    "look at the path"
                )
            flat = rows.flatten(2).transpose(1, 2).flatten(0, 1).to(self.dynamics.F)
            wanted, index = flat.unique(dim=0, return_inverse=True)
            found = algebra(self.dynamics, *self.dynamics.clock(wanted).unbind(-1))
            for one in index.view(len(some), *shape):
                yield [part[one].to(self.first) for part in found]


def _apply(matrix: Tensor, y: Tensor) -> Tensor:
    """(channel, mode, i, j) on (batch, channel, mode, j)."""
    return torch.einsum("cmij,bcmj->bcmi", matrix, y)
