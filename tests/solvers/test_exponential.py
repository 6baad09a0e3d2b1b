"""Exponential time differencing: weights against sixty digits, complex symbols, the estimate."""

from __future__ import annotations

import cmath
import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch

from pushforward.solvers.exponential import etdrk2, etdrk4, weights
from pushforward.solvers.stages import Stages, combine

SCHEMES = {"etdrk2": etdrk2, "etdrk4": etdrk4}


def exact_weights(z: float) -> dict[str, float]:
    """Kassam and Trefethen's weights in 60 digits."""
    with localcontext() as context:
        context.prec = 60
        r = Decimal(z)
        e = r.exp()
        numbers = {
            "phi1": (e - 1) / r,
            "phi2": (e - 1 - r) / r**2,
            "half_phi1": ((r / 2).exp() - 1) / r,
            "first": (-4 - r + e * (4 - 3 * r + r**2)) / r**3,
            "middle": 2 * (2 + r + e * (r - 2)) / r**3,
            "last": (-4 - 3 * r - r**2 + e * (4 - r)) / r**3,
        }
        return {name: float(value) for name, value in numbers.items()}


Z = [-1e4, -300.0, -40.0, -6.0, -2.0, -1.1, -1.0, -0.9, -0.1, -1e-3, -1e-6, -1e-10, 1e-8, 0.5, 3.0]


@pytest.mark.parametrize("z", Z)
def test_weights_agree_with_sixty_digits(z: float) -> None:
    found = weights(torch.tensor([z], dtype=torch.float64))
    for name, value in exact_weights(z).items():
        assert found[name].item() == pytest.approx(value, rel=5e-14, abs=1e-16), name


def test_naive_weights_would_not() -> None:
    """The reason for the series: near 0 the formulas as written lose all digits."""
    z = -1e-6
    naive = (-4 - z + math.exp(z) * (4 - 3 * z + z**2)) / z**3
    assert abs(naive - exact_weights(z)["first"]) > 0.01


def test_weights_at_zero_are_those_of_runge_and_kutta() -> None:
    found = weights(torch.zeros(1, dtype=torch.float64))
    classic = {
        "phi1": 1,
        "phi2": 1 / 2,
        "half_phi1": 1 / 2,
        "first": 1 / 6,
        "middle": 1 / 3,
        "last": 1 / 6,
    }
    for name, value in classic.items():
        assert found[name].item() == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize(
    "z", [3j, -2 + 40j, 0.01 - 0.02j, -1e-7j, 0.8 + 0.55j, 2j * math.pi, 900j]
)
def test_weights_of_a_complex_symbol(z: complex) -> None:
    found = weights(torch.tensor([z], dtype=torch.complex128))
    if abs(z) > 1:
        phi1 = (cmath.exp(z) - 1) / z
        phi2 = (phi1 - 1) / z
        phi3 = (phi2 - 0.5) / z
    else:
        phi1, phi2, phi3 = (
            sum(z**n / math.factorial(n + k) for n in range(20)) for k in (1, 2, 3)
        )
    for name, value in {
        "half_phi1": (cmath.exp(z / 2) - 1) / z if abs(z) > 1e-3 else 0.5 + z / 8,
        "phi1": phi1,
        "phi2": phi2,
        "first": phi1 - 3 * phi2 + 4 * phi3,
        "middle": 2 * phi2 - 4 * phi3,
        "last": 4 * phi3 - phi2,
    }.items():
        assert abs(found[name].item() - value) < 1e-13, name


@pytest.mark.parametrize("scheme", SCHEMES)
def test_constant_forcing_of_a_stiff_mode_is_exact(scheme: str) -> None:
    symbol = torch.tensor([[-1e6, -10.0, -1e-9, 0.0]], dtype=torch.float64)
    u = torch.zeros(1, 1, 4, dtype=torch.float64)
    stages: Stages = SCHEMES[scheme](symbol)
    new, _ = stages.advance(stages.cast([0.7], u), u, lambda u: torch.full_like(u, 3.0))
    exact = [3 * -math.expm1(0.7 * s) / -s if s else 2.1 for s in symbol[0].tolist()]
    torch.testing.assert_close(
        new[0, 0], torch.tensor(exact, dtype=torch.float64), rtol=1e-10, atol=0
    )


def one_step(h: float, symbol: float) -> tuple[float, float, float]:
    """The error of u' = L u + u^2 from 1/2, ETDRK4's estimate of it, and the order promised."""
    stages = etdrk4(torch.tensor([[symbol]], dtype=torch.float64))
    u = torch.tensor([[[0.5]]], dtype=torch.float64)
    tables = stages.cast([h], u)
    new, sources = stages.advance(tables, u, torch.square)
    error = combine(tables, stages.error, [*sources, new.square()])
    grown = math.exp(symbol * h)
    exact = 0.5 * grown / (1 - 0.5 * math.expm1(symbol * h) / symbol)
    return abs(new.item() - exact), abs(error.item()), stages.order


@pytest.mark.parametrize("symbol", [-1.0, 2.0])
def test_estimate_is_of_third_order_and_above_the_error(symbol: float) -> None:
    steps = [0.05, 0.025, 0.0125]
    errors, estimates, orders = zip(*(one_step(h, symbol) for h in steps), strict=True)
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(5, abs=0.3)
    slope = np.polyfit(np.log(steps), np.log(estimates), 1)[0]
    assert slope == pytest.approx(orders[0], abs=0.3)
    assert all(error < estimate for error, estimate in zip(errors, estimates, strict=True))


def test_estimate_without_linear_part_is_that_of_the_classical_scheme() -> None:
    """Runge and Kutta's four stages of u' = u^2 from 1/2 by hand, and (h / 10)(k_4 - k_5)."""
    h, u = 0.3, 0.5
    k1 = u**2
    k2 = (u + h / 2 * k1) ** 2
    k3 = (u + h / 2 * k2) ** 2
    k4 = (u + h * k3) ** 2
    k5 = (u + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)) ** 2
    stages = etdrk4(torch.zeros(1, 1, dtype=torch.float64))
    state = torch.full((1, 1, 1), u, dtype=torch.float64)
    tables = stages.cast([h], state)
    new, sources = stages.advance(tables, state, torch.square)
    error = combine(tables, stages.error, [*sources, new.square()])
    assert error.item() == pytest.approx(h / 10 * (k4 - k5), rel=1e-12)
