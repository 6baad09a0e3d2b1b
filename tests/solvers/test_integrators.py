"""Exponential integrators: exact linear part, order of convergence, weights, refusals, blow-up."""

from __future__ import annotations

import cmath
import math
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pushforward.solvers import Equation, GaussianField, GrayScott, Grid, NavierStokes, integrate
from pushforward.solvers.integrators import Scheme, _weights, stepper

SCHEMES: list[Scheme] = ["etdrk2", "etdrk4"]


@given(
    step=st.floats(0.01, 50.0),
    time=st.floats(0.5, 30.0),
    scheme=st.sampled_from(SCHEMES),
    feed_rate=st.floats(0, 0.1),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_linear_diffusion_and_decay_are_exact_for_any_step(
    step: float, time: float, scheme: Scheme, feed_rate: float
) -> None:
    """Without u the reaction vanishes: v diffuses and decays, whatever the step."""
    grid = Grid((12, 8), (2.0, 1.0))
    equation = GrayScott(feed_rate=0.0, kill_rate=feed_rate, diffusivity_v=3e-3)
    v = GaussianField.matern(2.0, 0.2, cutoff=2).sample([0], grid)
    start = torch.stack([torch.zeros_like(v), v], 1)
    step = max(step, time / 50)
    end = integrate(equation, grid, start, times=(time,), step=step, scheme=scheme)[:, 0]
    exact = grid.ifft(grid.fft(v) * torch.exp(time * (3e-3 * grid.laplacian() - feed_rate)))
    torch.testing.assert_close(end[:, 1], exact, rtol=0, atol=1e-12 * float(v.abs().max()))
    assert end[:, 0].abs().max() == 0


def flow() -> tuple[Equation, Grid, torch.Tensor, dict[str, Any], float]:
    grid = Grid((24, 24))
    field = GaussianField.matern(4.0, 0.5, deviation=2.0, cutoff=7, mean=False)
    start, force = field.sample([0, 1], grid)[:, None], field.sample([2, 3], grid)
    equation = NavierStokes(viscosity=0.02, drag=0.1, forcing_amplitude=0.5, forcing_wavenumber=2)
    return equation, grid, start, {"forcing": force}, 1.0


def reaction() -> tuple[Equation, Grid, torch.Tensor, dict[str, Any], float]:
    grid = Grid((24, 24), (0.6, 0.6))
    equation = GrayScott(feed_rate=0.04, kill_rate=0.06)
    z = GaussianField.squared_exponential(0.1, cutoff=7).sample([0, 1], grid)
    return equation, grid, equation.initial_state(z, grid), {}, 40.0


@pytest.mark.parametrize("case", [flow, reaction])
@pytest.mark.parametrize(("scheme", "order"), [("etdrk2", 2), ("etdrk4", 4)])
def test_error_falls_with_the_order_of_the_scheme(case: Any, scheme: Scheme, order: int) -> None:
    equation, grid, start, more, time = case()
    start = grid.ifft(grid.fft(start) * grid.resolved(2 / 3))

    def solve(count: int, scheme: Scheme = scheme) -> torch.Tensor:
        return integrate(
            equation, grid, start, times=(time,), step=time / count, scheme=scheme, **more
        )

    counts = [10, 20, 40, 80] if order == 4 else [40, 80, 160, 320]
    exact = solve(4 * counts[-1], "etdrk4")
    errors = [float((solve(count) - exact).abs().max()) for count in counts]
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    overall = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert order - 0.2 < overall < order + 0.5, (errors, slopes)
    assert float((exact[:, -1] - start).abs().max()) > 0.1 * float(start.abs().max())  # it moved
    assert errors[0] > 1e-7  # and the errors are not round-off


def exact_weights(z: float) -> dict[str, float]:
    """Kassam and Trefethen's weights in 60 digits."""
    with localcontext() as context:
        context.prec = 60
        r = Decimal(z)
        e = r.exp()
        numbers = {
            "phi1": (e - 1) / r,
            "phi2": (e - 1 - r) / r**2,
            "half": ((r / 2).exp() - 1) / r,
            "first": (-4 - r + e * (4 - 3 * r + r**2)) / r**3,
            "middle": 2 * (2 + r + e * (r - 2)) / r**3,
            "last": (-4 - 3 * r - r**2 + e * (4 - r)) / r**3,
        }
        return {name: float(value) for name, value in numbers.items()}


Z = [-1e4, -300.0, -40.0, -6.0, -2.0, -1.1, -1.0, -0.9, -0.1, -1e-3, -1e-6, -1e-10, 1e-8, 0.5, 3.0]


@pytest.mark.parametrize("z", Z)
def test_weights_agree_with_sixty_digits(z: float) -> None:
    weights = _weights(torch.tensor([z], dtype=torch.float64))
    for name, value in exact_weights(z).items():
        assert weights[name].item() == pytest.approx(value, rel=2e-12, abs=1e-15), name


def test_naive_weights_would_not() -> None:
    """The reason for the circle: near 0 the formulas as written lose all digits."""
    z = -1e-6
    naive = (-4 - z + math.exp(z) * (4 - 3 * z + z**2)) / z**3
    assert abs(naive - exact_weights(z)["first"]) > 0.01


def test_weights_at_zero_are_those_of_runge_and_kutta() -> None:
    weights = _weights(torch.zeros(1, dtype=torch.float64))
    classic = {
        "phi1": 1,
        "phi2": 1 / 2,
        "half": 1 / 2,
        "first": 1 / 6,
        "middle": 1 / 3,
        "last": 1 / 6,
    }
    for name, value in classic.items():
        assert weights[name].item() == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize("z", [3j, -2 + 40j, 0.01 - 0.02j, -1e-7j])
def test_weights_of_a_complex_symbol(z: complex) -> None:
    weights = _weights(torch.tensor([z], dtype=torch.complex128))
    if abs(z) > 1:
        phi1 = (cmath.exp(z) - 1) / z
        phi2 = (phi1 - 1) / z
        phi3 = (phi2 - 0.5) / z
    else:
        phi1, phi2, phi3 = (
            sum(z**n / math.factorial(n + k) for n in range(20)) for k in (1, 2, 3)
        )
    for name, value in {
        "phi1": phi1,
        "phi2": phi2,
        "first": phi1 - 3 * phi2 + 4 * phi3,
        "middle": 2 * phi2 - 4 * phi3,
        "last": 4 * phi3 - phi2,
    }.items():
        assert abs(weights[name].item() - value) < 1e-13, name


@pytest.mark.parametrize("scheme", SCHEMES)
def test_constant_forcing_of_a_stiff_mode_is_exact(scheme: Scheme) -> None:
    symbol = torch.tensor([-1e6, -10.0, -1e-9, 0.0], dtype=torch.float64)
    advance = stepper(symbol, lambda u: torch.full_like(u, 3.0), 0.7, scheme, torch.float64)
    exact = [3 * -math.expm1(0.7 * s) / -s if s else 2.1 for s in symbol.tolist()]
    u = advance(torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(u, torch.tensor(exact, dtype=torch.float64), rtol=1e-10, atol=0)


def test_step_is_shortened_to_meet_the_times() -> None:
    grid, equation = Grid((8, 8)), GrayScott()
    start = equation.initial_state(None, grid) * 0.7
    often = integrate(equation, grid, start, times=(0.0, 1.0, 2.5), step=0.4)
    assert often.shape == (1, 3, 2, 8, 8)
    torch.testing.assert_close(often[:, 0], start)
    once = integrate(equation, grid, start, times=(2.5,), step=0.4)
    torch.testing.assert_close(once[:, -1], often[:, -1], rtol=0, atol=1e-9)


def test_members_do_not_see_each_other() -> None:
    equation, grid, start, more, _ = flow()
    both = integrate(equation, grid, start, times=(0.5,), step=0.05, **more)
    second = integrate(
        equation, grid, start[1:], times=(0.5,), step=0.05, forcing=more["forcing"][1:]
    )
    torch.testing.assert_close(both[1:], second, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_blow_up_names_the_member_and_the_time(dtype: torch.dtype) -> None:
    grid = Grid((8, 8))
    y, x = grid.coordinates()
    w = (torch.cos(y)[:, None] + torch.sin(2 * x))[None, None].to(dtype)
    start = torch.cat([w, 0 * w, 1e30 * w if dtype == torch.float32 else 1e200 * w])
    integrate(NavierStokes(), grid, start[:2], times=(0.3,), step=0.1)
    for members, name in ((None, 2), ([4, 7, 9], 9)):
        message = rf"^member {name} became non-finite at t=0\.1; halve step \(now 0\.125\)$"
        with pytest.raises(FloatingPointError, match=message):
            integrate(NavierStokes(), grid, start, times=(0.3,), step=0.125, members=members)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"initial": torch.zeros(2, 8, 8)}, "add the missing axis"),
        ({"initial": torch.zeros(2, 2, 8, 8)}, "shape \\(member, channel"),
        ({"forcing": torch.zeros(1, 8, 8)}, "draw it on the same grid"),
        ({"times": ()}, "increasing times"),
        ({"times": (1.0, 1.0)}, "increasing times"),
        ({"times": (-1.0, 1.0)}, "increasing times"),
        ({"step": 0.0}, "positive step"),
        (
            {"equation": GrayScott(), "initial": torch.zeros(2, 1, 8, 8)},
            "shape \\(member, channel",
        ),
        (
            {
                "equation": GrayScott(),
                "initial": torch.zeros(2, 2, 8, 8),
                "forcing": torch.zeros(2, 8, 8),
            },
            "no forcing for GrayScott",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "equation": NavierStokes(),
        "grid": Grid((8, 8)),
        "initial": torch.zeros(2, 1, 8, 8),
        "times": (1.0,),
        "step": 0.5,
    }
    with pytest.raises(ValueError, match=message):
        integrate(**{**arguments, **change})


def test_unknown_scheme_is_refused() -> None:
    symbol: Any = torch.zeros(2)
    scheme: Any = "euler"
    with pytest.raises(
        (ValueError, TypeError), match="etdrk2"
    ):  # by the type checker, if it is on
        stepper(symbol, torch.zeros_like, 0.1, scheme, torch.float64)
