"""Random cells: interpolants against scipy's, numbers against their laws."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn
from scipy.signal import resample

from pushforward.solvers import Grid
from pushforward.solvers.random_cells import RandomCells

Noise = Literal["uniform", "normal"]


def test_periodic_cells_are_interpolated_as_scipy_does() -> None:
    cells = RandomCells(cells=(8, 12)).sample([0], Grid((8, 12)))[0].numpy()
    fine = RandomCells(cells=(8, 12)).sample([0], Grid((32, 36)))[0].numpy()
    expected = np.asarray(resample(np.asarray(resample(cells, 32, axis=0)), 36, axis=1))
    np.testing.assert_allclose(expected, fine, atol=1e-14)
    np.testing.assert_allclose(fine[::4, ::3], cells, atol=1e-14)
    assert abs(np.fft.fft2(cells)[4, 6]) > 0.1  # the last waves are there, too


def test_cells_between_walls_are_interpolated_by_cosines() -> None:
    shape, fine = (6, 5), Grid((18, 15), (1.0, 1.0), "neumann")
    law = RandomCells(cells=shape, noise="normal")
    cells = law.sample([0], replace(fine, shape=shape))[0].numpy()
    waves = np.zeros(fine.shape)
    scale = 3  # sqrt(18 15 / (6 5)): the mean square stays
    waves[:6, :5] = scale * np.asarray(dctn(cells, norm="ortho"))
    expected = np.asarray(idctn(waves, norm="ortho"))
    np.testing.assert_allclose(expected, law.sample([0], fine)[0], atol=1e-14)


@pytest.mark.parametrize("boundary", ["periodic", "neumann"])
def test_coarse_grids_keep_the_waves_they_have(boundary: Literal["periodic", "neumann"]) -> None:
    law = RandomCells(cells=(16, 16), noise="normal")
    fine, coarse = (Grid((n, n), (1.0, 1.0), boundary) for n in (32, 12))
    expected = fine.resample(law.sample(range(3), fine), coarse)
    torch.testing.assert_close(law.sample(range(3), coarse), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("noise", "variance", "kurtosis"), [("uniform", 1 / 12, 1.8), ("normal", 1, 3)]
)
def test_cells_are_independent_numbers_of_their_law(
    noise: Noise, variance: float, kurtosis: float
) -> None:
    grid = Grid((32, 32))
    z = 0.5 * RandomCells(noise=noise).sample(range(40), grid)
    doubled = RandomCells(noise=noise, scale=0.5).sample(range(40), grid)
    assert torch.equal(z, doubled)
    n = z.numel()
    assert abs(float(z.mean())) < 4 * math.sqrt(0.25 * variance / n)
    relative = float(z.var()) / (0.25 * variance) - 1
    assert abs(relative) < 4 * math.sqrt((kurtosis - 1) / n)
    assert float((z**4).mean() / z.var() ** 2) == pytest.approx(kurtosis, abs=0.15)
    if noise == "uniform":
        assert float(z.abs().max()) <= 0.25
    for shift in ((1, 0), (0, 1), (3, 5)):
        correlation = float((z * z.roll(shift, (-2, -1))).mean() / z.var())
        assert abs(correlation) < 4 / math.sqrt(n)
    smooth = RandomCells(noise=noise).sample(range(40), Grid((64, 64)))  # a control
    near = float((smooth * smooth.roll(1, -1)).mean() / smooth.var())
    assert near > 0.5


def test_members_are_addressed() -> None:
    law, grid = RandomCells(cells=(8, 8)), Grid((16, 16))
    whole = law.sample(range(5), grid, seed=2)
    assert torch.equal(law.sample([3, 1], grid, seed=2), whole[[3, 1]])
    for other in (law.sample(range(5), grid, seed=3), law.sample(range(5), grid, seed=2, step=1)):
        assert (other - whole).abs().amax((-2, -1)).min() > 0.1


def test_bad_lattices_are_refused() -> None:
    bads: list[dict[str, Any]] = [{"cells": (1, 8)}, {"cells": ()}, {"scale": -1.0}]
    for bad in bads:
        with pytest.raises(ValueError, match="at least 2 cells"):
            RandomCells(**bad)
    with pytest.raises(ValueError, match=r"2 counts of cells that are even, got \(3, 4\)"):
        RandomCells(cells=(3, 4)).sample([0], Grid((8, 8)))
    with pytest.raises(ValueError, match="1 counts of cells, got"):
        RandomCells().sample([0], Grid((8,), boundary="neumann"))
