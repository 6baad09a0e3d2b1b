"""Structure functions: closed forms for Gaussian fields, waves and shocks; random phases seen."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward import increments
from pushforward.increments import INCREMENTS, difference, separations, structure_functions
from pushforward.solvers import Burgers, GaussianField, Grid, integrate, velocity
from pushforward.yardstick import Yardstick

SCORES = {score.name: score for score in increments.SCORES}


def value(name: str, a: torch.Tensor, b: torch.Tensor, grid: Grid, energy: bool = False) -> float:
    stick = Yardstick.fit(b, grid, energy)
    return SCORES[name](INCREMENTS.sum(a, stick), INCREMENTS.sum(b, stick), stick).item()


def test_second_order_is_twice_variance_less_covariance_and_higher_ones_are_gaussian():
    grid = Grid((64,))
    u = GaussianField.matern(3.0, 0.5, deviation=1.0).sample(range(4000), grid)
    m = structure_functions(u, grid).mean(0)
    cov = grid.ifft(grid.fft(u).abs().square().mean(0) + 0j) * grid.size / grid.size
    exact = 2 * (cov[0] - cov[[2**i for i in range(6)]])
    torch.testing.assert_close(m[:, 0], exact, rtol=1e-9, atol=0)
    # fourth and sixth moments of normals, 3 s^4 and 15 s^6; |x|^3 has 2 sqrt(2 / pi) s^3
    s = exact.sqrt()
    for column, moment, order in ((1, 2 * math.sqrt(2 / math.pi), 3), (2, 3, 4), (3, 15, 6)):
        torch.testing.assert_close(m[:, column], moment * s**order, rtol=0.15, atol=0)


def test_moments_agree_with_numpy_on_every_axis_and_distance():
    grid = Grid((8, 16))
    u = torch.randn(3, 8, 16, generator=torch.Generator().manual_seed(1)).double()
    rows = iter(structure_functions(u, grid).unbind(1))
    for axis, n in ((1, 8), (2, 16)):
        for r in (2**i for i in range(int(math.log2(n)))):
            d = np.roll(u.numpy(), -r, axis) - u.numpy()
            exact = [(abs(d) ** p).mean((1, 2)) for p in (2, 3, 4, 6)]
            exact += [(d**2).mean((1, 2)), (d**3).mean((1, 2))]
            np.testing.assert_allclose(next(rows).numpy(), np.stack(exact, 1), atol=1e-12)


def test_between_walls_only_pairs_inside_count():
    grid = Grid((8, 6), boundary="neumann")
    ramp = torch.arange(8.0)[:, None].expand(8, 6)[None].double()
    m = structure_functions(ramp, grid)[0]
    assert m[:3, 0].tolist() == [1, 4, 16]  # r^2
    assert m[:3, -1].tolist() == [1, 8, 64]
    assert m[3:, 0].abs().max() == 0
    assert separations(8, False) == [1, 2, 4]


def test_scaling_shows_as_its_order():
    grid = Grid((16, 16))
    u = torch.randn(8, 16, 16, generator=torch.Generator().manual_seed(1)).double()
    # log10 of 10^p for p = 2, 3, 4, 6
    expected = math.sqrt((4 + 9 + 16 + 36) / 4)
    assert value("structure_functions", 10 * u, u, grid) == pytest.approx(expected, rel=1e-6)
    assert value("increment_flatness", 10 * u, u, grid) < 1e-12
    assert value("increment_skewness", 10 * u, u, grid) < 1e-12
    assert value("increment_skewness", -u, u, grid) > 0


def test_flatness_and_skewness_of_differences_agree_with_scipy():
    grid = Grid((64,))
    g = torch.Generator().manual_seed(3)
    b = torch.randn(64, 64, generator=g).double()
    a = torch.randn(64, 64, generator=g).double().exp()
    flat, skew = [], []
    for r in separations(64):
        da, db = (difference(u, -1, r).flatten() for u in (a, b))
        moments = [(d**4).mean() / (d**2).mean() ** 2 for d in (da, db)]
        flat.append(math.log10(moments[0] / moments[1]) ** 2)
        skew.append((stats.skew(da) - stats.skew(db)) ** 2)
    assert value("increment_flatness", a, b, grid) == pytest.approx(np.mean(flat) ** 0.5, rel=1e-9)
    # scipy subtracts the mean difference, which is 0 on a circle
    assert value("increment_skewness", a, b, grid) == pytest.approx(np.mean(skew) ** 0.5, rel=1e-9)


def test_shocks_are_skewed_and_their_phase_randomised_copy_is_not():
    grid = Grid((128,))
    start = GaussianField.matern(4.0, 0.5, deviation=1.0, mean=False).sample(range(64), grid)
    u = integrate(Burgers(viscosity=0.05), grid, start[:, None], times=(1.0,), tolerance=1e-5)[
        :, 0, 0
    ]
    phases = torch.randn(u.shape, generator=torch.Generator().manual_seed(0)).double()
    noise = grid.fft(phases)
    copy = grid.ifft(grid.fft(u).abs() * noise / noise.abs())
    stick = Yardstick.fit(u, grid)
    rows = INCREMENTS.sum(u, stick)[1:] / len(u)
    first = rows.unflatten(-1, (-1, increments.COLUMNS))[0]
    assert first[-1] / first[-2] ** 1.5 < -1  # fronts fall
    assert value("increment_skewness", copy, u, grid) > 0.5
    assert value("structure_functions", copy, u, grid) > 0.1


def test_a_vorticitys_signed_moments_are_of_the_velocity_along_the_axis():
    grid = Grid((16, 16))
    w = GaussianField.matern(3.0, 0.5, deviation=1.0, mean=False).sample(range(4), grid)
    stick = Yardstick.fit(w, grid, energy=True)
    rows = INCREMENTS.rows(w, stick)[:, 1:].unflatten(1, (2, 4, -1))
    u, v = velocity(stick.standardise(w), grid).unbind(1)
    for axis, along in ((0, v), (1, u)):
        d = along.roll(-2, axis - 2) - along
        torch.testing.assert_close(rows[:, axis, 1, -1], d.pow(3).mean((1, 2)))
