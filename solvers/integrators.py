r"""Solutions of u_t = L u + N(u, f) (+ dW/dt) from given states: one entrance to all schemes.

    ifrk32, ifrk43, ifrk54   integrating-factor Runge-Kutta pairs of order 3, 4, 5: see `lawson`
    etdrk4, etdrk2           exponential time differencing of order 4, 2: see `exponential`

With a tolerance, steps follow the estimated error, each member's by itself (`controller`); with a
step alone they are equal. Forcing enters through N, so that it is integrated to full order. Every
state is cut to the waves the equation may hold (the 2/3 rule, mostly) at the start. Where the
compiled kernels know equation, grid and scheme, they do the work, by the same rules.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from pushforward.solvers import kernels
from pushforward.solvers.arguments import (
    check_finite,
    check_names,
    check_noise,
    check_shapes,
    check_sight,
    check_times,
)
from pushforward.solvers.equation import Equation, Nonlinear
from pushforward.solvers.exponential import etdrk2, etdrk4
from pushforward.solvers.failure import failure
from pushforward.solvers.grid import Grid
from pushforward.solvers.lawson import lawson
from pushforward.solvers.marching import March
from pushforward.solvers.solution import Solution
from pushforward.solvers.tableaux import TABLEAUX
from pushforward.solvers.tail import ResolutionWarning, complaint, tail
from pushforward.solvers.wiener import Path, Wiener

Scheme = Literal["ifrk32", "ifrk43", "ifrk54", "etdrk4", "etdrk2"]


def integrate(
    equation: Equation,
    grid: Grid,
    initial: Tensor,
    *,
    times: Sequence[float],
    step: float | None = None,
    tolerance: float | None = None,
    scheme: Scheme | None = None,
    forcing: Tensor | None = None,
    noise: Wiener | None = None,
    members: Sequence[int] | None = None,
    kernel: str = "auto",
) -> Tensor:
    """Solutions from states of your own.

    (member, channel, *grid) -> (member, time, channel, *grid).

    `times` are the moments to keep, increasing, from 0. `tolerance` bounds the error of a step,
    relative to the rms of the channel; `step` is then the longest step. A `step`
    alone is taken as it is, shortened so that it divides each interval. `scheme` is by default the
    equation's. `forcing` is (member, *grid), static; `noise` is added in time, white; `members`
    (default 0, 1, ...) name its paths, and the rows in errors. `kernel` is "auto", "torch" or an
    instruction set that `kernels` knows. Real type and device are those of `initial`.

    Raises ValueError for arguments that do not fit, FloatingPointError when a member blows up.
    Warns with ResolutionWarning when the grid is too coarse.

    >>> from pushforward.solvers import NavierStokes
    >>> rest, force = torch.zeros(1, 1, 8, 8), torch.ones(1, 8, 8)
    >>> force[:, :4] = -1
    >>> flow = NavierStokes(viscosity=0.1)
    >>> integrate(flow, Grid((8, 8)), rest, times=(1.0, 2.0), tolerance=1e-4, forcing=force).shape
    torch.Size([1, 2, 1, 8, 8])
    """
    return evolve(
        equation,
        grid,
        initial,
        times=times,
        step=step,
        tolerance=tolerance,
        scheme=scheme,
        forcing=forcing,
        noise=noise,
        members=members,
        kernel=kernel,
    ).fields


def evolve(
    equation: Equation,
    grid: Grid,
    initial: Tensor,
    *,
    times: Sequence[float],
    step: float | None = None,
    tolerance: float | None = None,
    scheme: Scheme | None = None,
    forcing: Tensor | None = None,
    noise: Wiener | None = None,
    members: Sequence[int] | None = None,
    kernel: str = "auto",
) -> Solution:
    """`integrate`, and how it went: step counts, spectral tails, what computed.

    >>> from pushforward.solvers import GrayScott
    >>> rest = GrayScott().initial_state(None, Grid((8, 8)))
    >>> evolve(GrayScott(), Grid((8, 8)), rest, times=(0.0, 1.0), step=0.5).steps
    tensor([2])
    """
    names = list(range(len(initial)) if members is None else members)
    times = tuple(float(time) for time in times)
    chosen = scheme or (equation.scheme if noise is None else "etdrk2")
    if chosen not in get_args(Scheme):
        raise ValueError(
            f"expected the scheme {', '.join(get_args(Scheme))}, got {chosen!r}; choose one"
        )
    check_shapes(equation, grid, initial, forcing)
    check_names(names, len(initial))
    if noise is not None:
        check_noise(equation, times, tolerance, chosen)
    check_times(times, step, tolerance, chosen, initial.dtype)
    check_finite(initial, forcing, names)
    keep = grid.resolved(equation.dealias, initial.device)
    # one member at a time: a library may transform one field otherwise than many
    u_hat = torch.stack([grid.fft(state) for state in initial]) * keep
    f_hat = None
    if forcing is not None:
        f_hat = torch.stack([grid.fft(f) for f in forcing.to(initial)]) * keep
    if chosen == "ifrk43" and tolerance is not None:
        nonlinear = equation.nonlinear(grid, initial.dtype, initial.device)
        at_rest = nonlinear(torch.zeros_like(u_hat), None if f_hat is None else f_hat[:, None])
        check_sight(chosen, at_rest, equation.linear(grid, initial.device))
    longest = min(step or math.inf, times[-1])  # a wish beyond the end would never come back
    case = _Case(equation, grid, times, longest, tolerance, chosen, names)
    if kernels.supports(equation, grid, initial.dtype, chosen, initial.device, noise, kernel):
        frames, steps, rejected = case.compiled(u_hat, f_hat, kernel)
        used = str(kernels.choose(kernel))
    else:
        frames, steps, rejected = case.in_torch(u_hat, f_hat, noise)
        used = "torch"
    tails = torch.stack([tail(frame, grid, equation.dealias) for frame in frames])
    warning = complaint(tails, times, names, grid)
    if warning is not None:
        warnings.warn(warning, ResolutionWarning, stacklevel=3)
    fields = torch.stack([grid.ifft(frame) for frame in frames])
    return Solution(fields, steps, rejected, tails.cpu(), used)


@dataclass(frozen=True)
class _Case:
    """What is solved, once checked: two ways to frames (member, time, channel, *spectral)."""

    equation: Equation
    grid: Grid
    times: tuple[float, ...]
    step: float
    tolerance: float | None
    scheme: str
    names: list[int]

    def compiled(
        self, u_hat: Tensor, f_hat: Tensor | None, kernel: str
    ) -> tuple[Tensor, Tensor, Tensor]:
        answers = kernels.solve(
            self.equation,
            self.grid,
            u_hat,
            f_hat,
            self.times,
            TABLEAUX[self.scheme],
            self.step,
            self.tolerance,
            kernel,
        )
        failed = (answers.status != kernels.FINISHED).nonzero().flatten().tolist()
        if failed:
            first, equal = failed[0], self.tolerance is None
            raise failure(
                self.names[first],
                float(answers.failed_at[first]),
                finite=int(answers.status[first]) == kernels.STEP_UNDERFLOW,
                step=self.step if equal else None,
                tolerance=self.tolerance,
            )
        return answers.frames, answers.steps, answers.rejected

    def in_torch(
        self, u_hat: Tensor, f_hat: Tensor | None, noise: Wiener | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        real, device = u_hat.dtype.to_real(), u_hat.device
        nonlinear = self.equation.nonlinear(self.grid, real, device)
        symbol = self.equation.linear(self.grid, device)
        if self.scheme in TABLEAUX:
            stages = lawson(TABLEAUX[self.scheme], symbol)
        else:
            stages = etdrk4(symbol) if self.scheme == "etdrk4" else etdrk2(symbol)
        f_hat = None if f_hat is None else f_hat[:, None]
        march = March(self.grid, stages, nonlinear, f_hat, self.times, self.names)
        if self.tolerance is not None:
            return march.by_tolerance(u_hat, self.tolerance, self.step)
        path = None
        if noise is not None:
            entry = _entry(nonlinear, u_hat) * self.grid.resolved(self.equation.dealias, device)
            path = Path(noise, self.names, self.grid, symbol, entry)
        return march.equally(u_hat, self.step, path)


def _entry(nonlinear: Nonlinear, like: Tensor) -> Tensor:
    """Where a unit of forcing enters (channel, *spectral): not in a mean that is left out."""
    zero = torch.zeros_like(like[:1])
    one = torch.ones_like(zero[:, :1])
    return (nonlinear(zero, one) - nonlinear(zero, None))[0].abs().double()
