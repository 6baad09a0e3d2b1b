"""The PCA basis: a dense decomposition as oracle, the tail, its completion, dropped tails."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pushforward.generative.pca import PCABasis, leading
from pushforward.solvers import GaussianField, Grid, Use

GRID = Grid((12, 8))
FIELD = GaussianField.matern(3.0, 0.5, deviation=2.0)


def draws(count: int, seed: int = 0) -> torch.Tensor:
    return FIELD.sample(range(count), GRID, seed)[:, None] + torch.linspace(0, 3, 8).double()


def test_leading_components_are_those_of_a_dense_decomposition() -> None:
    u = draws(400)
    basis = PCABasis.fit(u, GRID, rank=10)
    flat = (u - u.mean(0)).flatten(1).numpy()
    _, s, vt = np.linalg.svd(flat, full_matrices=False)
    overlap = (torch.from_numpy(vt[:10]) @ basis.components).square()
    # neighbours of nearly equal variance may mix: compare what the first ones span together
    assert overlap.sum().item() == pytest.approx(10, abs=1e-3)
    v = torch.from_numpy(s**2 / 400 / GRID.size)
    found = basis.factor.flatten().square()
    torch.testing.assert_close(found[:10], v[:10], rtol=1e-4, atol=0)
    tail = v[10:].sum() / (GRID.size - 10)
    torch.testing.assert_close(found[10], tail, rtol=1e-4, atol=0)
    assert basis.shells == 11
    assert basis.dimensions == GRID.size
    assert overlap[0, 1:].max() < 0.5  # negative control: not any rotation of the span


def test_an_exact_sketch_is_exact() -> None:
    u = draws(30).flatten(1)
    u = u - u.mean(0)
    found = leading(u, 20)
    _, _, vt = np.linalg.svd(u.numpy(), full_matrices=False)
    torch.testing.assert_close(
        (torch.from_numpy(vt[:20]) @ found).abs(), torch.eye(20).double(), rtol=0, atol=1e-8
    )
    torch.manual_seed(3)
    assert torch.equal(leading(u, 20), found)  # no hidden state


@pytest.mark.parametrize("rank", [1, 5, 60, 96])
def test_the_completion_is_orthonormal(rank: int) -> None:
    basis = PCABasis.fit(draws(120), GRID, rank=rank)
    e = basis.place(torch.eye(96).double()[:, None], GRID).flatten(1)
    torch.testing.assert_close(e @ e.T / 96, torch.eye(96).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(e[:rank].T / math.sqrt(96), basis.components)


def test_components_of_borders_without_variance_are_completed_too() -> None:
    """There the first rows of U vanish, and their polar factor is any orthogonal matrix."""
    u = draws(120)
    u[..., :4, :] = 0
    basis = PCABasis.fit(u, GRID, rank=20)
    assert basis.components[:20].abs().max() < 1e-12
    e = basis.place(torch.eye(96).double()[:, None], GRID).flatten(1)
    torch.testing.assert_close(e @ e.T / 96, torch.eye(96).double(), rtol=0, atol=1e-12)
    again = PCABasis(GRID, basis.state_dict())
    assert torch.equal(again.place(torch.eye(96).double()[:, None], GRID).flatten(1), e)


def test_fields_of_few_components_have_no_tail() -> None:
    shapes = draws(3, seed=9)[:, 0]
    weights = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).double()
    u = torch.einsum("nk,kyx->nyx", weights, shapes)[:, None] + 1.0
    basis = PCABasis.fit(u, GRID, rank=6)
    assert basis.dimensions == 3
    torch.testing.assert_close(
        basis.synthesise(basis.analyse(u, GRID), GRID), u, rtol=0, atol=1e-10
    )
    v = basis.synthesise(basis.noise(0, Use.PRIOR, range(4)).double(), GRID) - u.mean(0)
    left = torch.linalg.lstsq(shapes.flatten(1).T, v.flatten(1).T)
    back = (shapes.flatten(1).T @ left.solution).T
    torch.testing.assert_close(back, v.flatten(1), rtol=0, atol=1e-9)


def test_samples_have_the_covariance_of_the_data() -> None:
    """The leading variances of Gaussian draws come back, within 4 standard errors."""
    basis = PCABasis.fit(draws(2000), GRID, rank=20)
    v = basis.synthesise(basis.noise(0, Use.PRIOR, range(1000)).double(), GRID)
    raw = basis.read(v, GRID)[:, 0]
    power = (raw - basis.mean[0]).square().mean(0)[:20]
    wanted = basis.factor.flatten()[:20].square()
    error = math.sqrt(2 / 1000)
    assert ((power / wanted - 1).abs() < 4 * error).all()
    assert not ((power / wanted.roll(1) - 1).abs() < 4 * error).all()
    assert (v.mean(0) - draws(2000).mean(0)).abs().max() < 5 * 2.0 / math.sqrt(1000)


def test_channels_share_their_components() -> None:
    u = draws(200)
    v = torch.cat([u, 5 * u + 0.1 * draws(200, seed=2)], 1)
    basis = PCABasis.fit(v, GRID, rank=10)
    x = basis.analyse(v, GRID)
    assert (x[:, 0] * x[:, 1]).mean(0)[:10].abs().max() < 1e-9
    alone = PCABasis.fit(u, GRID, rank=10)
    overlap = (alone.components.T @ basis.components).square().sum()
    assert overlap.item() == pytest.approx(10, abs=0.1)


def test_components_are_functions_on_every_grid() -> None:
    """The same function on a finer grid, and the same coefficients of it."""
    fine, u = Grid((30, 16)), GaussianField.matern(3.0, 0.5, cutoff=3).sample(range(120), GRID)
    basis = PCABasis.fit(u[:, None], GRID, rank=20)
    x = basis.analyse(u[:4, None], GRID)
    finer = basis.synthesise(x, fine)
    torch.testing.assert_close(finer[..., ::2][..., [0, 5, 10], :][:, :, 0], u[:4, None, 0])
    torch.testing.assert_close(GRID.resample(u[:4, None], fine), finer)
    torch.testing.assert_close(basis.analyse(finer, fine), x)
    assert basis.noise(0, Use.PRIOR, range(2)).shape == x[:2].shape
    with pytest.raises(ValueError, match="expected a grid of the box"):
        basis.synthesise(x, Grid((12, 8), extent=(2.0, 1.0)))
    with pytest.raises(ValueError, match="got pca, whose components have no finer ones"):
        basis.extend(fine)


def test_a_rank_that_fields_cannot_determine_is_refused() -> None:
    assert PCABasis.fit(draws(41), GRID).components.shape == (96, 10)
    for rank in (0, 40, 97):
        with pytest.raises(ValueError, match=f"a rank of 1 to 39 for 40 fields .* got {rank}"):
            PCABasis.fit(draws(40), GRID, rank=rank)
