"""The classifier test: normals of known AUC, no bias under the null, folds that hold, features."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward import classifier
from pushforward.classifier import FOLDS, held_out_auc
from pushforward.features import bands, features, filters
from pushforward.pod import Pod
from pushforward.solvers import GaussianField, Grid
from pushforward.yardstick import Yardstick

FIRST = [-0.4492679, 0.0761272]  # of the first filter


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sides(n: int, m: int) -> tuple[torch.Tensor, torch.Tensor]:
    a = torch.cat([torch.ones(n), torch.zeros(m)])[None].double()
    return a, 1 - a


def _halves(members: int, size: int, draws: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    order = torch.stack(
        [
            torch.randperm(members, generator=torch.Generator().manual_seed(seed + i))
            for i in range(draws)
        ]
    )
    a, b = (torch.zeros(draws, members).double() for _ in range(2))
    a.scatter_(1, order[:, :size], 1.0)
    b.scatter_(1, order[:, size : 2 * size], 1.0)
    return a, b


@pytest.mark.parametrize("shift", [0.5, 1.5])
def test_the_auc_of_two_normals_is_the_closed_form(shift: float):
    """The best AUC of N(0, S) and N(m, S) is Phi(D / sqrt 2), D their Mahalanobis distance."""
    mix = normal(4, 4, seed=1)
    x, y = normal(4000, 4, seed=2) @ mix, (normal(4000, 4, seed=3) + shift / 2) @ mix
    exact = stats.norm.cdf(shift / math.sqrt(2))  # |m| = shift / 2 in each of 4
    found = held_out_auc(torch.cat([y, x]), *sides(4000, 4000)).item()
    error = 4 * math.sqrt(exact * (1 - exact) / 4000)
    assert found == pytest.approx(exact, abs=error)


def test_the_ordering_agrees_with_mann_and_whitney():
    x = normal(60, 1).round(decimals=1)  # many ties
    a, b = sides(25, 35)
    values, folds = x[None, :, 0], torch.zeros(1, 60, dtype=torch.int64)
    found = classifier._ordered(values, folds, a, b).item()
    u = stats.mannwhitneyu(x[:25, 0], x[25:, 0]).statistic
    assert found == pytest.approx(u / (25 * 35), rel=1e-12)
    doubled = classifier._ordered(values, folds, 2 * a, 3 * b).item()
    assert doubled == pytest.approx(found, rel=1e-12)


def test_folds_are_ordered_each_by_itself():
    values = torch.tensor([[0.0, 1, 10, 11, 12, 2, 3, 4, 5, 6]]).double()
    folds = torch.tensor([[0, 0, 1, 1, 1, 0, 0, 1, 1, 1]])
    a, b = sides(5, 5)
    # fold 0: 0 of 4 pairs in order; fold 1: all 9
    assert classifier._ordered(values, folds, a, b).item() == pytest.approx(9 / 13)


def test_under_the_null_the_mean_is_one_half():
    x = normal(200, 30, seed=5).exp()
    auc = held_out_auc(x, *_halves(200, 40, 400, seed=1))
    spread = auc.std().item()
    assert auc.mean().item() == pytest.approx(0.5, abs=4 * spread / math.sqrt(400))
    assert 0.03 < spread < 0.1


def test_counts_are_repetitions_that_stay_in_one_fold():
    x = normal(40, 3)
    x[:20] += 1
    a, b = sides(20, 20)
    a[0, :20] = torch.tensor([3, 1] * 10)
    folds = classifier._folds(a, b)
    assert folds.shape == (1, 40)
    assert torch.bincount(folds[0, :20]).tolist() == [4] * FOLDS
    assert torch.bincount(folds[0, 20:]).tolist() == [4] * FOLDS
    # by hand: least squares on the repeated members of four folds, pairs of the fifth
    right = pairs = 0.0
    z = ((x - x.mean(0)) / x.std(0, correction=0)).numpy()
    wa, wb, fold = a[0].numpy(), b[0].numpy(), folds[0].numpy()
    for k in range(FOLDS):
        train, test = fold != k, fold == k
        means, within = [], np.zeros((3, 3))
        for w in (wa, wb):
            rows = np.repeat(z[train], w[train].astype(int), axis=0)
            means.append(rows.mean(0))
            within += (rows - rows.mean(0)).T @ (rows - rows.mean(0))
        n = (wa + wb)[train].sum()
        within /= n
        within += 0.2 * np.trace(within) / 3 * np.eye(3)
        score = z @ np.linalg.solve(within, means[0] - means[1])
        for i in np.flatnonzero(test & (wa > 0)):
            for j in np.flatnonzero(test & (wb > 0)):
                weight = wa[i] * wb[j]
                right += weight * (score[i] > score[j])
                pairs += weight
    assert held_out_auc(x, a, b, ridge=0.2).item() == pytest.approx(right / pairs, rel=1e-9)


def test_draws_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch):
    x = normal(80, 6)
    a, b = _halves(80, 30, 12, seed=3)
    whole = held_out_auc(x, a, b)
    monkeypatch.setattr(classifier, "CHUNK", 1000)
    torch.testing.assert_close(held_out_auc(x, a, b), whole)


def test_too_few_members_for_folds_have_no_answer():
    a, b = (torch.cat([w, w]) for w in sides(6, 5))
    b[1, 10] = 0
    auc = held_out_auc(normal(11, 2), a, b)
    assert auc.isnan().tolist() == [False, True]
    assert bool(held_out_auc(normal(11, 2), a[1:], b[1:]).isnan().all())


def test_constant_features_are_no_evidence():
    a, b = sides(10, 10)
    assert held_out_auc(torch.ones(20, 3), a, b).item() == 0.5


GRIDS = [Grid((64,)), Grid((16, 24)), Grid((16, 16), boundary="neumann"), Grid((8, 8, 8))]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_features_are_finite_numbers_of_each_member_by_itself(grid: Grid):
    u = GaussianField.matern(4.0, 0.5, deviation=1.0).sample(range(30), grid)
    pod = Pod.fit(u, grid)
    stick = replace(Yardstick.fit(u, grid), modes=pod)
    rows = features(u, stick)
    assert rows.dtype == torch.float64
    assert bool(rows.isfinite().all())
    assert bool((rows.std(0) > 0).all())
    torch.testing.assert_close(features(u[4:6], stick), rows[4:6], rtol=1e-4, atol=1e-5)
    without = features(u, replace(stick, modes=None))
    assert without.shape[1] == rows.shape[1] - 2 * len(pod.modes)


def test_filters_and_bands_are_fixed():
    assert filters(2) is filters(2)
    assert filters(2)[0, 0, 0, :2].tolist() == pytest.approx(FIRST, abs=1e-6)
    assert bands(torch.ones(33).bool().index_fill(0, torch.tensor([0]), False)).sum() == 32


def test_a_gaussian_of_the_same_spectrum_is_told_apart():
    grid = Grid((32, 32))
    field = GaussianField.matern(4.0, 0.3, deviation=1.0, mean=False)
    u = (3 * field.sample(range(240), grid)).tanh()
    noise = grid.fft(normal(60, 32, 32, seed=9))
    copy = grid.ifft(grid.fft(u[:60]).abs() * noise / noise.abs())
    stick = replace(Yardstick.fit(u, grid), modes=Pod.fit(u[:60], grid))
    x = features(torch.cat([copy, u[60:]]), stick)
    assert held_out_auc(x[:180], *sides(60, 120)).item() > 0.95
    null = held_out_auc(x[60:], *_halves(180, 60, 40, seed=1))
    assert null.max().item() < 0.75
