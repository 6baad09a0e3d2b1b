"""Integrating-factor schemes: the reference formula by hand, exact L, order, complex symbols."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from pushforward.solvers import Grid
from pushforward.solvers.lawson import lawson
from pushforward.solvers.stages import combine, distinct, norms
from pushforward.solvers.tableaux import TABLEAUX


def reference(
    name: str, u: complex, h: float, symbol: complex, n: Callable[[complex], complex]
) -> tuple[complex, complex]:
    """One step and its error estimate as the docstring writes them, on plain numbers."""
    t = TABLEAUX[name]
    k: list[complex] = []
    state = u
    for i in range(t.stages):
        state = cmath.exp(float(t.c[i]) * h * symbol) * u
        for j, a in enumerate(t.a[i]):
            state += h * float(a) * cmath.exp(float(t.c[i] - t.c[j]) * h * symbol) * k[j]
        k.append(n(state))
    error = sum(
        h * float(d) * cmath.exp(float(1 - t.c[j]) * h * symbol) * k[j]
        for j, d in enumerate(t.error)
    )
    return state, error


@pytest.mark.parametrize("name", TABLEAUX)
@pytest.mark.parametrize("symbol", [-3.0, 0.0, 0.7, 2j, -1 + 30j])
def test_step_is_the_formula(name: str, symbol: complex) -> None:
    dtype = torch.complex128 if isinstance(symbol, complex) else torch.float64
    scheme = lawson(TABLEAUX[name], torch.tensor([[symbol]], dtype=dtype))
    u = torch.tensor([[[0.8 + 0.3j]], [[-0.2 + 1.1j]]], dtype=torch.complex128)
    tables = scheme.cast([0.4, 0.05], u)
    rhs = lambda x: torch.sin(x)  # noqa: E731
    new, sources = scheme.advance(tables, u, rhs)
    error = combine(tables, scheme.error, [*sources, rhs(new)])
    for i, h in enumerate((0.4, 0.05)):
        state, estimate = reference(name, u[i, 0, 0].item(), h, symbol, cmath.sin)
        assert abs(new[i, 0, 0].item() - state) < 1e-14
        assert abs(error[i, 0, 0].item() - estimate) < 1e-14


@pytest.mark.parametrize("name", TABLEAUX)
def test_error_and_estimate_fall_with_their_orders(name: str) -> None:
    """u' = -u + u^2 has a closed form; the estimate of one step is O(h^(order))."""
    tableau, symbol = TABLEAUX[name], torch.tensor([[-1.0]], dtype=torch.float64)
    scheme = lawson(tableau, symbol)
    u = torch.tensor([[[2.0]]], dtype=torch.float64)
    steps = [0.08, 0.04, 0.02]
    local, estimated = [], []
    for h in steps:
        tables = scheme.cast([h], u)
        new, sources = scheme.advance(tables, u, torch.square)
        exact = 1 / (1 - math.exp(h) / 2)
        local.append(abs(new.item() - exact))
        error = combine(tables, scheme.error, [*sources, new.square()])
        estimated.append(abs(error.item()))
    slope = np.polyfit(np.log(steps), np.log(local), 1)[0]
    assert slope == pytest.approx(tableau.order + 1, abs=0.3)
    slope = np.polyfit(np.log(steps), np.log(estimated), 1)[0]
    assert slope == pytest.approx(scheme.order, abs=0.3)
    assert scheme.order == tableau.estimate_order + 1
    assert estimated[-1] > local[-1]  # of lower order, so on the safe side


def test_distinct_values_stand_for_all_waves() -> None:
    grid = Grid((16, 12))
    for symbol in (grid.laplacian()[None], grid.laplacian()[None] + grid.gradient()[1]):
        values, index = distinct(symbol)
        assert torch.equal(values[index], symbol)
        assert len(values) < symbol.numel()


@pytest.mark.parametrize("boundary", ["periodic", "neumann"])
@pytest.mark.parametrize("shape", [(12, 10), (16,), (4, 6, 8)])
def test_norms_are_root_mean_squares(shape: tuple[int, ...], boundary: str) -> None:
    grid = Grid(shape, boundary=boundary)  # type: ignore[arg-type]
    u = torch.randn(3, 2, *shape, generator=torch.Generator().manual_seed(0)).double()
    expected = u.square().mean(grid.axes).sqrt()
    torch.testing.assert_close(norms(grid.fft(u), grid), expected)
    single = norms(grid.fft(1e-25 * u.float()), grid)  # squares would underflow in float32
    torch.testing.assert_close(single, 1e-25 * expected, rtol=1e-5, atol=0)
