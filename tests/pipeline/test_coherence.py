"""Cross spectra: scipy's csd, known coherency, a lag that only the quadrature spectrum sees."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import signal

from pushforward.coherence import CROSS, SCORES, coherency, cross_spectra
from pushforward.solvers import GaussianField, Grid
from pushforward.yardstick import Yardstick

GRID = Grid((16, 24))
FIELD = GaussianField.matern(3.0, 0.5, deviation=1.0)


def draw(members: range, seed: int, grid: Grid = GRID) -> torch.Tensor:
    return FIELD.sample(members, grid, seed=seed)


def sticks(u: torch.Tensor, grid: Grid = GRID) -> tuple[Yardstick, ...]:
    return tuple(Yardstick.fit(u[:, i], grid) for i in range(u.shape[1]))


def value(a: torch.Tensor, b: torch.Tensor, grid: Grid = GRID) -> float:
    given = sticks(b, grid)
    return SCORES[0](CROSS.sum(a, given), CROSS.sum(b, given), given).item()


def test_spectra_agree_with_scipy():
    grid = Grid((32,))
    u = torch.stack([draw(range(6), 1, grid), draw(range(6), 2, grid) + 1], 1)
    given = sticks(u, grid)
    rows = cross_spectra(u, given).unflatten(1, (4, -1)).mean(0)
    z = [y.standardise(u[:, i]).numpy() for i, y in enumerate(given)]
    options = {"window": "boxcar", "nperseg": 32, "detrend": False, "scaling": "spectrum"}
    _, exact = signal.csd(z[0], z[1], **options)
    mean = exact.mean(0)  # conj(u_k) v_k of both signs of k
    np.testing.assert_allclose(rows[2].numpy(), mean.real, atol=1e-12)
    np.testing.assert_allclose(rows[3, 1:16].numpy(), -mean.imag[1:16], atol=1e-12)
    _, power = signal.welch(z[0], **options)
    np.testing.assert_allclose(rows[0].numpy(), power.mean(0), atol=1e-12)


def test_coherency_of_a_mixture_is_its_weight():
    one, other = draw(range(2000), 1), draw(range(2000), 2)
    u = torch.stack([one, 0.6 * one + 0.8 * other], 1)
    given = sticks(u)
    gamma = coherency(CROSS.rows(u, given)[:, 1:].mean(0), given)
    kept = given[0].resolved & given[1].resolved
    # standard error of a coherency of n independent waves: (1 - g^2) / sqrt(2 n)
    error = 4 * 0.64 / math.sqrt(2000 * 4)
    torch.testing.assert_close(
        gamma[0, 0, kept], torch.full_like(gamma[0, 0, kept], 0.6), rtol=0, atol=error
    )
    assert gamma[0, 1:].abs().max() < 2 * error


def test_right_margins_with_a_wrong_bond_are_seen():
    one, other = draw(range(400), 1), draw(range(400), 2)
    together = torch.stack([one, one], 1)
    apart = torch.stack([one, other], 1)
    assert value(apart, together) == pytest.approx(1.0, abs=0.1)
    assert value(torch.stack([one, -one], 1), together) == pytest.approx(2.0, abs=1e-9)
    assert value(together.flip(0), together) < 1e-9
    assert value(3 * together + 1, together) < 0.05  # spectra do not count, but for the mean


@pytest.mark.parametrize("axis", [-2, -1])
def test_a_lag_is_seen_along_its_axis(axis: int):
    u = draw(range(200), 1)
    b = torch.stack([u, u], 1)
    a = torch.stack([u, u.roll(2, axis)], 1)
    given = sticks(b)
    gamma = coherency(CROSS.rows(a, given)[:, 1:].mean(0), given)[0]
    quiet, loud = (1, 2) if axis == -1 else (2, 1)
    assert gamma[loud, 1:4].abs().min() > 0.2
    assert gamma[quiet].abs().max() < 0.1
    back = torch.stack([u, u.roll(-2, axis)], 1)
    assert value(back, a) > 0.5  # co-spectra are the same, quadratures turn round


def test_walls_have_no_quadrature_and_pairs_are_all_pairs():
    grid = Grid((8, 12), boundary="neumann")
    u = torch.stack([draw(range(50), s, grid) for s in (1, 2, 3)], 1)
    given = sticks(u, grid)
    rows = CROSS.rows(u, given)[:, 1:]
    gamma = coherency(rows.mean(0), given)
    assert gamma.shape[:2] == (3, 3)
    assert gamma[:, 1:].abs().max() == 0
    assert gamma.abs().max() <= 1
    assert value(torch.stack([u[:, 0], u[:, 1], u[:, 1]], 1), u, grid) > 0.3
