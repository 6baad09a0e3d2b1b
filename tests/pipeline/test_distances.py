"""Scores of pairs of members: brute force, closed forms, no bias, copies found at any shift."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from pushforward import distances as pairs
from pushforward import nearest as neighbours
from pushforward.distances import (
    gaussian_kernel,
    median,
    median_scales,
    pair_values,
    squared_distances,
    u_statistic,
)
from pushforward.members import Members
from pushforward.nearest import nearest
from pushforward.solvers import GaussianField, Grid
from pushforward.solvers.diagnostics import shells
from pushforward.yardstick import Yardstick

GRID = Grid((12, 8))
FIELD = GaussianField.matern(3.0, 0.5, deviation=1.0)


def white(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kernels(x: torch.Tensor) -> dict[str, torch.Tensor]:
    d2 = squared_distances(x)
    return {"energy_distance": -d2.sqrt(), "mmd": gaussian_kernel(d2, median(d2))}


def halves(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    first = torch.arange(count) < count // 2
    return first[None].double(), (~first)[None].double()


def test_distances_agree_with_brute_force():
    x = white(7, 4, 5)
    brute = torch.cdist(x.flatten(1), x.flatten(1)).square() / 20
    torch.testing.assert_close(squared_distances(x), brute, rtol=1e-9, atol=1e-12)


def test_the_u_statistic_agrees_with_brute_force_with_repeated_members():
    kernel = kernels(white(6, 9))["mmd"]
    a, b = torch.tensor([[2.0, 1, 1, 0, 0, 0]]), torch.tensor([[0.0, 0, 1, 1, 2, 0]])
    means = []
    for left, right in ((a[0], a[0]), (b[0], b[0]), (a[0], b[0])):
        pairs = [(i, j) for i, j in product(range(6), range(6)) if i != j]
        weight = sum(left[i] * right[j] for i, j in pairs)
        means.append(sum(left[i] * right[j] * kernel[i, j] for i, j in pairs) / weight)
    expected = means[0] + means[1] - 2 * means[2]
    torch.testing.assert_close(u_statistic(kernel, a, b)[0], expected)


def two(count: int, seed: int = 1) -> torch.Tensor:
    """Members (member, 2, y, x) of two variables."""
    u, v = (FIELD.sample(range(count), GRID, seed=seed + i) for i in (0, 1))
    return torch.stack([u, v + u.square()], 1)


def test_scores_of_pairs_from_blocks_agree_with_brute_force(monkeypatch):
    u = two(18)
    sticks = [Yardstick.fit(u[:, v], GRID) for v in (0, 1)]
    a, b = halves(18)
    monkeypatch.setattr(pairs, "HELD", 5 * 2 * GRID.size)  # blocks of five members
    monkeypatch.setattr(pairs, "MEDIAN", 18)
    scales = median_scales(Members.of(u), sticks)
    found = pair_values(Members.of(u), a, b, sticks, scales)
    plain, white = [], []
    for v, stick in enumerate(sticks):
        plain.append(squared_distances(stick.standardise(u[:, v])))
        white.append(squared_distances(stick.whiten(u[:, v])))
    plain.append(torch.stack(plain).mean(0))  # of both variables
    white.append(torch.stack(white).mean(0))
    for v, one, other in zip((0, 1, None), plain, white, strict=True):
        expected = {
            "energy_distance": -one.sqrt(),
            "riesz_mmd": -other.sqrt(),
            "mmd": gaussian_kernel(other, median(other)),
        }
        for name, kernel in expected.items():
            torch.testing.assert_close(
                found[name, v], u_statistic(kernel, a, b), rtol=1e-5, atol=1e-7
            )


def test_whitened_distances_see_scales_that_hold_little_variance():
    grid = Grid((16, 16))
    u, (a, b) = FIELD.sample(range(200), grid, seed=1), halves(200)
    low = grid.ifft(grid.fft(u) * (shells(grid) < 5))
    assert (u - low).square().mean() < 0.03 * u.square().mean()
    stick, members = Yardstick.fit(u, grid), Members.of(u[:, None])
    scales = median_scales(members, [stick])
    generator = torch.Generator().manual_seed(0)
    one = torch.rand(99, 200, generator=generator).argsort(1) < 100
    floor = pair_values(members, one.double(), 1 - one.double(), [stick], scales)
    spoilt = Members.of(torch.cat([low[:100], u[100:]])[:, None])
    for fields, whitened_ones_see in ((members, False), (spoilt, True)):
        found = pair_values(fields, a, b, [stick], scales)
        seen = {key[0] for key in found if bool(found[key] > floor[key].amax())}
        assert seen == ({"riesz_mmd", "mmd"} if whitened_ones_see else set())


def test_sums_over_blocks_of_pairs_add():
    kernel = kernels(white(10, 9))["energy_distance"]
    a, b = halves(10)
    blocks = [(a * (torch.arange(10) % 3 == k), b) for k in range(3)]
    total = sum((x @ kernel * y).sum() for x, y in blocks)
    torch.testing.assert_close(total, (a @ kernel * b).sum())


@pytest.mark.parametrize("shift", [0.5, 2.0])
def test_the_energy_distance_of_shifted_gaussians_is_the_closed_form(shift):
    a, b = halves(400)
    values = []
    for seed in range(40):
        x = white(400, 1, seed=seed)
        x[200:] += shift
        values.append(u_statistic(kernels(x)["energy_distance"], a, b).item())
    values = torch.tensor(values)
    # E|N(m, 2)| = 2/sqrt(pi) exp(-m^2/4) + m erf(m/2)
    mean = 2 / math.sqrt(math.pi)
    apart = mean * math.exp(-(shift**2) / 4) + shift * math.erf(shift / 2)
    error = (values.std() / math.sqrt(len(values))).item()
    assert abs(values.mean().item() - 2 * (apart - mean)) < 4 * error


@pytest.mark.parametrize("name", ["mmd", "energy_distance"])
def test_estimates_have_no_bias_under_the_null_and_plug_in_ones_have(name):
    a, b = halves(24)
    unbiased, biased = [], []
    for i in range(120):
        kernel = kernels(FIELD.sample(range(24 * i, 24 * i + 24), GRID, seed=5))[name]
        unbiased.append(u_statistic(kernel, a, b).item())
        difference = (a - b) / 12
        biased.append((difference @ kernel * difference).sum().item())
    for values, within in ((unbiased, True), (biased, False)):
        values = torch.tensor(values)
        error = (values.std() / math.sqrt(len(values))).item()
        assert (abs(values.mean().item()) < 4 * error) == within


def test_a_single_member_has_no_estimate():
    with pytest.raises(ValueError, match="at least 2 members on either side"):
        u_statistic(torch.eye(3), torch.tensor([[1.0, 0, 0]]), torch.tensor([[0.0, 1, 1]]))


@pytest.mark.parametrize("variables", [1, 2])
def test_the_nearest_member_over_all_shifts_agrees_with_brute_force(variables):
    u, v = (FIELD.sample(range(i, i + 6 * variables), GRID, seed=6) for i in (0, 50))
    u, v = (x.unflatten(0, (6, variables)) for x in (u, v))
    brute = torch.full((6,), math.inf, dtype=torch.float64)
    for shift in product(range(12), range(8)):
        d2 = (u[:, None] - v.roll(shift, (-2, -1))[None]).square().flatten(2).mean(2)
        brute = torch.minimum(brute, d2.amin(1).sqrt())
    torch.testing.assert_close(nearest(u, v, GRID), brute, rtol=1e-9, atol=1e-9)
    still = (u[:, None] - v[None]).square().flatten(2).mean(2).amin(1).sqrt()
    torch.testing.assert_close(nearest(u, v, GRID, translations=False), still)
    assert bool((still > brute + 1e-3).any())


@pytest.mark.parametrize("translations", [True, False])
def test_the_nearest_of_a_training_set_read_in_blocks_is_the_nearest(translations, monkeypatch):
    u, v = two(9), two(40, seed=5)
    whole = nearest(u, v, GRID, translations)
    monkeypatch.setattr(neighbours, "READ", 7 * u[0].numel())
    monkeypatch.setattr(neighbours, "HELD", 4 * u[0].numel())
    torch.testing.assert_close(nearest(u, v, GRID, translations), whole, rtol=1e-12, atol=0)
    sticks = [Yardstick.fit(v[:, i], GRID) for i in (0, 1)]
    found = neighbours.distances(Members.of(u), Members.of(v), sticks, GRID, translations)
    z, w = (
        torch.stack([stick.standardise(x[:, i]) for i, stick in enumerate(sticks)], 1)
        for x in (u, v)
    )
    for key, part in ((0, slice(0, 1)), (1, slice(1, 2)), (None, slice(0, 2))):
        expected = nearest(z[:, part], w[:, part], GRID, translations)
        torch.testing.assert_close(found[key], expected, rtol=1e-5, atol=1e-7)


def test_a_shifted_copy_is_found_among_many_on_a_fine_grid():
    grid = Grid((48, 48))
    training = FIELD.sample(range(200), grid, seed=7)[:, None].float()
    copies = training[[3, 77, 150]].roll((5, 17), (-2, -1))
    fresh = FIELD.sample(range(900, 903), grid, seed=7)[:, None].float()
    assert nearest(copies, training, grid).max() < 1e-3
    assert nearest(fresh, training, grid).min() > 0.1
    assert nearest(copies, training, grid, translations=False).min() > 0.1


@pytest.mark.parametrize("shape", [(32,), (12, 12, 12)])
def test_copies_are_found_on_one_and_three_axes(shape):
    u = white(5, 1, *shape)
    shift = tuple(range(1, 1 + len(shape)))
    moved = u[:2].roll(shift, tuple(range(2, 2 + len(shape))))
    assert nearest(moved, u, Grid(shape)).max() < 1e-6
