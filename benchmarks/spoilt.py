"""Solved flows, and copies of them that are wrong on purpose: what `controls_table` scores.

Every copy is spoilt in one way that a surrogate may be wrong in, from members that stand on
neither side of the floors.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.controls import low_pass, moved, noisy, random_phases, repeated
from pushforward.solvers import GaussianField, Grid, NavierStokes, Problem, ResolutionWarning

GRID = Grid((32, 32))
FIELD = GaussianField.matern(4.0, 0.3, deviation=3.0, mean=False, cutoff=10)
VISCOSITY, TIME = 0.01, 2.0


@dataclass(frozen=True)
class Flow:
    """Solver members (member, 1, y, x): learnt from, to be scored, and the pool of the floors.

    `first` is the first member's number: another one gives another, independent set. The grid cuts
    off the smallest eddies, and the solver says so; what is sampled is the law of the system that
    it cuts, which is as good a law as any other.
    """

    members: int = 128
    first: int = 0

    def solve(self, start: int, count: int, viscosity: float = VISCOSITY) -> Tensor:
        """`count` members from the number `start` on, after `first`."""
        flow = NavierStokes(viscosity=viscosity)
        problem = Problem(GRID, flow, FIELD, times=(TIME,), tolerance=1e-4)
        start += self.first
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResolutionWarning)
            return problem.solve(range(start, start + count))[:, 0]

    @property
    def training(self) -> Tensor:
        """What a surrogate would have learnt from."""
        return self.solve(0, 2 * self.members)

    @property
    def scored(self) -> Tensor:
        """Members that stand on neither side of the floors."""
        return self.solve(2 * self.members, self.members)

    @property
    def pool(self) -> Tensor:
        """Held-out members, the last of which are the reference."""
        return self.solve(3 * self.members, 4 * self.members)

    def controls(self, names: tuple[str, ...] = ()) -> dict[str, Tensor]:
        """Every control's members, or those of some by name."""
        makers = self.makers()
        return {k: makers[k]().float() for k in makers if not names or k in names}

    def makers(self) -> dict[str, Callable[[], Tensor]]:
        """What makes each control's members."""
        scored = self.scored
        deviation = scored.std()
        return {
            "another set": lambda: scored,
            "random phases": lambda: random_phases(scored, GRID),
            "2/3 low-pass": lambda: low_pass(scored, GRID),
            "viscosity x 1.5": lambda: self.solve(2 * self.members, self.members, 1.5 * VISCOSITY),
            "1% white noise": lambda: noisy(scored, GRID, 0.01),
            "10% white noise": lambda: noisy(scored, GRID, 0.1),
            "16 members, repeated": lambda: repeated(scored, 16),
            "training copy": lambda: moved(self.training[: self.members], GRID),
            "Gaussian": self.gaussian,
            "skewed values": lambda: scored + 0.15 * (scored.square() / deviation - deviation),
            "amplitude x 1.3": lambda: 1.3 * scored,
            "reversed in time": lambda: -scored,
        }

    def gaussian(self) -> Tensor:
        """Members of a Gaussian law with the power of the training members."""
        generator = torch.Generator().manual_seed(self.first)
        shape = (self.members, 1, *GRID.shape)
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)
        power = GRID.fft(self.training.double()).abs().square().mean(0)
        return GRID.ifft(GRID.fft(noise) * (GRID.size * power).sqrt())


@dataclass(frozen=True)
class Tracer(Flow):
    """As `Flow`, with a second variable: a smoothed vorticity and noise of its own."""

    def solve(self, start: int, count: int, viscosity: float = VISCOSITY) -> Tensor:
        """Members (member, 2, y, x)."""
        flow = super().solve(start, count, viscosity)
        smooth = GRID.ifft(GRID.fft(flow.double()) * (GRID.laplacian() / 8).exp())
        numbers = range(self.first + start, self.first + start + count)
        noise = FIELD.sample(numbers, GRID, seed=99)[:, None]
        return torch.cat([flow, (smooth + 0.2 * noise).float()], 1)

    def makers(self) -> dict[str, Callable[[], Tensor]]:
        """What makes each control's members: the vorticity is always as it was."""
        scored = self.scored
        flow, tracer = scored[:, :1], scored[:, 1:]
        slope = GRID.ifft(GRID.fft(tracer.double()) * GRID.gradient()[-1])
        return {
            "another set": lambda: scored,
            "variables shuffled between members": lambda: torch.cat([flow, tracer.roll(1, 0)], 1),
            "tracer of the other sign": lambda: torch.cat([flow, -tracer], 1),
            "tracer steepened": lambda: torch.cat([flow, tracer * (1 + 0.1 * slope)], 1),
        }
