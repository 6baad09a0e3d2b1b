"""Stationary fields on open boxes: their covariance at every two points, growth, addresses."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import special

from pushforward.solvers import GaussianField, Grid, Use
from pushforward.solvers.circulant import StationaryField, _root

GRIDS = [Grid((24,), (1.0,)), Grid((12, 16), (0.75, 1.0)), Grid((6, 4, 5), (1.0,) * 3, "neumann")]
LAWS = {
    "matern": StationaryField(exponent=2.3, length=0.1, deviation=2.0),
    "half-integer": StationaryField(exponent=3.0, length=0.08),
    "exponential": StationaryField(kernel="exponential", length=0.3),
    "squared exponential": StationaryField(
        kernel="squared_exponential", length=0.2, deviation=0.5
    ),
}


def kernel(name: str, r: np.ndarray, ndim: int) -> np.ndarray:
    """The covariance as scipy has it."""
    law = LAWS[name]
    x = r / law.length
    if law.kernel == "exponential":
        return np.exp(-x)
    if law.kernel == "squared_exponential":
        return law.deviation**2 * np.exp(-(x**2) / 2)
    nu = law.exponent - ndim / 2
    x = np.maximum(x, 1e-9)
    return law.deviation**2 * 2 ** (1 - nu) / special.gamma(nu) * x**nu * special.kv(nu, x)


def distances(grid: Grid) -> np.ndarray:
    points = np.stack(np.meshgrid(*(c.numpy() for c in grid.coordinates()), indexing="ij"), -1)
    points = points.reshape(-1, grid.ndim)
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def refuted(u: torch.Tensor, covariance: np.ndarray) -> bool:
    """Whether sample covariances lie further off, on average, than chance allows.

    Of count pairs of points each squared error has mean (C_ii C_jj + C_ij^2) / n.
    """
    values = u.flatten(1).numpy()
    found = values.T @ values / len(u)
    variance = np.diag(covariance)
    expected = (np.outer(variance, variance) + covariance**2) / len(u)
    ratio = ((found - covariance) ** 2 / expected).mean()
    # neighbours err alike, so their mean is a mean of few: the spectrum of C says how few
    eigen = np.linalg.eigvalsh(covariance)
    few = eigen.sum() ** 2 / (eigen**2).sum()
    return bool(abs(ratio - 1) > 4 * math.sqrt(2 / few))


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: str(grid.shape))
@pytest.mark.parametrize("name", LAWS)
def test_covariance_at_every_two_points_is_the_kernel_exactly(name: str, grid: Grid) -> None:
    root = _root(LAWS[name], grid.shape, grid.spacing)
    torus = torch.fft.ifftn((root**2).to(torch.complex128), norm="forward").real.numpy()
    at = list(np.ndindex(*grid.shape))
    found = np.array(
        [
            torus[tuple((a - b) % n for a, b, n in zip(p, q, torus.shape, strict=True))]
            for p, q in itertools.product(at, at)
        ]
    ).reshape(grid.size, grid.size)
    wanted = kernel(name, distances(grid), grid.ndim)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9 * wanted.max())


@pytest.mark.parametrize("name", LAWS)
def test_draws_have_that_covariance_and_no_other(name: str) -> None:
    grid = Grid((6, 8), (0.75, 1.0))
    u = LAWS[name].sample(range(3000), grid, seed=1)
    right = kernel(name, distances(grid), 2)
    assert not refuted(u, right)
    assert refuted(u, 1.15 * right)
    assert refuted(u, right + 0.15 * right.max() * (distances(grid) > 0.5))
    assert abs(u.square().mean() / LAWS[name].deviation ** 2 - 1) < 0.05
    assert abs(u.mean()) < 4 * math.sqrt(right.mean() / len(u))


def test_sides_are_open_as_those_of_a_periodic_field_are_not() -> None:
    grid = Grid((32,), (1.0,))
    law = StationaryField(kernel="exponential", length=0.2)
    ends = law.sample(range(2000), grid, seed=2)[:, [0, -1]]
    found = float((ends[:, 0] * ends[:, 1]).mean())
    expected = math.exp(-31 / 32 / 0.2)
    assert abs(found - expected) < 4 * math.sqrt((1 + expected**2) / 2000)
    wrapped = GaussianField.exponential(0.2).sample(range(2000), grid, seed=2)[:, [0, -1]]
    assert float((wrapped[:, 0] * wrapped[:, 1]).mean()) > 0.5


def test_members_do_not_depend_on_their_company() -> None:
    law, grid = LAWS["exponential"], Grid((8, 8), (1.0, 1.0))
    u = law.sample([5, 0, 4, 9], grid, seed=3)
    for place, member in enumerate([5, 0, 4, 9]):
        assert torch.equal(law.sample([member], grid, seed=3)[0], u[place])
    assert law.sample([], grid).shape == (0, 8, 8)
    for other in (
        law.sample([5], grid, seed=4),
        law.sample([5], grid, seed=3, use=Use.FORCING),
        law.sample([5], grid, seed=3, step=1),
        u[2:3],  # its partner: real and imaginary part of one transform
    ):
        assert not torch.equal(other, u[:1])


def test_pairs_from_one_transform_are_independent() -> None:
    law, grid = LAWS["exponential"], Grid((16,), (1.0,))
    u = law.sample(range(4000), grid, seed=5)
    even, odd = u[::2, 3], u[1::2, 3]
    assert abs((even * odd).mean()) < 4 / math.sqrt(2000)
    assert abs((even * (odd + 0.2 * even)).mean()) > 4 / math.sqrt(2000)


def test_the_torus_grows_with_the_kernels_reach() -> None:
    grid = Grid((32, 32), (1.0, 1.0))
    sides = []
    for length in (0.05, 0.2, 0.5):
        law = StationaryField(kernel="squared_exponential", length=length)
        sides.append(_root(law, grid.shape, grid.spacing).shape[0] // 32)
    assert sides[0] == 2
    assert sides == sorted(sides)
    assert sides[2] > sides[1] > sides[0]
    with pytest.raises(ValueError, match=r"decays within .* length 9 .*shorten it"):
        StationaryField(kernel="squared_exponential", length=9.0).sample([0], grid)


def test_bad_numbers_are_refused() -> None:
    unknown = StationaryField()
    object.__setattr__(unknown, "kernel", "gauss")  # past the type checker that tests run with
    with pytest.raises(ValueError, match="expected the kernel matern"):
        unknown.__post_init__()
    with pytest.raises(ValueError, match="length > 0"):
        StationaryField(length=0.0)
    with pytest.raises(ValueError, match="trace class"):
        StationaryField(exponent=1.0).sample([0], Grid((8, 8)))
