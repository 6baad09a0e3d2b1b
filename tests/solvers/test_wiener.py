"""White noise in time: exact increments, one path for all steps, strong order 1, weak order 2."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from pushforward.solvers import Equation, GaussianField, Grid, NavierStokes
from pushforward.solvers.burgers import Burgers
from pushforward.solvers.exponential import etdrk2
from pushforward.solvers.integrators import integrate
from pushforward.solvers.wiener import Path, Wiener

DECAY = 0.3
pytestmark = pytest.mark.filterwarnings("ignore::pushforward.solvers.tail.ResolutionWarning")


@dataclass(frozen=True)
class Heat(Equation):
    """u_t = c Lap u - DECAY u + f: a Gaussian process with closed moments."""

    diffusivity: float = 1.0

    channels: ClassVar[dict[str, str]] = {"u": "temperature"}
    forced: ClassVar[bool] = True
    boundary: ClassVar[tuple[str, ...]] = ("periodic", "neumann")

    def linear(self, grid: Grid, device: torch.device | str = "cpu") -> Tensor:
        return (self.diffusivity * grid.laplacian(device) - DECAY)[None]

    def nonlinear(
        self, grid: Grid, dtype: torch.dtype, device: torch.device | str
    ) -> Callable[[Tensor, Tensor | None], Tensor]:
        return lambda u, f: torch.zeros_like(u) if f is None else f + torch.zeros_like(u)

    def initial_state(self, z: Tensor | None, grid: Grid) -> Tensor:
        raise NotImplementedError


FIELD = GaussianField.matern(2.0, 0.5, deviation=1.0)


def path(symbol: Tensor, members: range = range(4000), grid: Grid | None = None) -> Path:
    grid = grid or Grid((4,))
    return Path(Wiener(FIELD, seed=3), members, grid, symbol, torch.ones(symbol.shape).double())


@pytest.mark.parametrize("rate", [0.0, -0.7, -300.0, -0.2 + 5j])
def test_increments_have_the_ornstein_uhlenbeck_variance_and_add_up(rate: complex) -> None:
    """Of the whole interval, and of its quarters, which are independent and make up the whole."""
    symbol = torch.full((1, 3), rate)
    symbol = symbol.to(torch.complex128 if isinstance(rate, complex) else torch.float64)
    noise, h, like = path(symbol), 0.8, torch.zeros(1, dtype=torch.complex128)
    (whole,) = noise.increments(0, h, 0, like)
    quarters = list(noise.increments(0, h, 2, like))
    factor = torch.exp(symbol * h / 4)
    total = sum(factor ** (3 - i) * eta for i, eta in enumerate(quarters))
    torch.testing.assert_close(total, whole, rtol=0, atol=1e-12)
    q = FIELD.symbol(Grid((4,)))[1]
    for eta, span in ((whole, h), *((eta, h / 4) for eta in quarters)):
        real = 2 * complex(rate).real
        variance = q * (math.expm1(real * span) / real if real else span)
        sample = eta[:, 0, 1].abs().square() / variance  # exponential with mean 1
        assert abs(sample.mean().item() - 1) < 4 / math.sqrt(len(sample))
        assert abs(1.1 * sample.mean().item() - 1) > 4 / math.sqrt(len(sample)) or span == h
    a, b = (eta[:, 0, 1] / eta[:, 0, 1].abs().square().mean().sqrt() for eta in quarters[1:3])
    assert abs((a * b.conj()).mean()) < 4 / math.sqrt(len(a))
    assert abs((a * (b + 0.1 * a).conj()).mean()) > 4 / math.sqrt(len(a))


@pytest.mark.parametrize("boundary", ["periodic", "neumann"])
@pytest.mark.parametrize("step", [10.0, 0.7])
def test_stationary_heat_has_the_exact_variance_whatever_the_step(
    boundary: str, step: float
) -> None:
    grid = Grid((12,), (3.0,), boundary)  # type: ignore[arg-type]
    equation, members = Heat(0.1), 2000
    start = torch.zeros(members, 1, 12, dtype=torch.float64)
    u = integrate(equation, grid, start, times=(20.0,), step=step, noise=Wiener(FIELD))
    power = grid.fft(u[:, 0, 0]).abs().square()
    rate = 2 * equation.linear(grid)[0]
    expected = FIELD.symbol(grid) * torch.expm1(20 * rate) / rate
    kept = grid.resolved(2 / 3)
    assert power[:, ~kept].max() < 1e-25
    ratio = power[:, kept].mean(0) / expected[kept]
    real = 2.0 if boundary == "neumann" else 1.0  # the variance of a squared coefficient
    error = 4 * torch.full_like(ratio, real / members).sqrt()
    error[0] *= math.sqrt(2 / real)  # the mean is real
    assert ((ratio - 1).abs() < error).all(), ratio
    assert not ((1.3 * ratio - 1).abs() < error).all()


def test_noise_of_any_forced_equation_leaves_its_conserved_mean() -> None:
    grid = Grid((16, 16))
    rest = torch.zeros(3, 1, 16, 16, dtype=torch.float64)
    w = integrate(
        NavierStokes(viscosity=0.1), grid, rest, times=(1.0,), step=0.5, noise=Wiener(FIELD)
    )
    assert w.mean(grid.axes).abs().max() < 1e-15
    assert w.abs().amax((1, 2, 3, 4)).min() > 0.1


def stirred(step: float, seed: int = 1, members: int = 20) -> Tensor:
    """Burgers' equation under smooth noise."""
    grid = Grid((32,))
    field = GaussianField.squared_exponential(1.0, deviation=0.5)
    start = torch.sin(grid.coordinates()[0]).expand(members, 1, 32).clone()
    noise = Wiener(field, seed)
    return integrate(
        Burgers(viscosity=0.5), grid, start, times=(0.5, 1.0), step=step, noise=noise
    )[:, -1, 0]


