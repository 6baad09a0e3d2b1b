"""Proper orthogonal modes and Gaussians in their space: SVD, POT, closed forms."""

from __future__ import annotations

import math

import numpy as np
import ot
import pytest
import torch

from pushforward import pod as rooms
from pushforward.pod import Pod, frechet, gaussian, moments, spectrum_distance
from pushforward.solvers import GaussianField, Grid

GRID = Grid((12, 8))
FIELD = GaussianField.matern(3.0, 0.5, deviation=1.0)


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("members", [40, 200], ids=["between members", "between points"])
def test_modes_and_variances_are_those_of_the_svd(members: int):
    u = FIELD.sample(range(members), GRID, seed=1) + 3
    pod = Pod.fit(u, GRID, count=10)
    x = (u - u.mean(0)).flatten(1)
    _, s, v = torch.linalg.svd(x, full_matrices=False)
    torch.testing.assert_close(pod.variances, s[:10] ** 2 / members / GRID.size)
    overlap = (pod.modes @ v[:10].T / GRID.size**0.5).abs()
    torch.testing.assert_close(overlap, torch.eye(10).double(), rtol=0, atol=1e-6)
    c = pod.project(u)
    torch.testing.assert_close(c.var(0, correction=0), pod.variances)
    assert c.mean(0).abs().max() < 1e-12
    torch.testing.assert_close(pod.whiten(u).var(0, correction=0), torch.ones(10).double())


def test_a_sample_of_low_rank_has_as_many_modes():
    waves = FIELD.sample(range(3), GRID)
    u = (normal(50, 3, seed=0)[:, :, None, None] * waves).sum(1)
    assert len(Pod.fit(u, GRID).modes) == 3
    assert len(Pod.fit(u[:3], GRID).modes) == 2
    with pytest.raises(ValueError, match="expected at least 2 members for modes, got 1"):
        Pod.fit(u[:1], GRID)


def test_many_members_are_fitted_to_a_part_of_them(monkeypatch: pytest.MonkeyPatch):
    u = FIELD.sample(range(300), GRID)
    monkeypatch.setattr(rooms, "SNAPSHOTS", 100)
    monkeypatch.setattr(rooms, "PART", 1000)
    pod = Pod.fit(u, GRID, count=4)
    chosen = u[torch.linspace(0, 299, 100).round().long()]
    torch.testing.assert_close(pod.mean, chosen.mean(0).flatten())
    assert pod.modes.shape == (4, 96)


def test_moments_hold_mean_and_covariance():
    c = normal(30, 5, seed=2)
    mean, s = gaussian(moments(c).mean(0))
    torch.testing.assert_close(mean, c.mean(0))
    torch.testing.assert_close(s, torch.from_numpy(np.cov(c.numpy().T, bias=True)))


@pytest.mark.parametrize("seed", range(4))
def test_the_frechet_distance_agrees_with_pot(seed: int):
    a = normal(200, 6, seed=seed) @ normal(6, 6, seed=seed + 10) + 0.3
    b = normal(200, 6, seed=seed + 20) @ normal(6, 6, seed=seed + 30)
    (ma, sa), (mb, sb) = (gaussian(moments(c).mean(0)) for c in (a, b))
    given = [t.numpy() for t in (ma, mb, sa, sb)]
    exact = np.asarray(
        ot.gaussian.bures_wasserstein_distance(given[0], given[1], given[2], given[3])
    ).item()
    found = frechet(moments(a).mean(0), moments(b).mean(0)).item()
    assert found == pytest.approx(exact, rel=1e-7)


def test_the_frechet_distance_of_many_draws_is_that_of_each():
    rows = moments(normal(60, 4, seed=1) * torch.tensor([3.0, 1, 0.1, 1e-4]))
    a, b = (normal(7, 60, seed=s).abs().round() + 1 for s in (2, 3))
    sums = [w @ rows / w.sum(1, keepdim=True) for w in (a, b)]
    many = frechet(*sums)
    assert many.shape == (7,)
    for i in range(7):
        one = frechet(sums[0][i], sums[1][i]).item()
        assert many[i].item() == pytest.approx(one, rel=1e-9)


def test_a_set_is_at_distance_zero_from_itself_and_a_shift_is_seen_as_far():
    u = FIELD.sample(range(100), GRID, seed=1)
    pod = Pod.fit(u, GRID, count=8)
    rows = moments(pod.project(u)).mean(0)
    assert frechet(rows, rows).item() < 1e-7
    shift = moments(pod.project(u) + 0.5).mean(0)
    assert frechet(shift, rows).item() == pytest.approx(0.5 * math.sqrt(8), rel=1e-9)
    assert spectrum_distance(shift, rows).item() < 1e-9
    louder = moments(2 * pod.project(u)).mean(0)
    assert spectrum_distance(louder, rows).item() == pytest.approx(math.log10(4), rel=1e-9)
    # of centred Gaussians 2 and 1 times as wide: |2 - 1| times the root of the variance
    size = pod.variances.sum().sqrt().item()
    assert frechet(louder, rows).item() == pytest.approx(size, rel=1e-6)
