"""Gaussian mixtures: means and covariances against closed forms, shares, one function a member."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from pushforward.solvers import GaussianField, Grid, StationaryField
from pushforward.solvers.gaussian_mixture import GaussianMixture, Ramp

DDO = GaussianMixture()
LINE = Grid((32,), (1.0,), "neumann")
BESSEL = GaussianField.matern(1.1, 0.1)
MULTILEVEL = GaussianMixture(
    means=(Ramp((0.0, 64.0)), Ramp((-64.0, 0.0), 64.0)), field=BESSEL, smooth=True
)


def square(n: int) -> Grid:
    return Grid((n, n), (1.0, 1.0))


def refuted(x: torch.Tensor, covariance: torch.Tensor) -> bool:
    """Whether sample covariances lie further off, on average, than chance allows.

    Of n members each squared error has mean (C_ii C_jj + C_ij^2) / n; neighbours err alike, so
    their mean is a mean of few: the spectrum of C says how few.
    """
    n, variance = len(x), covariance.diagonal()
    expected = (torch.outer(variance, variance) + covariance**2) / n
    ratio = ((x.T @ x / n - covariance) ** 2 / expected).mean()
    eigen = torch.linalg.eigvalsh(covariance)
    few = eigen.sum() ** 2 / (eigen**2).sum()
    return bool((ratio - 1).abs() > 4 * math.sqrt(2 / few))


def test_components_of_ddo_have_its_means_and_kernel() -> None:
    x = DDO.draw(range(4000), LINE, seed=1)[:, 0]
    which = DDO.which(range(4000), seed=1)
    (at,) = LINE.coordinates()
    kernel = 0.4 * torch.exp(-((at[:, None] - at) ** 2) / (2 * 0.1**2))
    for j, mean in enumerate((10 * at - 5, 5 - 10 * at)):
        of = x[which == j]
        n = len(of)
        z = math.sqrt(n) * (of.mean(0) - mean)
        assert bool((z.abs() < 4.5 * math.sqrt(0.4)).all())  # 4 for one of 32 points
        assert not refuted(of - mean, kernel)
        assert refuted(of - mean, 1.3 * kernel)  # negative controls
        folded = kernel + 0.4 * torch.exp(-((at[:, None] + at) ** 2) / (2 * 0.1**2))
        near = slice(0, 5)  # the wall
        assert not refuted((of - mean)[:, near], kernel[near, near])
        assert refuted((of - mean)[:, near], folded[near, near])


def test_components_have_their_shares_and_nothing_to_do_with_the_field() -> None:
    law = replace(DDO, means=(*DDO.means, Ramp((0.0,))), weights=(1.0, 3.0, 4.0))
    which = law.which(range(8000), seed=3)
    for j, p in enumerate((1 / 8, 3 / 8, 1 / 2)):
        found = float((which == j).double().mean())
        assert abs(found - p) < 4 * math.sqrt(p * (1 - p) / 8000)
    assert abs(float((which == 0).double().mean()) - 1 / 3) > 0.1
    assert torch.equal(law.which([7, 5], seed=3), which[[7, 5]])
    assert not torch.equal(law.which(range(100), seed=4), which[:100])
    field = law.draw(range(2000), LINE, seed=3)[:, 0] - law.components(LINE)[which[:2000]]
    z = field[:, 16] * (which[:2000].double() - 11 / 8)
    assert abs(float(z.mean())) < 4 * float(z.std()) / math.sqrt(2000)


@pytest.mark.parametrize("boundary", ["periodic", "neumann"])
def test_coefficients_of_ramps_are_their_integrals(boundary: Any) -> None:
    ramp, few = Ramp((3.0, -2.0), 0.5), Grid((4, 6), (1.0, 2.0), boundary)
    fine = Grid((512, 512), (1.0, 2.0), boundary)
    # the middle of a cell stands for its integral
    shift = fine.spacing[0] / 2 if boundary == "periodic" else 0.0
    u = ramp.at(fine) + (ramp.slope[0] * shift + ramp.slope[1] * 2 * shift)
    by_sums = fine.fft(u)[:2, :3]
    if boundary == "periodic":
        k = torch.arange(3.0).double()
        turn = 2 * math.pi * (torch.arange(2.0).double()[:, None] + k) * 0.5 / 512
        by_sums = by_sums * torch.polar(torch.ones_like(turn), -turn)
    torch.testing.assert_close(ramp.coefficients(few)[:2, :3], by_sums, rtol=0, atol=2e-5)
    assert (replace(ramp, offset=0.6).coefficients(few)[0, 0] - by_sums[0, 0]).abs() > 0.05


def test_smoothed_means_lie_where_the_covariance_says() -> None:
    """Their distance in the Cameron-Martin norm is that of the ramps in L^2: 64 / sqrt 6."""
    grid = square(256)
    first, second = MULTILEVEL.components(grid)
    far = float(BESSEL.norm(first - second, grid))
    x = torch.arange(256).double() / 256
    ramps = 64 * (x[:, None] + x - 1)
    assert far == pytest.approx(64 / math.sqrt(6), rel=5e-3)
    assert float(BESSEL.norm(ramps, grid)) > 3 * far  # unsmoothed they are much farther
    # along x alone, and the mean of x is 1/2: the constant wave has eigenvalue 100^-1.1
    assert float(first.std(0).max()) < 1e-12
    assert float(first.mean()) == pytest.approx(32 * 100**-0.55, rel=1e-12)


def test_members_of_multilevel_have_its_spectrum() -> None:
    grid, n = square(32), 400
    which = MULTILEVEL.which(range(n), seed=2)
    x = MULTILEVEL.draw(range(n), grid, seed=2)[:, 0] - MULTILEVEL.components(grid)[which]
    low = grid.resolved(0.5)

    def off(field: GaussianField) -> float:
        power = field.whiten(x, grid).abs().square()[:, low].mean(0)
        return float((power - 1).mean() * math.sqrt(n * power.numel()))

    assert abs(off(BESSEL)) < 4
    assert abs(off(GaussianField.matern(1.3, 0.1))) > 10  # the wrong spectrum


@pytest.mark.parametrize("n", [16, 32])
def test_a_member_is_one_function_on_every_grid(n: int) -> None:
    smooth = replace(MULTILEVEL, field=replace(BESSEL, cutoff=n // 2 - 1))
    coarse, fine = (smooth.draw([0, 9], square(m), seed=5) for m in (n, 2 * n))
    torch.testing.assert_close(coarse, fine[..., ::2, ::2], rtol=0, atol=1e-10)
    rough = (MULTILEVEL.draw([0, 9], square(m), seed=5) for m in (n, 2 * n))
    torch.testing.assert_close(  # what the coarse grid resolves
        next(rough), square(2 * n).resample(next(rough), square(n)), rtol=0, atol=1e-10
    )
    wide, dense = replace(LINE, shape=(n,)), replace(LINE, shape=(3 * n,))
    one, other = DDO.draw([0, 9], wide, seed=5), DDO.draw([0, 9], dense, seed=5)
    torch.testing.assert_close(one, other[..., 1::3], rtol=0, atol=1e-6)
    assert (one - other[..., ::3]).abs().max() > 1e-2  # half a cell off is seen


def test_members_are_addressed() -> None:
    whole = DDO.draw(range(6), LINE, seed=2)
    assert whole.shape == (6, 1, 32)
    assert torch.equal(DDO.draw([4, 1], LINE, seed=2), whole[[4, 1]])
    assert (DDO.draw(range(6), LINE, seed=3) - whole).abs().amax((1, 2)).min() > 0.1
    assert DDO.draw([], LINE).shape == (0, 1, 32)


@pytest.mark.parametrize(
    ("law", "grid"),
    [
        (DDO, LINE),
        (replace(DDO, field=GaussianField.squared_exponential(0.2)), LINE),
        (replace(MULTILEVEL, field=GaussianField.matern(1.6, 0.1)), square(8)),
    ],
    ids=["stationary", "walls", "torus"],
)
def test_covariance_is_that_of_draws(law: GaussianMixture, grid: Grid) -> None:
    n = 3000
    means = law.components(grid)[law.which(range(n))]
    x = (law.draw(range(n), grid)[:, 0] - means).flatten(1)
    assert not refuted(x, law.covariance(grid))
    assert refuted(x, 1.3 * law.covariance(grid))


def test_what_cannot_be_is_refused() -> None:
    flat = Ramp((0.0,))
    bads: list[tuple[dict[str, Any], str]] = [
        ({"means": ()}, "at least one mean, got 0 for 0"),
        ({"means": (flat,), "weights": (1.0, 2.0)}, "got 2 for 1"),
        ({"means": (flat,), "weights": (0.0,)}, "positive weights"),
        ({"weights": (1.0, -1.0)}, "positive weights"),
        ({"smooth": True}, "expected a field with a spectrum"),
    ]
    for bad, said in bads:
        with pytest.raises(ValueError, match=said):
            GaussianMixture(**bad)
    with pytest.raises(ValueError, match="finite slope"):
        Ramp((math.nan,))
    with pytest.raises(ValueError, match=r"each of 2 axes, got \(10.0,\)"):
        DDO.check(Grid((8, 8), boundary="neumann"), 1)
    with pytest.raises(ValueError, match="each of 2 axes"):
        flat.at(Grid((8, 8)))
    with pytest.raises(ValueError, match="walls around a stationary field"):
        DDO.draw([0], Grid((8,)))
    field = GaussianField.matern(2.0, 0.1)
    with pytest.raises(ValueError, match="means that close around"):
        replace(DDO, field=field).check(Grid((8,)), 1)
    replace(DDO, field=field, means=(flat,)).check(Grid((8,)), 1)  # a constant closes
    with pytest.raises(ValueError, match="trace class"):
        replace(MULTILEVEL, field=GaussianField.matern(0.9, 0.1)).check(square(8), 1)
    with pytest.raises(ValueError, match="trace class"):
        replace(DDO, field=StationaryField(exponent=0.5)).check(LINE, 1)