def test_strong_order_is_one_on_one_path() -> None:
    exact = stirred(2.0**-9)
    steps = [2.0**-n for n in range(3, 7)]
    errors = [float((stirred(step) - exact).square().mean().sqrt()) for step in steps]
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert 0.9 < slope < 1.2, errors
    other = float((stirred(steps[-1], seed=2) - exact).square().mean().sqrt())
    assert other > 20 * errors[-1]  # another path is far away, however short the step


def amplification(h: float, symbol: float, feedback: float) -> tuple[float, float]:
    """How one step of u' = L u + c u + noise multiplies the state and the increment."""
    stages = etdrk2(torch.full((1, 1), symbol, dtype=torch.float64))
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    tables = stages.cast([h], one)
    rhs = lambda u: feedback * u  # noqa: E731
    kept, _ = stages.advance(tables, one, rhs, kick=0 * one)
    gained, _ = stages.advance(tables, 0 * one, rhs, kick=one)
    return kept.item(), gained.item()


def second_moment_error(h: float, predicted: bool = True) -> float:
    """E u(1)^2 by the scheme, without sampling, against the closed form; u(0) = 1, q = 1.

    Not `predicted`: the increment is left out of the first stage.
    """
    symbol, feedback, moment = -1.5, 0.3, 1.0
    kept, gained = amplification(h, symbol, feedback)
    gained = gained if predicted else 1.0
    for _ in range(round(1 / h)):
        moment = kept**2 * moment + gained**2 * math.expm1(2 * symbol * h) / (2 * symbol)
    rate = 2 * (symbol + feedback)
    return abs(moment - (math.exp(rate) + math.expm1(rate) / rate))


def test_weak_order_is_two_in_closed_form() -> None:
    steps = [1 / 4, 1 / 8, 1 / 16, 1 / 32]
    errors = [second_moment_error(h) for h in steps]
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(2, abs=0.1)
    careless = [second_moment_error(h, predicted=False) for h in steps]
    assert np.polyfit(np.log(steps), np.log(careless), 1)[0] == pytest.approx(1, abs=0.2)


