r"""Exponential time differencing Runge-Kutta: u_t = L u + N(u), L exact, N of order 2 or 4.

With h the step, z = h L and phi_1(z) = (e^z - 1) / z, phi_2, phi_3 its successors,

    ETDRK2   a = e^z u + h phi_1 N(u),
             u' = a + h phi_2 (N(a) - N(u))
    ETDRK4   four stages of Cox and Matthews, with Kassam and Trefethen's weights.

The weights lose all digits near z = 0 when evaluated as written; they are means over a circle
around z instead (Cauchy's formula, 64 points, float64), exact to round-off. Forcing enters through
N, so that it is integrated to full order. Every state is cut by the 2/3 rule at the start.

    Cox, Matthews, J. Comput. Phys. 176 (2002), doi:10.1006/jcph.2002.6995
    Kassam, Trefethen, SIAM J. Sci. Comput. 26 (2005), doi:10.1137/S1064827502410633
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from pushforward.solvers.equation import Equation
from pushforward.solvers.grid import Grid

Scheme = Literal["etdrk2", "etdrk4"]
Step = Callable[[Tensor], Tensor]


def integrate(
    equation: Equation,
    grid: Grid,
    initial: Tensor,
    *,
    times: Sequence[float],
    step: float,
    forcing: Tensor | None = None,
    scheme: Scheme = "etdrk4",
    members: Sequence[int] | None = None,
) -> Tensor:
    """Solutions from states of your own.

    (member, channel, *grid) -> (member, time, channel, *grid). `times` are the moments to keep,
    increasing, from 0; the step is shortened so that it divides each interval. `forcing` is
    (member, *grid), static. `members` only names rows in errors. Real type and device are those of
    `initial`.

    Raises ValueError for shapes or times that do not fit, FloatingPointError when a member blows
    up.

    >>> heat = __import__("pushforward.solvers").solvers.GrayScott(feed_rate=0, kill_rate=0)
    >>> rest = heat.initial_state(None, Grid((8, 8)))
    >>> integrate(heat, Grid((8, 8)), rest, times=(0.0, 1.0), step=0.5).shape
    torch.Size([1, 2, 2, 8, 8])
    """
    _check(equation, grid, initial, forcing, times, step)
    keep = grid.resolved(2 / 3, initial.device)
    u_hat = grid.fft(initial) * keep
    f_hat = None if forcing is None else (grid.fft(forcing.to(initial)) * keep)[:, None]
    nonlinear = equation.nonlinear(grid, initial.dtype, initial.device)
    symbol = equation.linear(grid, initial.device)
    names = range(len(initial)) if members is None else members
    frames, now, previous = [], 0.0, math.nan
    advance: Step = lambda u: u  # noqa: E731 - replaced before the first step
    for time in times:
        count = max(math.ceil((time - now) / step - 1e-9), 0)
        h = (time - now) / count if count else math.nan
        if count and not math.isclose(h, previous, rel_tol=1e-12):
            advance = stepper(symbol, lambda u: nonlinear(u, f_hat), h, scheme, initial.dtype)
            previous = h
        for i in range(count):
            u_hat = advance(u_hat)
            if not torch.isfinite(torch.view_as_real(u_hat).sum()):
                raise FloatingPointError(_blow_up(u_hat, names, now + (i + 1) * h, step))
        now = time
        frames.append(grid.ifft(u_hat))
    return torch.stack(frames, dim=1)


def stepper(symbol: Tensor, nonlinear: Step, h: float, scheme: Scheme, dtype: torch.dtype) -> Step:
    """One step of length h as a function of the coefficients; weights are computed once.

    `symbol` is L in float64 or complex128, `nonlinear` maps coefficients to coefficients.

    >>> decay = stepper(torch.tensor([-1.0]), torch.zeros_like, 0.5, "etdrk4", torch.float64)
    >>> round(decay(torch.ones(1)).item(), 6) == round(math.exp(-0.5), 6)
    True
    """
    z = h * symbol
    cast = dtype.to_complex() if z.is_complex() else dtype
    weights = {name: (h * w).to(cast) for name, w in _weights(z).items()}
    full, half = torch.exp(z).to(cast), torch.exp(z / 2).to(cast)

    def etdrk2(u: Tensor) -> Tensor:
        n = nonlinear(u)
        a = full * u + weights["phi1"] * n
        return a + weights["phi2"] * (nonlinear(a) - n)

    def etdrk4(u: Tensor) -> Tensor:
        n_u = nonlinear(u)
        half_u = half * u
        a = half_u + weights["half"] * n_u
        n_a = nonlinear(a)
        b = half_u + weights["half"] * n_a
        n_b = nonlinear(b)
        c = half * a + weights["half"] * (2 * n_b - n_u)
        n_c = nonlinear(c)
        return (
            full * u
            + weights["first"] * n_u
            + weights["middle"] * (n_a + n_b)
            + weights["last"] * n_c
        )

    if scheme not in ("etdrk2", "etdrk4"):
        raise ValueError(
            f"expected scheme 'etdrk2' or 'etdrk4', got {scheme!r}; choose one of them"
        )
    return etdrk2 if scheme == "etdrk2" else etdrk4


def _weights(z: Tensor, points: int = 64) -> dict[str, Tensor]:
    """The weights / h at z = h L: means of entire functions over a circle of radius 1 around z."""
    angle = (
        (torch.arange(points, dtype=torch.float64, device=z.device) + 0.5) * 2 * math.pi / points
    )
    sums: dict[str, Tensor] = {}
    for unit in torch.polar(torch.ones_like(angle), angle):
        r = z + unit
        e = torch.exp(r)
        terms = {
            "phi1": (e - 1) / r,
            "phi2": (e - 1 - r) / r**2,
            "half": (torch.exp(r / 2) - 1) / r,
            "first": (-4 - r + e * (4 - 3 * r + r**2)) / r**3,
            "middle": 2 * (2 + r + e * (r - 2)) / r**3,
            "last": (-4 - 3 * r - r**2 + e * (4 - r)) / r**3,
        }
        for name, term in terms.items():
            sums[name] = sums[name] + term if name in sums else term
    return {k: v / points if z.is_complex() else v.real / points for k, v in sums.items()}


def _blow_up(u_hat: Tensor, members: Sequence[int], time: float, step: float) -> str:
    bad = ~torch.isfinite(torch.view_as_real(u_hat)).flatten(1).all(1)
    first = int(bad.nonzero()[0]) if bad.any() else 0
    return f"member {members[first]} became non-finite at t={time:.6g}; halve step (now {step:g})"


def _check(
    equation: Equation,
    grid: Grid,
    initial: Tensor,
    forcing: Tensor | None,
    times: Sequence[float],
    step: float,
) -> None:
    expected = (len(initial), len(equation.channels), *grid.shape)
    if tuple(initial.shape) != expected:
        raise ValueError(
            f"expected an initial state of shape (member, channel, *grid) = {expected}, "
            f"got {tuple(initial.shape)}; add the missing axis"
        )
    if forcing is not None and not equation.forced:
        raise ValueError(
            f"expected no forcing for {type(equation).__name__}, got one of shape "
            f"{tuple(forcing.shape)}; leave it out"
        )
    if forcing is not None and tuple(forcing.shape) != (len(initial), *grid.shape):
        raise ValueError(
            f"expected a forcing of shape (member, *grid) = {(len(initial), *grid.shape)}, "
            f"got {tuple(forcing.shape)}; draw it on the same grid"
        )
    if not times or any(b <= a for a, b in zip((-1e-300, *times), times, strict=False)):
        raise ValueError(f"expected increasing times from 0, got {tuple(times)}; sort them")
    if step <= 0:
        raise ValueError(
            f"expected a positive step, got {step}; choose one below the shortest interval"
        )
