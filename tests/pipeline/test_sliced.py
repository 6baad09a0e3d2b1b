"""Weighted one-dimensional and sliced distances: scipy, POT, closed forms."""

from __future__ import annotations

import math

import ot
import pytest
import torch
from scipy import stats

from pushforward import sliced
from pushforward.sliced import directions, sliced_distance, wasserstein

FIRST = [-0.68400363, -0.434944624, -0.093337439]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def counts(draws: int, members: int, size: int, seed: int) -> torch.Tensor:
    """Bootstrap counts of `size` members each."""
    chosen = torch.randint(members, (draws, size), generator=torch.Generator().manual_seed(seed))
    return (
        torch.zeros(draws, members)
        .double()
        .scatter_add_(1, chosen, torch.ones(draws, size).double())
    )


@pytest.mark.parametrize("sizes", [(30, 30), (30, 21), (5000, 4999)], ids=str)
def test_weighted_distances_agree_with_scipy(sizes: tuple[int, int]):
    x = normal(60, 3)
    x[7] = x[5]  # a tie
    a, b = counts(4, 60, sizes[0], 1), counts(4, 60, sizes[1], 2)
    found = wasserstein(x, a, b)
    for i in range(4):
        for j in range(3):
            exact = stats.wasserstein_distance(x[:, j], x[:, j], a[i], b[i])
            assert found[i, j].item() == pytest.approx(exact, rel=1e-6, abs=1e-9)


def test_draws_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch):
    x, a, b = normal(40, 5), counts(30, 40, 20, 1), counts(30, 40, 20, 2)
    whole = wasserstein(x, a, b)
    monkeypatch.setattr(sliced, "CHUNK", 100)
    torch.testing.assert_close(wasserstein(x, a, b), whole, rtol=0, atol=0)


def test_the_sliced_distance_agrees_with_pot():
    x, y = normal(50, 4, seed=1), 1.3 * normal(70, 4, seed=2) + 0.2
    c = torch.cat([x, y]).float()
    a = torch.cat([torch.ones(50), torch.zeros(70)])[None].double()
    exact = ot.sliced_wasserstein_distance(
        x.numpy(), y.numpy(), projections=directions(4).numpy(), p=1
    )
    assert sliced_distance(c, a, 1 - a).item() == pytest.approx(exact, rel=1e-6)


def test_a_shift_is_its_mean_projection():
    c, d = normal(40, 16), 16
    shifted = torch.cat([c, c + 0.7])
    a = torch.cat([torch.ones(40), torch.zeros(40)])[None].double()
    # E |theta_1| on the sphere of d dimensions, over sqrt(d) times the shift
    mean = math.gamma(d / 2) / math.gamma((d + 1) / 2) / math.sqrt(math.pi)
    expected = 0.7 * math.sqrt(d) * mean
    error = 4 * 0.7 * math.sqrt(1 - d * mean**2) / math.sqrt(512)
    assert sliced_distance(shifted, a, 1 - a).item() == pytest.approx(expected, abs=error)


def test_directions_are_the_same_for_ever_and_uniform():
    v = directions(8)
    assert directions(8) is v
    assert v[:3, 0].tolist() == pytest.approx(FIRST)
    torch.testing.assert_close(v.norm(dim=0), torch.ones(512).double())
    second = v @ v.T / 512
    torch.testing.assert_close(second, torch.eye(8).double() / 8, rtol=0, atol=4 / 8 / 22)