def means(level: int, members: int = 1500) -> Tensor:
    """u(1)^2 of u' = u - u^3 + noise at a point of each of 4 members' sites, on fixed paths."""
    grid = Grid((4,))
    start = torch.full((members, 1, 4), 0.5, dtype=torch.float64)
    noise = Wiener(GaussianField.squared_exponential(1.0, deviation=0.5), 5)
    u = integrate(Cubic(), grid, start, times=(1.0,), step=2.0**-level, noise=noise)
    return u.square().mean((1, 2, 3))


@dataclass(frozen=True)
class Cubic(Heat):
    """u_t = Lap u - DECAY u + u - u^3, without dealiasing."""

    def nonlinear(
        self, grid: Grid, dtype: torch.dtype, device: torch.device | str
    ) -> Callable[[Tensor, Tensor | None], Tensor]:
        def rate(u_hat: Tensor, f_hat: Tensor | None) -> Tensor:
            u = grid.ifft(u_hat)
            return grid.fft(u - u**3) + (0 if f_hat is None else f_hat)

        return rate


def test_weak_order_is_two_for_a_cubic_too() -> None:
    """On the same paths, so that the mean of a difference is what is estimated."""
    exact = means(4)
    bias, error = [], []
    for level in (0, 1, 2):
        difference = means(level) - exact
        bias.append(difference.mean().item())
        error.append(4 * difference.std().item() / math.sqrt(len(difference)))
    assert abs(bias[0]) > error[0]  # there is something to fall
    for i in (0, 1):  # by four, and not by two, per halving
        assert abs(bias[i + 1] - bias[i] / 4) < error[i + 1] + error[i] / 4
    assert abs(bias[1] - bias[0] / 2) > error[1] + error[0] / 2


def test_path_does_not_depend_on_batch_nor_on_a_moment_zero() -> None:
    grid = Grid((16,))
    start = torch.zeros(4, 1, 16, dtype=torch.float64)

    def solve(members: list[int], times: tuple[float, ...]) -> Tensor:
        state, noise = start[: len(members)], Wiener(FIELD, 1)
        return integrate(
            Burgers(viscosity=0.2),
            grid,
            state,
            times=times,
            step=0.3,
            noise=noise,
            members=members,
        )

    together = solve([5, 2, 9, 0], (1.0, 2.0))
    assert torch.equal(solve([9], (1.0, 2.0))[0], together[2])
    assert torch.equal(solve([0, 9], (0.0, 1.0, 2.0))[:, 1:], together[[3, 2]])


def test_finer_grid_sees_the_same_path_of_the_waves_drawn() -> None:
    coarse, fine = Grid((16,)), Grid((48,))
    noise = Wiener(GaussianField.matern(1.0, 1.0), 1, drawn_on=coarse)
    start = torch.zeros(2, 1, 48, dtype=torch.float64)
    u = integrate(Heat(), fine, start, times=(1.0,), step=0.5, noise=noise)
    u_hat = fine.fft(u[:, 0, 0])
    assert u_hat[:, 8:].abs().max() < 1e-15 < u_hat[:, 7].abs().min()
    there = integrate(Heat(), coarse, start[..., ::3], times=(1.0,), step=0.5, noise=noise)
    torch.testing.assert_close(coarse.fft(there[:, 0, 0])[:, :5], u_hat[:, :5])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"step": 1e-4}, "at most 4096 steps between two times"),
        ({"tolerance": 1e-3}, "a step alone with noise"),
        ({"scheme": "etdrk4"}, "scheme 'etdrk2' and a step alone"),
        ({"times": tuple(range(1, 4099)), "step": 1.0}, "at most 4096 times"),
    ],
)
def test_what_noise_cannot_do_is_refused(change: dict[str, object], message: str) -> None:
    arguments = {"times": (1.0,), "step": 0.5, "noise": Wiener(FIELD)} | change
    start = torch.zeros(1, 1, 8, dtype=torch.float64)
    with pytest.raises(ValueError, match=message):
        integrate(Heat(), Grid((8,)), start, **arguments)  # type: ignore[arg-type]
